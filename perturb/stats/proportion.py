"""Shares of yes/no outcomes in clusters."""

import numpy as np
from jaxtyping import Float
from scipy import stats

UNSEEN = np.array([0.0, 1.0])  # two clusters added to those seen, to estimate how clusters vary
QUARTER = 0.25  # of each of them


def wilson(means: Float[np.ndarray, " cluster"], trials: int, confidence: float) -> tuple[float, float]:
    """Wilson (1927) interval of the mean share, with the effective number of trials p (1 - p) / var(mean).

    Trials in clusters carry less information than independent ones, and a few clusters do not show how much less.
    So p and the variance are estimated with half a cluster more: a quarter of one that is all 0, a quarter of one that
    is all 1. With the clusters' own variance, an interval of 0.95 over twelve clusters that differ much covers 0.83.
    `trials` bounds the effective number. An end is exactly 0 or 1 where every trial is.
    """
    share, n = float(means.mean()), len(means)
    seen, weight = np.concatenate([means, UNSEEN]), np.concatenate([np.ones(n), np.full(2, QUARTER)])
    expected = float(np.average(seen, weights=weight))
    variance = float(weight @ (seen - expected) ** 2) / (weight.sum() - 1) / n
    effective = float(min(expected * (1 - expected) / variance, trials))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    scale = 1 + z**2 / effective
    centre = (share + z**2 / (2 * effective)) / scale
    half = z / scale * float(np.sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2)))
    return 0.0 if share == 0 else max(0.0, centre - half), 1.0 if share == 1 else min(1.0, centre + half)
