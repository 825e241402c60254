"""The user's own object, cut out of a picture: a PNG file with transparency."""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from perturb.files import read_bytes
from perturb.perturbations.mark import Colour, Ink, Mark, Mode, Picture

LIMIT = 2**26  # bytes of a file
LARGEST = 1000  # pixels along the longest side, as it is put into a picture


@dataclass(frozen=True, kw_only=True)
class Cutout(Mark):
    """The object in a PNG file, its alpha the ink and its own colours, times `colour`, the colour: see Mark.

    Blended in, x + l a (c - x), it shows at level 1 as it is in the file. Transparent borders are cut off. Its longest
    side becomes `longest` pixels; without it the object keeps its size. It is turned by `angle` degrees anticlockwise.
    Both are bicubic, antialiased, and weight colours by alpha.
    """

    words: ClassVar[str] = "an object cut out of a picture"

    file: str = ""
    longest: int | None = None
    angle: float = 0.0
    mode: Mode = "blend"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file:
            raise ValueError("`file` is missing: name a PNG file with transparency.")
        if self.longest is not None and not 1 <= self.longest <= LARGEST:
            raise ValueError(f"`longest` (={self.longest}) must be 1 to {LARGEST} pixels.")
        if not -360 <= self.angle <= 360:
            raise ValueError(f"`angle` (={self.angle}) must be -360 to 360 degrees.")
        _cut(self.file, self.longest, self.angle)

    @property
    def extent(self) -> tuple[int, int]:
        rows, columns = self.object(3, np.random.default_rng(0))[0].shape
        return rows, columns

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        values = _cut(self.file, self.longest, self.angle)
        own = values[:3] if channels == 3 else values[:3].mean(0, keepdims=True).repeat(channels, 0)
        return values[3], own * self._colour(channels)


@cache
def _cut(file: str, longest: int | None, angle: float) -> Picture:
    """Red, green, blue and alpha. Raises ValueError for a file that holds no such object, InputError for no file."""
    data = read_bytes(Path(file), limit=LIMIT)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            if not opened.has_transparency_data:
                raise ValueError("it has no transparency, so its outline is unknown; save it with an alpha channel")
            whole = opened.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"`file` (={file!r}) holds no cut-out: {error}.") from error
    cut = _bounded(whole, file)
    scale = (longest or max(cut.size)) / max(cut.size)
    if angle:
        cut = _bounded(cut.rotate(angle, Image.Resampling.BICUBIC, expand=True), file)
    columns, rows = (max(1, round(scale * n)) for n in cut.size)
    if max(columns, rows) > 1.5 * LARGEST:
        raise ValueError(f"`file` (={file!r}): an object of {rows} x {columns} pixels is too large; give `longest`.")
    cut = cut.resize((columns, rows), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(cut, dtype=np.float32).transpose(2, 0, 1)) / np.float32(255)


def _bounded(picture: Image.Image, file: str) -> Image.Image:
    """Without the transparent border."""
    box = picture.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"`file` (={file!r}) holds no cut-out: all of it is transparent.")
    return picture.crop(box)
