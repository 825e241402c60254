"""The jackknife: an interval for any smooth statistic of clusters."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

Statistic = Callable[[Int[np.ndarray, " cluster"]], Float[np.ndarray, " value"]]


def jackknife_interval(
    statistic: Statistic, clusters: int, confidence: float
) -> tuple[Float[np.ndarray, " value"], Float[np.ndarray, " value"], Float[np.ndarray, " value"]]:
    """Values of all clusters, and the ends of Student's t intervals with the jackknife's standard error: Tukey (1958).

    `statistic` takes the numbers of the clusters that count and gives one or several values.
    Raises ValueError below 2 clusters.
    """
    if clusters < 2:
        raise ValueError(f"`clusters` (= {clusters}): an interval needs at least 2.")
    every = np.arange(clusters)
    value = statistic(every)
    without = np.stack([statistic(np.delete(every, one)) for one in every])
    error = np.sqrt((clusters - 1) * without.var(0))
    half = float(stats.t.ppf((1 + confidence) / 2, clusters - 1)) * error
    return value, value - half, value + half
