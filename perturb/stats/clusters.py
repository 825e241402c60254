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


def crossed_interval(table: Float[np.ndarray, "seed cluster"], confidence: float) -> tuple[float, float]:
    """Two-sided interval for the mean of a table in which every cluster was measured with every seed.

    Clusters and seeds are both random samples. Half the width is the root of (t_c s_c)^2 / c + (t_s s_s)^2 / s, where
    s_c and s_s are the standard deviations of the c clusters' and of the s seeds' means. Each has the t quantile of
    its own degrees of freedom, c - 1 and s - 1, because three seeds say little about how seeds vary. The residual is
    counted in both terms, so the interval is too wide rather than too narrow.
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

    The sign test: clusters above zero are expected as often as clusters below; those at zero are left out. With one
    pair of yes/no outcomes a cluster it is the exact McNemar test. 1 where no cluster differs.
    """
    above, below = int((means > 0).sum()), int((means < 0).sum())
    return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
