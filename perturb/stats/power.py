"""What an experiment of this size could have seen, and what size would decide."""

import math
from bisect import bisect_left

import numpy as np
from scipy import stats

from perturb.stats.proportion import wilson

POWER = 0.8
TOO_MANY = 1_000_000


def detectable(spread: float, n: int, confidence: float) -> float:
    """The smallest mean difference that n clusters would have shown.

    (t_{1-a/2} + t_{0.8}) s / sqrt(n), that is with power 0.8; and at least the share of clusters of which n would have
    met one with that power, so that a handful of like outcomes proves nothing. Where all are equal nothing tells how
    they vary, not even that they do: there it is Wilson's upper end for none of n, which is stricter.
    """
    if spread == 0:
        return wilson(np.zeros(n), n, confidence)[1]
    t = stats.t.ppf((1 + confidence) / 2, n - 1) + stats.t.ppf(POWER, n - 1)
    return max(float(t) * spread / math.sqrt(n), 1 - (1 - POWER) ** (1 / n))


def clusters_to_decide(distance: float, spread: float, confidence: float, have: int = 1) -> int | None:
    """Clusters with which a true value this far from the margin would be told from it, with power 0.8.

    More than the `have` that did not decide. None where no number that anybody has would do.
    """
    if distance <= 0:
        return None
    sizes = range(have + 1, TOO_MANY)
    first = bisect_left(sizes, -distance, key=lambda n: -detectable(spread, n, confidence))
    return sizes[first] if first < len(sizes) else None
