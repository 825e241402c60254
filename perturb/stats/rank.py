"""Rank correlation of a few things: it assumes a monotonic relation, not a straight line."""

import numpy as np
from jaxtyping import Float
from scipy import stats


def spearman(
    first: Float[np.ndarray, " thing"], second: Float[np.ndarray, " thing"], confidence: float
) -> tuple[float, float, float]:
    """Spearman's rho and its interval: Fisher's z with variance (1 + rho^2/2)/(n - 3), Bonett and Wright (2000).

    Tied values share their mean rank; infinity ranks above every number. Where one side has a single value, rho is
    NaN and the interval -1 to 1. Raises ValueError below 4 things.
    """
    n = len(first)
    if n < 4:
        raise ValueError(f"`first` (n = {n}): a rank correlation's interval needs at least 4 things.")
    ranks = [stats.rankdata(side) for side in (first, second)]
    if min(np.ptp(side) for side in ranks) == 0:
        return float("nan"), -1.0, 1.0
    rho = float(np.corrcoef(*ranks)[0, 1])
    short_of_one = 1 - 6 / (n * (n**2 - 1))  # half-way to 1 from the next smaller rho
    z = np.arctanh(np.clip(rho, -short_of_one, short_of_one))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return rho, float(np.tanh(z - half)), float(np.tanh(z + half))
