"""Estimates and intervals over clusters: trials on one photograph are not independent."""

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from perturb.stats.bootstrap import bca_interval

FEW = 30  # below so many clusters a bootstrap interval is too narrow: Cameron, Gelbach and Miller (2008)
RESAMPLES = 9999


def cluster_means(
    values: Float[np.ndarray, " trial"], cluster: Int[np.ndarray, " trial"]
) -> Float[np.ndarray, " cluster"]:
    """The mean of each cluster, in ascending order of the clusters' numbers, so that all weigh alike from here on."""
    _, index = np.unique(cluster, return_inverse=True)
    return np.asarray(np.bincount(index, values) / np.bincount(index))


def spread(means: Float[np.ndarray, " cluster"]) -> float:
    """Standard deviation between clusters, with n - 1; exactly 0 where all are equal."""
    return float(means.std(ddof=1)) if np.ptp(means) else 0.0


def mean_interval(
    means: Float[np.ndarray, " cluster"], confidence: float, *, rng: np.random.Generator
) -> tuple[float, float, str]:
    """Two-sided interval for the mean over clusters, and the name of its method.

    Student's t over cluster means below 30 clusters, the BCa bootstrap (Efron 1987) of clusters from 30 on. Where all
    means are equal, the interval is that point. Raises ValueError below 2 clusters.
    """
    if len(means) < 2:
        raise ValueError(f"`means` (n = {len(means)}): an interval needs at least 2 clusters.")
    centre, n = float(means.mean()), len(means)
    if np.ptp(means) == 0:
        return centre, centre, "all clusters equal"
    if n < FEW:
        half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * spread(means) / n**0.5
        return centre - half, centre + half, f"t over {n} clusters"
    low, high = bca_interval(means, confidence, RESAMPLES, rng)
    return low, high, f"BCa bootstrap over {n} clusters"
