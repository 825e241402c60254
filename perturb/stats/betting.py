"""Intervals for the mean of bounded values that hold for every distribution: bets against each candidate mean."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import beta

Values = Float[np.ndarray, " cluster"]

WHOLE = 0.5  # share of the money that is put on the largest bet, which wins soonest where all clusters agree
PARTS = 24  # smaller bets that share the rest
BETS = np.append(beta(0.5, 0.5).ppf((np.arange(PARTS) + 0.5) / PARTS), 1.0)
SHARES = np.append(np.full(PARTS, (1 - WHOLE) / PARTS), WHOLE)
NEARLY_ONE = 1 - 1e-9
RUIN = -1e100  # logarithm of the factor of a bet that loses everything


def betting_interval(values: Values, bounds: tuple[float, float], confidence: float) -> tuple[float, float]:
    """Two-sided interval for the mean of independent values within `bounds`, each end at (1 - confidence) / 2.

    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting". On the hypothesis that
    the mean of values in [0, 1] is m or more, one bets c of the most that can be lost: after n values the money is
    prod(1 + c (m - x) / (1 - m)). It grows beyond 1/a with probability at most a if the hypothesis is true, at any n,
    so the interval may be looked at after every value. Money is spread over fixed bets c. Therefore the order of the
    values does not matter, and an upper end never falls when a value rises.
    Raises ValueError for values outside the bounds.
    """
    least, most = bounds
    if not (len(values) and least <= values.min() and values.max() <= most):
        raise ValueError(f"`values` must lie within {bounds}: {values}")
    scaled, error = (values - least) / (most - least), (1 - confidence) / 2
    low, high = 1 - _upper(1 - scaled, error), _upper(scaled, error)
    return least + (most - least) * low, least + (most - least) * high


def log_money(values: Float[np.ndarray, "... value"], mean: float) -> Float[np.ndarray, "..."]:
    """Logarithm of the money won against "the mean is `mean` or more", for values in [0, 1] and `mean` below 1."""
    return _together(growth(values, mean).sum(-1))


def counts_exclude(
    values: Float[np.ndarray, " value"], counts: Float[np.ndarray, "sample value"], mean: float, error: float
) -> Bool[np.ndarray, " sample"]:
    """Whether each sample excludes "the mean is `mean` or more"; it holds each of the `values`, in [0, 1], so often.

    The upper end of `betting_interval` with this error is then at most `mean`: money only grows with the mean that is
    bet against.
    """
    if mean >= 1:
        return np.ones(len(counts), dtype=bool)
    factors = np.maximum(growth(values, mean), RUIN)  # 0 times -inf is no number
    return np.asarray(_together(factors @ counts.T) >= -math.log(error))


def excludes(values: Float[np.ndarray, "... value"], mean: float, error: float) -> Bool[np.ndarray, "..."]:
    """Whether values in [0, 1] exclude "the mean is `mean` or more": wrongly with probability `error` at most.

    The same rule as the end of an interval: `betting_interval` ends below `mean` where this holds.
    """
    return np.asarray(log_money(values, mean) >= math.log(1 / error))


def values_to_decide(values: Values, mean: float, error: float) -> float:
    """How many values like these exclude "the mean is `mean` or more"; infinity where they would not.

    The first n at which a bet, growing at its mean rate, wins 1 / error: n = log(1 / (error share)) / rate.
    """
    rate = growth(values, mean).mean(-1)
    wanted = np.log(1 / (error * SHARES))
    return float(np.where(rate > 0, wanted / np.where(rate > 0, rate, 1), math.inf).min())


def growth(values: Float[np.ndarray, "... value"], mean: float) -> Float[np.ndarray, "bet ... value"]:
    """Logarithm of what each bet multiplies its money by, for values in [0, 1] and `mean` below 1."""
    with np.errstate(divide="ignore"):  # the largest bet loses everything on the largest value
        return np.asarray(np.log1p(np.maximum(-1, np.multiply.outer(BETS, (mean - values) / (1 - mean)))))


def _together(log_each: Float[np.ndarray, "bet ..."]) -> Float[np.ndarray, "..."]:
    """Logarithm of the money of all bets, of which each began with its share."""
    return np.asarray(logsumexp(log_each, axis=0, b=SHARES.reshape(-1, *[1] * (log_each.ndim - 1))))


def _upper(values: Values, error: float) -> float:
    """The least mean in [0, 1] that is excluded with all above it; 1 where none is."""

    return least_excluded(lambda mean: float(log_money(values, mean)), float(values.mean()), error)


def least_excluded(won: Callable[[float], float], own: float, error: float) -> float:
    """The least mean in [0, 1] at which the log of the money won, which rises with it, reaches 1 / error; 1 if none.

    `own`: a mean against which no bet has won, such as that of the values (AM-GM).
    """

    def short(mean: float) -> float:
        return won(mean) + math.log(error)

    return brentq(short, own, NEARLY_ONE, xtol=1e-12) if own < NEARLY_ONE and short(NEARLY_ONE) > 0 else 1.0
