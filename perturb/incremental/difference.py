"""What flows through a sweep: nodes that depend on the picture, and the differences of trials there."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from perturb.incremental.windows import Frame, Pair, cut, on

BATCH = 2  # pictures that are traced; a 1 could stand for anything
Layout = Literal["channels first", "channels last", ""]  # "": a node without rows and columns


class NoRuleError(Exception):
    """An operation, or one with these arguments, that differences cannot be followed through."""


class Live(NamedTuple):
    """A node that depends on the picture. The first dimension holds pictures, or parts of one picture after another."""

    shape: tuple[int, ...]  # of one traced batch
    layout: Layout

    @property
    def limit(self) -> Pair:
        rows, columns = (2, 3) if self.layout == "channels first" else (1, 2)
        return self.shape[rows], self.shape[columns]

    @property
    def area(self) -> int:
        return self.limit[0] * self.limit[1] if self.layout else 1

    @property
    def numbers(self) -> int:
        """In the map of one picture."""
        return math.prod(self.shape) // BATCH

    @property
    def depth(self) -> int:
        """Numbers at one position; without rows and columns, all of them."""
        return self.numbers // self.area


class Move(NamedTuple):
    """The differences of some trials at one node: in windows, or of the whole map."""

    values: Tensor
    frame: Frame | None

    @property
    def start(self) -> np.ndarray:
        return np.zeros((len(self.values), 2), dtype=int) if self.frame is None else self.frame.start


@dataclass(frozen=True, slots=True)
class Clean:
    """What a rule kept of the clean run of so many pictures, and which of them each trial's is."""

    maps: tuple[Tensor, ...]
    pictures: int
    picture: np.ndarray

    def among(self, trials: slice) -> "Clean":
        return Clean(self.maps, self.pictures, self.picture[trials])

    def at(self, frame: Frame | None) -> list[Tensor]:
        return [self.cut(m, frame) for m in self.maps]

    def cut(self, clean: Tensor, frame: Frame | None) -> Tensor:
        if frame is not None:
            return cut(clean, frame, self.picture)
        if len(clean) == 1:
            return clean
        parts = clean.unflatten(0, (self.pictures, -1))
        if len(self.picture) == 1:
            return parts[self.picture[0]]
        return parts.index_select(0, on(clean.device, self.picture)).flatten(0, 1)


def channels_first(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 3, 1, 2) if layout == "channels last" else values


def own_layout(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 2, 3, 1) if layout == "channels last" else values
