"""One pixel, a box, a patch of noise."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]
Mode = Literal["add", "replace", "blend"]
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A size x size box of one colour, its strength the level l in [0, 1], the pixel range being [0, 1].

    add      x + l c away from the nearer bound: -l c where the patch's channel mean is above 1/2. Up to l = 1/2 a
             single pixel is never clipped, so dead and live arms get the same change.
    replace  l c in place of x, for l > 0.
    blend    (1 - l) x + l c.
    The result is clipped to [0, 1]; level 0 is the identity. `colour` c gives one value for each of red, green, blue;
    a picture with one channel takes their mean.
    """

    words: ClassVar[str] = "a small box"

    size: int = 2
    mode: Mode = "add"
    colour: tuple[float, float, float] = WHITE

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"`size` (={self.size}) must be at least 1 pixel.")
        if self.mode not in ("add", "replace", "blend"):
            raise ValueError(f"`mode` (={self.mode!r}) must be add, replace or blend.")

    def apply(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        return _put(picture, place, self.size, self.mode, level, self._colour(len(picture)))

    def _colour(self, channels: int) -> np.ndarray:
        colour = np.array(self.colour, dtype=np.float32) if channels == 3 else np.full(channels, np.mean(self.colour))
        return colour.astype(np.float32)[:, None, None]


@dataclass(frozen=True, kw_only=True)
class Pixel(Box):
    """One pixel: a Box of size 1."""

    words: ClassVar[str] = "one changed pixel"

    size: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A size x size patch of independent uniform noise in place of a Box's colour: in [-1, 1] for add, else [0, 1]."""

    words: ClassVar[str] = "a small patch of noise"

    size: int = 4
    mode: Mode = "add"

    def __post_init__(self) -> None:
        Box(size=self.size, mode=self.mode)

    def apply(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        low = -1.0 if self.mode == "add" else 0.0
        texture = rng.uniform(low, 1.0, (len(picture), self.size, self.size)).astype(np.float32)
        return _put(picture, place, self.size, self.mode, level, texture)


def _put(picture: Picture, place: tuple[int, int], size: int, mode: Mode, level: float, value: np.ndarray) -> Picture:
    row, column = place
    rows, columns = picture.shape[1:]
    if not (0 <= row <= rows - size and 0 <= column <= columns - size):
        raise ValueError(f"`place` (={place}) with size {size} leaves the {rows} x {columns} picture.")
    if not 0 <= level <= 1:
        raise ValueError(f"`level` (={level}) must be within 0 and 1.")
    changed = picture.copy()
    if level == 0:
        return changed
    patch = changed[:, row : row + size, column : column + size]
    if mode == "add":
        inward = np.where(patch.mean((1, 2), keepdims=True) > 0.5, -1, 1)
        patch += np.float32(level) * inward * value
    elif mode == "replace":
        patch[...] = level * value
    else:
        patch += np.float32(level) * (value - patch)
    np.clip(patch, 0, 1, out=patch)
    return changed
