"""Picture files: which there are, opened one after another, cut or fitted to the network's input."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from perturb.errors import InputError, PerturbWarning, UsageError

Picture = Float[np.ndarray, "channel row column"]

READABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})


def in_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"images: there is no folder `{folder}`.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
    if not paths:
        raise InputError(f"images: `{folder}` holds no pictures ({', '.join(sorted(READABLE))}).")
    return paths


def opened_in_turn(paths: list[Path], shape: tuple[int, int, int]) -> Iterable[tuple[Path, Image.Image]]:
    """Those that can be read; the others are named in one warning at the end."""
    unreadable: list[str] = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                yield path, as_colour(opened, shape[0])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow's ways to refuse a file
            unreadable.append(path.name)
    if unreadable:
        more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        names = ", ".join(unreadable[:5])
        warnings.warn(f"{len(unreadable)} unreadable pictures left out: {names}{more}", PerturbWarning, stacklevel=3)


def as_colour(opened: Image.Image, channels: int) -> Image.Image:
    if channels not in (1, 3):
        raise InputError(f"pictures have 1 or 3 channels, the network wants {channels}.")
    if opened.mode.startswith(("I", "F")):  # 16-bit and float files: scaled by their own range
        values = np.asarray(opened, dtype=np.float64)
        span = np.ptp(values) or 1.0
        opened = Image.fromarray(np.uint8(255 * (values - values.min()) / span))
    return opened.convert("L" if channels == 1 else "RGB")


def random_crop(photograph: Image.Image, shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    rows, columns = shape[1:]
    scale = max(rows / photograph.height, columns / photograph.width)
    if scale > 1:
        size = (max(columns, round(photograph.width * scale)), max(rows, round(photograph.height * scale)))
        photograph = photograph.resize(size, Image.Resampling.BICUBIC)
    top = int(rng.integers(photograph.height - rows + 1))
    left = int(rng.integers(photograph.width - columns + 1))
    return _values(photograph.crop((left, top, left + columns, top + rows)), shape)


def fitted(photograph: Image.Image, shape: tuple[int, int, int]) -> Picture:
    """The middle of a picture whose shorter side is brought to the input's: what it shows stays whole, nearly."""
    return _values(ImageOps.fit(photograph, (shape[2], shape[1]), Image.Resampling.BICUBIC), shape)


def _values(picture: Image.Image, shape: tuple[int, int, int]) -> Picture:
    values = np.asarray(picture, dtype=np.float32) / 255
    return np.ascontiguousarray(values.reshape(*shape[1:], shape[0]).transpose(2, 0, 1))
