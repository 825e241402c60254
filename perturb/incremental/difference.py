"""What flows through a sweep: nodes that depend on the picture, and the differences of trials there."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from perturb.incremental.windows import Frame, Pair, cut

Layout = Literal["channels first", "channels last", ""]  # "": a node without rows and columns


class Live(NamedTuple):
    """A node that depends on the picture."""

    shape: tuple[int, ...]  # of one traced batch
    layout: Layout

    @property
    def limit(self) -> Pair:
        rows, columns = (2, 3) if self.layout == "channels first" else (1, 2)
        return self.shape[rows], self.shape[columns]

    @property
    def channels(self) -> int:
        return self.shape[1] if self.layout == "channels first" else self.shape[-1]


class Move(NamedTuple):
    """The differences of some trials at one node: in windows, or of the whole map."""

    values: Tensor
    frame: Frame | None

    @property
    def start(self) -> np.ndarray:
        return np.zeros((len(self.values), 2), dtype=int) if self.frame is None else self.frame.start


@dataclass(frozen=True, slots=True)
class Clean:
    """What a rule kept of the clean run, and whose picture each trial is."""

    maps: tuple[Tensor, ...]
    picture: np.ndarray

    def among(self, trials: slice) -> "Clean":
        return Clean(self.maps, self.picture[trials])

    def at(self, frame: Frame | None) -> list[Tensor]:
        return [self.cut(m, frame) for m in self.maps]

    def cut(self, clean: Tensor, frame: Frame | None) -> Tensor:
        if frame is not None:
            return cut(clean, frame, self.picture)
        return clean if len(clean) == 1 else clean.index_select(0, torch.from_numpy(self.picture).to(clean.device))


def channels_first(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 3, 1, 2) if layout == "channels last" else values


def own_layout(values: Tensor, layout: Layout) -> Tensor:
    return values.permute(0, 2, 3, 1) if layout == "channels last" else values
