"""Handwritten digits: those of scikit-learn, which need no download, or MNIST from torchvision's files."""

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from perturb.errors import InputError, UsageError
from perturb.files import read_bytes
from perturb.images.content import gathered
from perturb.images.photograph import fitted
from perturb.images.spool import spooled
from perturb.records import Images
from perturb.streams import stream

Values = UInt8[np.ndarray, "digit row column"]
Labels = Int[np.ndarray, " digit"]
LIMIT = 2**28  # bytes of a file, and of what is packed in it: MNIST has 47 million


def scikit_digits(shape: tuple[int, int, int], *, count: int, seed: int) -> Images:
    """`count` of scikit-learn's 1797 digits (8 x 8 pixels, 17 grey levels), enlarged to `shape`."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    return _images((values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels, shape, "digits", count, seed)


def mnist(root: Path, shape: tuple[int, int, int], *, count: int, seed: int) -> Images:
    """`count` of MNIST's 70 000 digits (28 x 28), resized to `shape`, from the files in MNIST/raw, gzipped or not."""
    raw = next((root / place for place in ("MNIST/raw", "raw", ".") if _file(root / place, "train-images-idx3")), None)
    if raw is None:
        raise UsageError(f"`images`: no MNIST in `{root}`, expected the file MNIST/raw/train-images-idx3-ubyte in it.")
    values = np.concatenate([_idx(raw, f"{part}-images-idx3") for part in ("train", "t10k")])
    labels = np.concatenate([_idx(raw, f"{part}-labels-idx1") for part in ("train", "t10k")]).astype(np.int64)
    if len(values) != len(labels):
        raise InputError(f"`images`: `{raw}` has {len(values)} digits but {len(labels)} labels; download it again.")
    return _images(values, labels, shape, f"mnist:{root}", count, seed)


def _images(values: Values, labels: Labels, shape: tuple[int, int, int], source: str, count: int, seed: int) -> Images:
    chosen = np.sort(stream(seed, "images/digits").permutation(len(values))[:count])
    grey = (shape[0], *values.shape[1:])  # the same values in every channel
    pixels = spooled(fitted(np.broadcast_to(values[i], grey), shape)[0] for i in chosen)
    names = tuple(f"digit-{i}" for i in chosen)
    return gathered(pixels, names, source, labels=labels[chosen], classes=tuple("0123456789"))


def _file(folder: Path, name: str) -> Path | None:
    found = (folder / f"{name}-ubyte{end}" for end in ("", ".gz"))
    return next((path for path in found if path.is_file()), None)


def _idx(folder: Path, name: str) -> UInt8[np.ndarray, "..."]:
    """The values of an IDX file: two zeros, the type (8: bytes), the number of axes, their lengths, the values.

    Raises InputError for a file that is damaged or of another type.
    """
    path = _file(folder, name)
    if path is None:
        raise UsageError(
            f"`images`: the file `{folder}/{name}-ubyte` is missing; copy it there or download MNIST again."
        )
    damaged = InputError(f"`images`: `{path}` is not a complete IDX file of bytes; copy or download it again.")
    try:
        data = read_bytes(path, limit=LIMIT)
        if path.suffix == ".gz":
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LIMIT)
        axes = np.frombuffer(data, ">u4", count=data[3], offset=4) if data[:3] == b"\0\0\x08" else ()
    except (OSError, EOFError, zlib.error, IndexError, ValueError) as error:  # cut short, or not gzipped at all
        raise damaged from error
    if not len(axes) or len(data) != 4 + 4 * len(axes) + int(np.prod(axes)):
        raise damaged
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(axes)).reshape(axes)
