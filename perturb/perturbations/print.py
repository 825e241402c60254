"""Small print: a number or a text, dark on whatever lies below."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perturb.errors import PerturbError
from perturb.files import check_regular
from perturb.perturbations.mark import Colour, Ink, Mark, Polarity

LIMIT = 2**28  # bytes of a font file
FAINT = 0.1  # ink below this share does not count as the word's first or last row or column


DIGITS = """
### .#. ### ### #.# ### ### ### ### ###
#.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
#.# .#. ### ### ### ### ### ..# ### ###
#.# .#. #.. ..# ..# ..# #.# ..# #.# ..#
### ### ### ### ..# ### ### ..# ### ###
"""


@dataclass(frozen=True, kw_only=True)
class Print(Mark):
    """A number of `digits` random digits, or a `text`, darker than what lies below: see Mark.

    Its first ink lies at the place. Digits without a `font` are 5 pixels high and 3 wide, one apart. With one, a font
    file, they are drawn at `font_size` pixels, and the extent is that of the widest number. A text without a font is
    drawn in Pillow's own.
    """

    words: ClassVar[str] = "a number or a text in small print"

    digits: int = 5
    text: str = ""
    font: str = ""
    font_size: int = 7
    polarity: Polarity = "darker"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.digits <= 100:
            raise ValueError(f"`digits` (={self.digits}) must be 1 to 100.")
        if len(self.text) > 100 or not self.text.isprintable():
            raise ValueError(f"`text` (={self.text!r}) must be one line of at most 100 characters.")
        if not 3 <= self.font_size <= 1000:
            raise ValueError(f"`font_size` (={self.font_size}) must be 3 to 1000 pixels.")
        _extent(self.text, self.font, self.font_size, self.digits)

    @property
    def extent(self) -> tuple[int, int]:
        return _extent(self.text, self.font, self.font_size, self.digits)

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        number = "".join(rng.choice(list("0123456789"), self.digits))
        ink = _drawn(self.text, self.font, self.font_size) if self.text else _number(number, self.font, self.font_size)
        return ink, self._colour(channels)


def _number(digits: str, path: str, size: int) -> Ink:
    if path:
        return _drawn(digits, path, size)
    gap = np.zeros((5, 1), dtype=np.float32)
    parts = [part for digit in digits for part in (_bitmaps()[int(digit)], gap)]
    return np.concatenate(parts[:-1], 1)


def _drawn(text: str, path: str, size: int) -> Ink:
    """The share of ink in each pixel, without empty rows and columns around it."""
    font = _font(path, size)
    canvas = Image.new("L", (int(font.getlength(text)) + 2 * size, 3 * size), 0)
    ImageDraw.Draw(canvas).text((size // 2, size // 2), text, font=font, fill=255)
    ink = np.asarray(canvas, dtype=np.float32) / 255
    rows, columns = (np.flatnonzero(ink.max(axis) > FAINT) for axis in (1, 0))
    if not len(rows):
        raise ValueError(f"`text` (={text!r}) leaves no ink.")
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def _bitmaps() -> list[Ink]:
    rows = [line.split() for line in DIGITS.strip().splitlines()]
    return [np.array([[c == "#" for c in row[digit]] for row in rows], dtype=np.float32) for digit in range(10)]


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own where no file is named."""
    try:
        if path:
            check_regular(Path(path), limit=LIMIT)
        font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    except (OSError, PerturbError) as error:
        raise ValueError(f"`font` (={path!r}) cannot be read: {error}") from error
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise ValueError("`text` needs a `font`, as this Pillow was built without FreeType.")
    return font


@cache
def _extent(text: str, path: str, size: int, digits: int) -> tuple[int, int]:
    if (missing := _missing(text, path, size)) is not None:
        raise ValueError(f"`text` (={text!r}): the font {path or 'of Pillow'} has no {missing!r}.")
    every = [_drawn(text, path, size)] if text else [_number(digit * digits, path, size) for digit in "0123456789"]
    return max(len(ink) for ink in every), max(ink.shape[1] for ink in every)


def _missing(text: str, path: str, size: int) -> str | None:
    """The first character that the font draws as it draws one that no font has."""

    def drawn(letter: str) -> tuple[tuple[int, int], bytes]:
        mask = _font(path, size).getmask(letter)
        return mask.size, bytes(mask)

    return next((letter for letter in text if drawn(letter) == drawn("\U0010ffff")), None)
