"""The smallest amplitude that changes a model's answer, place by place."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

Picture = Float[np.ndarray, "channel row column"]
Flips = Callable[[Float[np.ndarray, "changed channel row column"]], Bool[np.ndarray, " changed"]]
RUNGS = 12  # of the geometric ladder of amplitudes, from one grey level to the bound
HALVINGS = 4  # of the rung below the first amplitude that flips


def flipping(
    flips: Flips, picture: Picture, places: Int[np.ndarray, "pair 2"], size: int, bound: float
) -> Float[np.ndarray, " pair"]:
    """The smallest amplitude up to `bound` that changes the answer when added to, or taken from, a patch at each place.

    `flips` tells which changed pictures get another answer than `picture`. One number is added to all channels and
    pixels of the patch, which is then clipped to the pixel range. A geometric ladder from 1/255 is climbed until a rung
    flips in either direction, and the step below is halved. Infinity: no amplitude up to the bound did.
    """
    found = np.full(len(places), np.inf)
    below, sign = np.zeros(len(places)), np.ones(len(places))
    for rung in np.geomspace(min(1 / 255, bound), bound, RUNGS):
        open_ = np.flatnonzero(np.isinf(found))
        if not len(open_):
            break
        ways = np.repeat([rung, -rung], len(open_))
        up, down = np.split(flips(_moved(picture, np.tile(places[open_], (2, 1)), size, ways)), 2)
        found[open_[up | down]] = rung
        sign[open_[down & ~up]] = -1
        below[np.isinf(found)] = rung
    hit = np.flatnonzero(np.isfinite(found))
    for _ in range(HALVINGS if len(hit) else 0):
        middle = (below[hit] + found[hit]) / 2
        flipped = flips(_moved(picture, places[hit], size, sign[hit] * middle))
        found[hit], below[hit] = np.where(flipped, middle, found[hit]), np.where(flipped, below[hit], middle)
    return found


def _moved(
    picture: Picture, places: Int[np.ndarray, "pair 2"], size: int, amplitudes: Float[np.ndarray, " pair"]
) -> Float[np.ndarray, "pair channel row column"]:
    changed = np.repeat(picture[None], len(places), 0)
    for one, (row, column), amplitude in zip(changed, places, amplitudes, strict=True):
        patch = one[:, row : row + size, column : column + size]
        np.clip(patch + np.float32(amplitude), 0, 1, out=patch)
    return changed
