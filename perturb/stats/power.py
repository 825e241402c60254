"""How many clusters would decide."""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import betaincinv, ndtri

from perturb.stats.betting import SHARES, growth, values_to_decide

TOO_MANY = 1_000_000
STEPS = 8  # of a search by halves: to 1/256 of what is searched
SAMPLE, ROUGH = ((np.arange(n) + 0.5) / n for n in (200, 50))  # quantiles that stand for a distribution


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
    found = values_to_decide(values_like(mean, deviation), limit, (1 - confidence) / 2)
    return max(have + 1, math.ceil(found)) if found < TOO_MANY else None


def least_mean_found(
    spread: float, margin: float, bounds: tuple[float, float], error: float, *, have: int, power: float
) -> float | None:
    """The least mean whose betting interval lies above the margin with this probability; None where there is none.

    For `have` clusters with this spread, and an interval whose lower end errs at `error`. The logarithm of a bet's
    money is taken as normal: with n clusters its quantile is n rate + z sqrt(n) deviation, z that of 1 - power. Money
    on one bet is enough, so the mean is overrated where several share the work (by 0.03 at most, in tests).
    """
    least, most = bounds
    limit, deviation, z = 1 - (margin - least) / (most - least), spread / (most - least), float(ndtri(1 - power))

    def found(mean: float) -> bool:
        logs = growth(values_like(1 - (mean - least) / (most - least), deviation, ROUGH), limit)
        open_ = np.isfinite(logs).all(1)
        rate, varies = logs[open_].mean(1), logs[open_].std(1)
        won = have * rate + z * have**0.5 * varies + np.log(SHARES[open_])
        return bool((won >= -math.log(error)).any())

    low, high = margin, most
    if not (least < margin < most and found(most)):
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def values_like(
    mean: float, deviation: float, quantiles: Float[np.ndarray, " value"] = SAMPLE
) -> Float[np.ndarray, " value"]:
    """Values in [0, 1] with this mean and standard deviation: of a Beta distribution, or of 0 and 1 alone."""
    if deviation == 0:
        return np.full(1, mean)
    weight = mean * (1 - mean) / deviation**2 - 1
    if weight <= 0:
        return np.asarray(mean > quantiles, dtype=float)
    return np.asarray(betaincinv(mean * weight, (1 - mean) * weight, quantiles))
