"""Trials of one photograph are not independent: estimates and intervals over clusters."""

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from perturb.stats.bootstrap import bca_interval

FEW = 30  # clusters below which the bootstrap covers too little: Cameron, Gelbach and Miller (2008)
RESAMPLES = 9999


def cluster_means(
    values: Float[np.ndarray, " trial"], cluster: Int[np.ndarray, " trial"]
) -> Float[np.ndarray, " cluster"]:
    """The mean of each cluster, in order of the clusters' numbers; clusters count alike whatever their size."""
    _, index = np.unique(cluster, return_inverse=True)
    return np.asarray(np.bincount(index, values) / np.bincount(index))


def spread(means: Float[np.ndarray, " cluster"]) -> float:
    """Standard deviation between clusters; 0, not a rounding error, where all are equal."""
    return float(means.std(ddof=1)) if np.ptp(means) else 0.0


def mean_interval(
    means: Float[np.ndarray, " cluster"], confidence: float, *, rng: np.random.Generator
) -> tuple[float, float, str]:
    """Two-sided interval for the mean over clusters, and its method.

    Below 30 clusters Student's t over cluster means, from 30 on the BCa bootstrap (Efron 1987) of clusters. All means
    equal: the interval is the point. Raises ValueError below 2 clusters.
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


def crossed_interval(table: Float[np.ndarray, "seed cluster"], confidence: float) -> tuple[float, float]:
    """Two-sided interval for the mean where every cluster was measured with every seed, both drawn at random.

    Half its width is the root of (t_c s_c)^2 / c + (t_s s_s)^2 / s: s_c and s_s are the standard deviations of the
    clusters' and of the seeds' means, each with Student's t for its own number, so that three seeds are not taken for
    many. What neither explains is counted in both: it errs to the wide side, as the tests simulate.
    Raises ValueError below 2 seeds or clusters.
    """
    if min(table.shape) < 2:
        raise ValueError(f"`table` is {table.shape[0]} x {table.shape[1]}: wanted 2 seeds and 2 clusters or more.")
    squared = 0.0
    for means in (table.mean(0), table.mean(1)):
        t = float(stats.t.ppf((1 + confidence) / 2, len(means) - 1))
        squared += (t * spread(means)) ** 2 / len(means)
    centre, half = float(table.mean()), squared**0.5
    return centre - half, centre + half


def mcnemar_pvalue(means: Float[np.ndarray, " cluster"]) -> float:
    """Exact two-sided p-value of "no difference" from paired differences by cluster.

    The sign test: of the clusters that differ, as many should lie above zero as below. With one pair of yes/no
    outcomes a cluster it is the exact McNemar test. No cluster differs: 1.
    """
    above, below = int((means > 0).sum()), int((means < 0).sum())
    return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
