"""The smallest effect that an experiment could have seen, and the size of one that would decide."""

import math
from bisect import bisect_left

import numpy as np
from scipy import stats

from perturb.stats.proportion import wilson

POWER = 0.8
TOO_MANY = 1_000_000


def detectable(spread: float, n: int, confidence: float) -> float:
    """The smallest mean difference that n clusters would have shown with power 0.8, given the spread between them.

    (t_{1-a/2} + t_{0.8}) s / sqrt(n), and never below 1 - 0.2^(1/n): if a smaller share of all clusters showed the
    effect, n of them would contain none with a chance above 0.2. Where all clusters are equal, s says nothing about
    how clusters vary: there it is the upper end of Wilson's interval for 0 of n, which is larger.
    """
    if spread == 0:
        return wilson(np.zeros(n), n, confidence)[1]
    t = stats.t.ppf((1 + confidence) / 2, n - 1) + stats.t.ppf(POWER, n - 1)
    return max(float(t) * spread / math.sqrt(n), 1 - (1 - POWER) ** (1 / n))


def clusters_to_decide(distance: float, spread: float, confidence: float, have: int = 1) -> int | None:
    """The number of clusters that would tell a true value from a margin at this distance, with power 0.8.

    Always more than `have`, the number that did not decide. None from a million on, and for a distance of 0 or less.
    """
    sizes = range(have + 1, TOO_MANY)
    first = bisect_left(sizes, -distance, key=lambda n: -detectable(spread, n, confidence))
    return sizes[first] if first < len(sizes) else None
