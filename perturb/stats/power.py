"""How many clusters would decide."""

import math

import numpy as np
from jaxtyping import Float
from scipy.stats import beta

from perturb.stats.betting import values_to_decide

TOO_MANY = 1_000_000
SAMPLE = (np.arange(200) + 0.5) / 200  # quantiles that stand for a distribution


def clusters_to_decide(
    value: float, spread: float, margin: float, bounds: tuple[float, float], confidence: float, *, have: int
) -> int | None:
    """Clusters whose betting interval would lie on one side of the margin, if they have this mean and spread.

    Always more than `have`, the number that did not decide. None from a million on, and where the value is the margin.
    """
    least, most = bounds
    mean, limit, deviation = (x / (most - least) for x in (value - least, margin - least, spread))
    if not 0 < limit < 1 or mean == limit:
        return None
    if mean > limit:
        mean, limit = 1 - mean, 1 - limit
    found = values_to_decide(_like(mean, deviation), limit, (1 - confidence) / 2)
    return max(have + 1, math.ceil(found)) if found < TOO_MANY else None


def _like(mean: float, deviation: float) -> Float[np.ndarray, " value"]:
    """Values in [0, 1] with this mean and standard deviation: of a Beta distribution, or of 0 and 1 alone."""
    if deviation == 0:
        return np.full(1, mean)
    weight = mean * (1 - mean) / deviation**2 - 1
    if weight <= 0:
        return np.asarray(mean > SAMPLE, dtype=float)
    return np.asarray(beta(mean * weight, (1 - mean) * weight).ppf(SAMPLE))
