"""Picture files: listed, and opened one by one."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.images.photograph import Photograph, digest_of

READABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})


def is_picture(path: Path, folder: Path) -> bool:
    """Whether `path` in `folder` is a picture file, and neither hidden nor in a hidden folder (.ipynb_checkpoints)."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in READABLE and not hidden and path.is_file()


def in_folder(folder: Path) -> list[Path]:
    """The picture files in a folder and its subfolders, in sorted order."""
    if not folder.is_dir():
        raise UsageError(f"`images`: folder `{folder}` does not exist; check the path.")
    paths = sorted(p for p in folder.rglob("*") if is_picture(p, folder))
    if not paths:
        raise InputError(f"`images`: no pictures in folder `{folder}`, expected {', '.join(sorted(READABLE))}.")
    return paths


def opened_in_turn(paths: dict[Path, str], shape: tuple[int, int, int]) -> Iterable[Photograph]:
    """Each picture that can be read, under its name; one warning at the end names the others."""
    unreadable: list[str] = []
    for path, name in paths.items():
        try:
            with Image.open(path) as opened:
                picture = np.asarray(as_colour(opened, shape[0]))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for a bad file
            unreadable.append(path.name)
            continue
        stored = np.atleast_3d(picture).transpose(2, 0, 1)
        yield Photograph(stored=stored, name=name, path=path, digest=digest_of(stored))
    if unreadable:
        more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        names = ", ".join(unreadable[:5])
        warnings.warn(f"{len(unreadable)} unreadable pictures left out: {names}{more}", PerturbWarning, stacklevel=3)


def as_colour(opened: Image.Image, channels: int) -> Image.Image:
    """The picture in grey (1 channel) or RGB (3). 16-bit and float files are scaled by their own range.

    Transparency is dropped. Raises ValueError for values that are not finite, InputError for other channel numbers.
    """
    if channels not in (1, 3):
        raise InputError(
            f"`input_shape` has {channels} channels, but pictures have 1 or 3; use a network that takes these."
        )
    if opened.mode.startswith(("I", "F")):
        values = np.asarray(opened, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("values that are not finite")
        span = np.ptp(values) or 1.0
        opened = Image.fromarray(np.uint8(255 * (values - values.min()) / span))
    return opened.convert("L" if channels == 1 else "RGB")
