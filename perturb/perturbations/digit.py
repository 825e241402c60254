"""The picture itself as the small thing: a digit that lies somewhere on a black canvas."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, kw_only=True)
class Digit:
    """A digit of size x size pixels, its strength the level l in [0, 1]: l x digit at the place.

    Kim et al. (2023) use 14 pixels on a canvas of 224 x 224.
    """

    words: ClassVar[str] = "a small digit"

    size: int = 14

    def put(self, canvas: Picture, digit: Picture, place: tuple[int, int], level: float) -> Picture:
        """The canvas with the digit, its top left at `place`."""
        row, column = place
        shown = canvas.copy()
        shown[:, row : row + self.size, column : column + self.size] = np.float32(level) * digit
        return shown
