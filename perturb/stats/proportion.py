"""Shares of yes/no outcomes in clusters."""

import numpy as np
from jaxtyping import Float
from scipy import stats


def wilson(means: Float[np.ndarray, " cluster"], trials: int, confidence: float) -> tuple[float, float]:
    """Wilson (1927) interval of the mean share, with the effective number of trials p (1 - p) / var(mean).

    Clusters cost information, so it lies between the number of clusters and of trials; where all outcomes agree
    their correlation is unknown, and it is the number of clusters.
    """
    share, n = float(means.mean()), len(means)
    variance = float(means.var(ddof=1)) / n if n > 1 else 0.0
    effective = float(np.clip(share * (1 - share) / variance, n, trials)) if variance > 0 else float(n)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    scale = 1 + z**2 / effective
    centre = (share + z**2 / (2 * effective)) / scale
    half = z / scale * float(np.sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2)))
    return 0.0 if share == 0 else max(0.0, centre - half), 1.0 if share == 1 else min(1.0, centre + half)
