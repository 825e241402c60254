"""Where in a photograph an object may be put: masks, boxes, a rule about brightness. No model is asked."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image
from scipy import ndimage

from perturb.errors import InputError
from perturb.files import read_bytes
from perturb.images.photograph import Box, Picture, Stored, random_crop
from perturb.visible import plain

Allowed = Bool[np.ndarray, "row column"]
LOCAL = 9  # pixels: the side of the square over which brightness is averaged
LIMIT = 2**28  # bytes of a mask file


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The pixels of a photograph for which every condition holds that is given."""

    masks: Path | None = None  # a folder of PNG files, named as the photographs; nonzero pixels
    boxes: tuple[tuple[int, int, int, int], ...] = ()  # within one of them: top, left, bottom, right; the ends excluded
    brighter_than: float | None = None  # the mean of all channels over LOCAL x LOCAL pixels
    darker_than: float | None = None
    margin: int = 0  # pixels that the object keeps from the region's border, and from that of the photograph

    @property
    def words(self) -> str:
        """The conditions in words, for reports."""
        said = {
            "on its mask": self.masks is not None,
            f"in {len(self.boxes)} box{'es' * (len(self.boxes) > 1)}": bool(self.boxes),
            f"where the picture is brighter than {self.brighter_than}": self.brighter_than is not None,
            f"where the picture is darker than {self.darker_than}": self.darker_than is not None,
            f"{self.margin} pixel{'s' * (self.margin > 1)} from the border": self.margin > 0,
        }
        return ", ".join(words for words, holds in said.items() if holds)

    def allowed(self, picture: Picture, name: str) -> Allowed:
        """Of a whole photograph. Raises InputError for a mask that is missing, damaged or of another size than it."""
        found = np.ones(picture.shape[1:], dtype=bool)
        if self.masks is not None:
            found &= _mask(self.masks, name, picture.shape[1:])
        if self.boxes:
            inside = np.zeros_like(found)
            for top, left, bottom, right in self.boxes:
                inside[top:bottom, left:right] = True
            found &= inside
        if self.brighter_than is not None or self.darker_than is not None:
            local = ndimage.uniform_filter(picture.mean(0), LOCAL, mode="nearest")
            found &= local > (-np.inf if self.brighter_than is None else self.brighter_than)
            found &= local < (np.inf if self.darker_than is None else self.darker_than)
        return found if not self.margin else _shrunk(found, self.margin)


def crop_at(
    stored: Stored, allowed: Allowed | None, shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[Picture, Box]:
    """A random crop that holds a pixel drawn from the allowed ones, and its box: see `random_crop`."""
    size, (rows, columns) = stored.shape[1:], shape[1:]
    if allowed is None or size[0] < rows or size[1] < columns:  # one that is enlarged is nearly whole
        return random_crop(stored, shape, rng)
    every = np.flatnonzero(allowed)
    at = np.unravel_index(every[rng.integers(len(every))], size)
    top, left = (max(0, int(n) - side + 1) for n, side in zip(at, (rows, columns), strict=True))
    near = stored[:, top : int(at[0]) + rows, left : int(at[1]) + columns]
    pixels, cut = random_crop(near, shape, rng)
    return pixels, cut + np.array([top, left, 0, 0])


def _mask(folder: Path, name: str, shape: tuple[int, ...]) -> Allowed:
    named = Path(name).with_suffix(".png")
    path = next((path for path in (folder / named, folder / named.name) if path.is_file()), None)
    if path is None:
        raise InputError(
            f"[region] masks: `{plain(folder)}` has no `{plain(named)}` for the photograph `{plain(name)}`."
        )
    data = read_bytes(path, limit=LIMIT)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            values = np.asarray(opened)
            alpha = opened.mode.endswith("A")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(plain(f"[region] masks: `{path}` is no PNG file that can be read: {error}")) from error
    colours = np.atleast_3d(values)[..., : -1 if alpha else None]
    if colours.shape[:2] != tuple(shape):
        (rows, columns), (there, across) = shape, colours.shape[:2]
        raise InputError(
            f"[region] masks: `{plain(path)}` has {there} x {across} pixels, its photograph {rows} x {columns}."
        )
    return np.asarray((colours != 0).any(-1))


def _shrunk(allowed: Allowed, margin: int) -> Allowed:
    """Without pixels less than `margin` from one that is not allowed, along rows or columns; nor from the border."""
    return np.asarray(ndimage.minimum_filter(allowed, 2 * margin + 1, mode="constant", cval=0))
