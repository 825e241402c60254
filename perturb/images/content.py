"""Photographs are told apart by their content: a digest of each, whatever its file is called."""

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Float

from perturb.records import Images


def gathered(
    pixels: Float[np.ndarray, "image channel row column"], names: tuple[str, ...], source: str, **labels: Any
) -> Images:
    """Images of one photograph each, told apart by their pixels. `labels` and `classes` as in Images."""
    count = len(pixels)
    return Images(
        pixels=pixels,
        photograph=np.arange(count),
        crop=np.zeros(count, dtype=np.int64),
        names=names,
        digests=tuple(_digest(np.ascontiguousarray(picture).tobytes()) for picture in pixels),
        source=source,
        **labels,
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
