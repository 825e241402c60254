"""Arrays with a header in one .npz file: exact, checked when they are read, without pickle."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perturb import files
from perturb.errors import InputError
from perturb.visible import plain

LIMIT = 2**30  # bytes of a file, and of the arrays in it


@dataclass(frozen=True, slots=True)
class Stored:
    """The arrays of one experiment or map in a file."""

    arrays: Mapping[str, np.ndarray]
    at: str
    where: str

    def take(self, name: str, kind: str, *shape: int | None) -> np.ndarray:
        """One of them. Raises InputError where its kind or shape is another; None is any length."""
        key = f"{self.at}/{name}" if name else self.at
        found = self.arrays.get(key)
        if found is None:
            raise InputError(f"`{self.where}`: {key}: is missing.")
        fits = found.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, found.shape, strict=True))
        if found.dtype.kind != kind or not fits:
            wanted = f"{'integers' if kind == 'i' else 'floats'} of shape {_shape(shape)}"
            raise InputError(f"`{self.where}`: {key}: expected {wanted}, got {found.dtype} of {_shape(found.shape)}.")
        return found


def small(values: np.ndarray) -> np.ndarray:
    """In half the bytes, where that loses nothing."""
    half = values.astype({"i": np.int32, "f": np.float32}.get(values.dtype.kind, values.dtype))
    return half if np.array_equal(half, values, equal_nan=values.dtype.kind == "f") else values


def pack(arrays: Mapping[str, np.ndarray], header: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, header=np.array(files.encode(header)), **arrays)
    return buffer.getvalue()


def unpack(data: bytes, where: str) -> tuple[dict[str, np.ndarray], str]:
    """The arrays and the header's text. Raises InputError for what is no .npz, or would be too large in memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > LIMIT:
                raise InputError(f"`{where}`: expected at most {LIMIT >> 20} MiB of arrays, got {size >> 20} MiB.")
            if (damaged := archive.testzip()) is not None:
                raise InputError(f"`{where}`: the check sum of `{damaged}` does not match: measure it again.")
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = dict(stored)
        for key, value in arrays.items():
            if not isinstance(value, np.ndarray):
                raise InputError(f"`{where}`: {key}: expected an array.")
        return arrays, str(arrays.pop("header"))
    except InputError:
        raise
    except Exception as error:  # damaged archives raise whatever zipfile, zlib and NumPy's headers come across
        told = " ".join(str(error).split())[:200]
        raise InputError(plain(f"`{where}`: cannot be read: {type(error).__name__}: {told}.")) from error


def _shape(lengths: tuple[int | None, ...]) -> str:
    return " x ".join("any" if length is None else str(length) for length in lengths) or "one number"
