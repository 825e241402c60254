"""Small print: a number, dark on whatever lies below."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

Picture = Float[np.ndarray, "channel row column"]
Ink = Float[np.ndarray, "row column"]
FAINT = 0.1  # ink below this share does not count as the word's first or last row or column


DIGITS = """
### .#. ### ### #.# ### ### ### ### ###
#.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
#.# .#. ### ### ### ### ### ..# ### ###
#.# .#. #.. ..# ..# ..# #.# ..# #.# ..#
### ### ### ### ..# ### ### ..# ### ###
"""


@dataclass(frozen=True, kw_only=True)
class Print:
    """A number of `digits` random digits, dark: x - l ink, clipped, at the level l. Its first ink lies at the place.

    Without a `font` the digits are 5 pixels high and 3 wide, one apart; with one, a font file, they are drawn at
    `font_size` pixels, and the extent is that of the widest number.
    """

    words: ClassVar[str] = "a number in small print, darker than what lies below"

    digits: int = 5
    font: str = ""
    font_size: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 100:
            raise ValueError(f"`digits` (={self.digits}) must be 1 to 100.")
        if not 3 <= self.font_size <= 1000:
            raise ValueError(f"`font_size` (={self.font_size}) must be 3 to 1000 pixels.")
        if self.font:
            _font(self.font, self.font_size)

    @property
    def size(self) -> int:
        return max(self.extent)

    @property
    def extent(self) -> tuple[int, int]:
        return _extent(self.font, self.font_size, self.digits)

    def apply(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        ink = _ink("".join(rng.choice(list("0123456789"), self.digits)), self.font, self.font_size)
        row, column = place
        rows, columns = ink.shape
        if not (0 <= row <= picture.shape[1] - rows and 0 <= column <= picture.shape[2] - columns):
            raise ValueError(
                f"`place` (={place}): a word of {rows} x {columns} leaves the {picture.shape[1:]} picture."
            )
        changed = picture.copy()
        patch = changed[:, row : row + rows, column : column + columns]
        np.clip(patch - np.float32(level) * ink, 0, 1, out=patch)
        return changed


def _ink(text: str, path: str, size: int) -> Ink:
    """The share of ink in each pixel, without empty rows and columns around it."""
    if not path:
        gap = np.zeros((5, 1), dtype=np.float32)
        parts = [part for digit in text for part in (_bitmaps()[int(digit)], gap)]
        return np.concatenate(parts[:-1], 1)
    font = _font(path, size)
    canvas = Image.new("L", (int(font.getlength(text)) + 2 * size, 3 * size), 0)
    ImageDraw.Draw(canvas).text((size // 2, size // 2), text, font=font, fill=255)
    ink = np.asarray(canvas, dtype=np.float32) / 255
    rows, columns = (np.flatnonzero(ink.max(axis) > FAINT) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def _bitmaps() -> list[Ink]:
    rows = [line.split() for line in DIGITS.strip().splitlines()]
    return [np.array([[c == "#" for c in row[digit]] for row in rows], dtype=np.float32) for digit in range(10)]


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise ValueError(f"`font` (={path!r}) cannot be read: {error}") from error


@cache
def _extent(path: str, size: int, digits: int) -> tuple[int, int]:
    shapes = [_ink(digit * digits, path, size).shape for digit in "0123456789"]
    return max(rows for rows, _ in shapes), max(columns for _, columns in shapes)
