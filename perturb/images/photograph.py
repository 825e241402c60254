"""A photograph, and the crops of it: what a model sees, and where in the photograph that lies."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

WHOLE = 2**26  # values of an enlarged photograph: 64 MiB of 8 bits, 256 MiB of floats
Picture = Float[np.ndarray, "channel row column"]
Stored = UInt8[np.ndarray, "channel row column"] | Float[np.ndarray, "channel row column"]
Box = Float[np.ndarray, "4"]  # top, left, height, width in pixels of the photograph


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A picture in the model's number of channels.

    `stored` is uint8 where 8 bits hold every value exactly, k for k / 255, and float32 within [0, 1] otherwise.
    """

    stored: Stored
    more: tuple[Stored, ...] = ()  # further frames, where they are asked for
    name: str  # printable
    path: Path
    digest: str  # of the pixels, whatever file they came in

    @property
    def values(self) -> Picture:
        """float32 within [0, 1]."""
        return as_values(self.stored)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.stored.shape[1], self.stored.shape[2]


def as_values(stored: Stored) -> Picture:
    """float32 within [0, 1]."""
    return stored.astype(np.float32) / 255 if stored.dtype == np.uint8 else stored


def digest_of(stored: Stored) -> str:
    """SHA-256 of the mode, the size and the pixels: equal for equal pixels, whatever file they came in."""
    channels, rows, columns = stored.shape
    depth = "" if stored.dtype == np.uint8 else " float32"
    mode = {1: "L", 3: "RGB"}.get(channels, f"{channels} channels")
    found = hashlib.sha256(f"{mode}{depth} {(columns, rows)}".encode())
    found.update(np.ascontiguousarray(stored.transpose(1, 2, 0)).data)
    return found.hexdigest()


def random_crop(stored: Stored, shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[Picture, Box]:
    """A random crop of `shape` at native resolution, and its box; a photograph that is smaller is enlarged first."""
    rows, columns = shape[1:]
    height, width = stored.shape[1:]
    enlarged = enlarged_size((height, width), shape)
    top = int(rng.integers(enlarged[0] - rows + 1))
    left = int(rng.integers(enlarged[1] - columns + 1))
    pixels = as_values(np.ascontiguousarray(_part(stored, enlarged, (top, left), (rows, columns))))
    down, across = height / enlarged[0], width / enlarged[1]
    return pixels, np.array([top * down, left * across, rows * down, columns * across])


def enlarged_size(size: tuple[int, int], shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of the photograph that is just large enough for the crop; its own where it is already."""
    rows, columns = shape[1:]
    scale = max(rows / size[0], columns / size[1])
    return (max(rows, round(size[0] * scale)), max(columns, round(size[1] * scale))) if scale > 1 else size


def fitted(stored: Stored, shape: tuple[int, int, int]) -> tuple[Picture, Box]:
    """The centre of the picture, resized so that it just covers the input, and its box."""
    rows, columns = shape[1:]
    height, width = stored.shape[1:]
    found = [
        ImageOps.fit(Image.fromarray(channel), (columns, rows), Image.Resampling.BICUBIC)
        for channel in np.ascontiguousarray(stored)
    ]
    scale = max(rows / height, columns / width)
    part = rows / scale, columns / scale
    box = np.array([(height - part[0]) / 2, (width - part[1]) / 2, *part])
    return as_values(_joined(found)), box


def cut_like(layer: Stored, cut: Box, shape: tuple[int, int, int]) -> Stored:
    """What lies in the crop of another layer of the same photograph, such as a mask: nearest values, no new ones.

    `layer` (channel, row, column) has the photograph's rows and columns; the result has those of `shape`.
    """
    top, left, height, width = cut
    found = [
        Image.fromarray(channel).resize(
            (shape[2], shape[1]), Image.Resampling.NEAREST, box=(left, top, left + width, top + height)
        )
        for channel in np.ascontiguousarray(layer)
    ]
    return np.stack([np.asarray(channel) for channel in found])


def placed_in(
    points: Float[np.ndarray, "point 2"], cut: Box, shape: tuple[int, int, int]
) -> Float[np.ndarray, "point 2"]:
    """Where points (row, column) of the photograph lie in the crop; some lie outside it.

    Both are continuous: the first pixel reaches from 0 to 1, and its centre is 0.5.
    """
    top, left, height, width = cut
    return (points - np.array([top, left])) * np.array([shape[1] / height, shape[2] / width])


def _part(stored: Stored, size: tuple[int, int], at: tuple[int, int], shape: tuple[int, int]) -> Stored:
    """What `resized` has in a rectangle: cut before it is enlarged where the whole would take much memory.

    Pillow rounds the two by one grey level otherwise here and there, so what fits is enlarged as ever.
    """
    (top, left), (rows, columns) = at, shape
    if len(stored) * size[0] * size[1] <= WHOLE:
        return resized(stored, size)[:, top : top + rows, left : left + columns]
    down, across = (n / made for n, made in zip(stored.shape[1:], size, strict=True))
    box = (left * across, top * down, (left + columns) * across, (top + rows) * down)
    return _joined([Image.fromarray(c).resize((columns, rows), Image.Resampling.BICUBIC, box=box) for c in stored])


def resized(stored: Stored, size: tuple[int, int]) -> Stored:
    """Each channel on its own by Pillow's bicubic filter; itself where it has the size already."""
    if stored.shape[1:] == size:
        return stored
    channels = np.ascontiguousarray(stored)
    return _joined([Image.fromarray(c).resize(size[::-1], Image.Resampling.BICUBIC) for c in channels])


def _joined(channels: list[Image.Image]) -> Stored:
    """The cubic filter overshoots: floats are cut to [0, 1], as Pillow does with 8 bits."""
    found = np.stack([np.asarray(channel) for channel in channels])
    return found if found.dtype == np.uint8 else found.clip(0, 1)
