"""The largest of several means: an interval that holds for every distribution, however the values hang together."""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from perturb.stats.betting import least_excluded, log_money

Table = Float[np.ndarray, "mean cluster"]


def largest_interval(table: Table, bounds: tuple[float, float], confidence: float) -> tuple[float, float]:
    """Two-sided interval for the largest mean of the rows, each end at (1 - confidence) / 2.

    Upper end: the largest of the rows' own upper ends by `betting_interval`. Every mean must lie below a margin for
    the largest to do so, so each is tested at the full error (intersection-union: Berger 1982).
    Lower end: the largest m that bets exclude as a bound of all means, with the money shared evenly among the rows. If
    no mean exceeds m, no row's bets win on average, whatever the rows have in common, and nor does their sum: it
    exceeds 1/a with probability at most a (Ville). One row that wins K/a is enough, so this is never below the lower
    end at Bonferroni's share a/K of the error, and above it where several rows win.
    Raises ValueError for values outside the bounds.
    """
    least, most = bounds
    if not (table.size and least <= table.min() and table.max() <= most):
        raise ValueError(f"`table` must lie within {bounds}: {table}")
    scaled, error = (table - least) / (most - least), (1 - confidence) / 2
    return least + (most - least) * _lower(scaled, error), least + (most - least) * _upper(scaled, error)


def _upper(scaled: Table, error: float) -> float:
    """The least mean in [0, 1] that every row excludes by itself; 1 where none is."""

    def won(mean: float) -> float:
        return float(log_money(scaled, mean).min())  # against "this row's mean is `mean` or more"

    return least_excluded(won, float(scaled.mean(-1).max()), error)


def _lower(scaled: Table, error: float) -> float:
    """The largest bound in [0, 1] on all means that is excluded; 0 where none is."""

    def won(mean: float) -> float:
        money = log_money(1 - scaled, mean)  # against "every row's mean of 1 - x is `mean` or more"
        return float(logsumexp(money)) - math.log(len(scaled))

    return 1 - least_excluded(won, 1 - float(scaled.mean(-1).max()), error)
