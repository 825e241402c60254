"""One pixel, a box, a patch of noise."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from perturb.perturbations.mark import Colour, Ink, Mark


@dataclass(frozen=True, kw_only=True)
class Box(Mark):
    """A size x size box of one colour: see Mark."""

    words: ClassVar[str] = "a small box"

    size: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ValueError(f"`size` (={self.size}) must be at least 1 pixel.")

    @property
    def extent(self) -> tuple[int, int]:
        return self.size, self.size

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        return np.ones(self.extent, dtype=np.float32), self._colour(channels)


@dataclass(frozen=True, kw_only=True)
class Pixel(Box):
    """One pixel: a Box of size 1."""

    words: ClassVar[str] = "one changed pixel"

    size: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class Noise(Box):
    """A size x size patch of independent uniform noise times the colour: in [-1, 1] for add, else [0, 1]."""

    words: ClassVar[str] = "a small patch of noise"

    size: int = 4

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        ink, colour = super().object(channels, rng)
        low = -1.0 if self.mode == "add" else 0.0
        return ink, colour * rng.uniform(low, 1.0, (channels, *self.extent)).astype(np.float32)
