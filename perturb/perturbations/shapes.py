"""Small defects with a shape: a blob and a scratch. Their ink is the share of each pixel that they cover."""

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from perturb.perturbations.mark import Colour, Ink, Mark

CUT = 3.0  # standard deviations of the point spread beyond which a blob ends
FINE = 8  # samples along each side of a pixel


@dataclass(frozen=True, kw_only=True)
class Blob(Mark):
    """A Gaussian point spread of standard deviation `sigma` pixels, or a disc of `diameter` pixels seen through it.

    The point spread is integrated over each pixel, exactly; the disc is sampled at FINE x FINE points a pixel. The blob
    lies on the centre of its middle pixel, ends diameter / 2 + CUT sigma from there (measured to pixel centres), and is
    scaled to 1 at its middle: the level is the change of the middle pixel.
    """

    words: ClassVar[str] = "a blurred blob"

    sigma: float = 1.0
    diameter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.1 <= self.sigma <= 50:
            raise ValueError(f"`sigma` (={self.sigma}) must be 0.1 to 50 pixels.")
        if not 0 <= self.diameter <= 200:
            raise ValueError(f"`diameter` (={self.diameter}) must be 0 to 200 pixels.")

    @property
    def extent(self) -> tuple[int, int]:
        return _blob(self.sigma, self.diameter).shape

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        return _blob(self.sigma, self.diameter), self._colour(channels)


@dataclass(frozen=True, kw_only=True)
class Scratch(Mark):
    """A straight line of `width` x `length` pixels with square ends, at `angle` degrees anticlockwise from the row.

    Without an angle each trial draws its own, the same in both arms, and the extent is that of the widest. The line
    lies about the middle of its rectangle. Its ink is the share of FINE x FINE points of a pixel that it covers.
    """

    words: ClassVar[str] = "a scratch"

    width: float = 1.0
    length: float = 16.0
    angle: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.25 <= self.width <= self.length <= 1000:
            raise ValueError(
                f"`width` (={self.width}) must be at least 0.25 pixels and at most `length` (={self.length}), "
                "and that at most 1000."
            )
        if not -360 <= (self.angle or 0) <= 360:
            raise ValueError(f"`angle` (={self.angle}) must be -360 to 360 degrees.")

    @property
    def extent(self) -> tuple[int, int]:
        if self.angle is not None:
            return _scratch(self.width, self.length, self.angle).shape
        side = math.ceil(math.hypot(self.width, self.length))
        return side, side

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        colour = self._colour(channels)
        if self.angle is not None:
            return _scratch(self.width, self.length, self.angle), colour
        return _line(self.width, self.length, float(rng.uniform(0, 180)), self.extent), colour


@cache
def _blob(sigma: float, diameter: float) -> Ink:
    radius = diameter / 2 + CUT * sigma
    far = math.floor(radius)
    at = np.arange(-far, far + 1, dtype=float)
    points = _points(2 * math.ceil(diameter / 2 + 0.5) + 1) if diameter else np.zeros(1)
    disc = (points[:, None] ** 2 + points**2 <= diameter**2 / 4).astype(float)
    seen = ndtr((at[:, None] + 0.5 - points) / sigma) - ndtr((at[:, None] - 0.5 - points) / sigma)
    ink = seen @ disc @ seen.T
    ink[at[:, None] ** 2 + at**2 > radius**2] = 0
    return (ink / ink[far, far]).astype(np.float32)


@cache
def _scratch(width: float, length: float, angle: float) -> Ink:
    """In the smallest rectangle that holds it."""
    sine, cosine = (abs(f(math.radians(angle))) for f in (math.sin, math.cos))
    rows, columns = length * sine + width * cosine, length * cosine + width * sine
    return _line(width, length, angle, (math.ceil(rows - 1e-9), math.ceil(columns - 1e-9)))


def _line(width: float, length: float, angle: float, extent: tuple[int, int]) -> Ink:
    down, right = (_points(n) for n in extent)
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    along = right * cosine - down[:, None] * sine
    across = right * sine + down[:, None] * cosine
    covered = (abs(along) <= length / 2) & (abs(across) <= width / 2)
    rows, columns = extent
    return covered.reshape(rows, FINE, columns, FINE).mean((1, 3), dtype=np.float32)


def _points(pixels: int) -> Float[np.ndarray, " point"]:
    """FINE points in each of so many pixels, counted in pixels from the middle of them all."""
    return (np.arange(pixels * FINE) + 0.5) / FINE - pixels / 2
