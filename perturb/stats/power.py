"""What an experiment of this size could have seen, and what size would decide."""

import math

from scipy import stats

POWER = 0.8
TOO_MANY = 1_000_000


def detectable(spread: float, n: int, confidence: float) -> float:
    """The smallest mean difference that n clusters would have shown with power 0.8.

    (t_{1-a/2} + t_{0.8}) s / sqrt(n); and at least the share that n clusters would have shown even once, so that a
    handful of equal outcomes proves nothing.
    """
    t = stats.t.ppf((1 + confidence) / 2, n - 1) + stats.t.ppf(POWER, n - 1)
    return max(float(t) * spread / math.sqrt(n), 1 - (1 - POWER) ** (1 / n))


def clusters_to_decide(distance: float, spread: float, confidence: float) -> int | None:
    """Clusters with which a true value this far from the margin would be told from it, with power 0.8.

    None where no number that anybody has would do.
    """
    if distance <= 0:
        return None
    z = float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(POWER))
    seen_once = math.log(1 - POWER) / math.log1p(-min(distance, 0.999999))
    needed = max((z * spread / distance) ** 2 + 1, seen_once, 2)
    return math.ceil(needed) if needed < TOO_MANY else None
