"""Colours for contributions: dark is dead, bright is live; even in lightness, readable without colour vision."""

import numpy as np
from jaxtyping import Float, UInt8

# Nine anchors of viridis (van der Walt and Smith, 2015; CC0).
ANCHORS = np.array(
    [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ]
)


def paint(values: Float[np.ndarray, "row column"], low: float, high: float) -> UInt8[np.ndarray, "row column 3"]:
    """`low` is the darkest colour, `high` the brightest; beyond them the ends. Equal bounds: the middle."""
    share = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
    at = np.linspace(0, 1, len(ANCHORS))
    channels = [np.interp(share, at, ANCHORS[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)
