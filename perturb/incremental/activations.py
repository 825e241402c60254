"""Activations of the traced network, and how much each trial changes them."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from perturb.incremental.windows import Frame, Pair, cut, to_device

BATCH = 2  # pictures that are traced; a dimension of 1 would be ambiguous
Layout = Literal["channels first", "channels last", ""]  # "": an activation without rows and columns


class NoRuleError(Exception):
    """There is no rule for an operation, or none for these arguments."""


class Activation(NamedTuple):
    """An activation's shape and layout. The first dimension holds pictures, or parts of one picture after another."""

    shape: tuple[int, ...]  # for the traced batch
    layout: Layout

    @property
    def limit(self) -> Pair:
        """Rows and columns of the map."""
        rows, columns = (2, 3) if self.layout == "channels first" else (1, 2)
        return self.shape[rows], self.shape[columns]

    @property
    def area(self) -> int:
        return self.limit[0] * self.limit[1] if self.layout else 1

    @property
    def numbers(self) -> int:
        """Numbers for one picture."""
        return math.prod(self.shape) // BATCH

    @property
    def depth(self) -> int:
        """Numbers at one position of the map; all numbers of an activation without rows and columns."""
        return self.numbers // self.area


class Difference(NamedTuple):
    """Some trials' differences at one activation: in windows, or over the whole map (`frame` is None)."""

    values: Tensor
    frame: Frame | None

    @property
    def start(self) -> np.ndarray:
        return np.zeros((len(self.values), 2), dtype=int) if self.frame is None else self.frame.start


@dataclass(frozen=True, slots=True)
class CleanMaps:
    """The maps that a rule kept of the clean run."""

    maps: tuple[Tensor, ...]
    pictures: int  # in the clean run
    picture: np.ndarray  # of each trial

    def among(self, trials: slice) -> "CleanMaps":
        """The same for some of the trials."""
        return CleanMaps(self.maps, self.pictures, self.picture[trials])

    def at(self, frame: Frame | None) -> list[Tensor]:
        """Each kept map in the trials' windows; whole for None."""
        return [self.cut(m, frame) for m in self.maps]

    def cut(self, clean: Tensor, frame: Frame | None) -> Tensor:
        if frame is not None:
            return cut(clean, frame, self.picture)
        if len(clean) == 1:
            return clean
        parts = clean.unflatten(0, (self.pictures, -1))
        if len(self.picture) == 1:
            return parts[self.picture[0]]
        return parts.index_select(0, to_device(clean.device, self.picture)).flatten(0, 1)


def channels_first(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 3, 1, 2) if layout == "channels last" else values


def own_layout(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 2, 3, 1) if layout == "channels last" else values
