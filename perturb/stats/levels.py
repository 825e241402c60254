"""From which level on is a share of all objects detected? Bounds over photographs, for every distribution of them.

The hit/miss rule of MIL-HDBK-1823A, "29 of 29", by bets: photographs may differ, and hold many trials each.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from perturb.stats.betting import excludes

Table = Float[np.ndarray, "... level cluster"]  # what each cluster detects at each level, levels ascending


def bounds(levels: tuple[float, ...], table: Table, share: float, error: float) -> tuple[np.ndarray, np.ndarray]:
    """(low, high): detection first reaches `share` for good above the level `low`, and at `high` or below.

    High: levels are tested from the top down, each against "less than `share` is detected here", until the first that
    is not excluded; `high` is the last that was. Low: from the bottom up against "at least `share`". As a sequence
    stops at its first failure, each end is wrong with probability `error` at most, whatever the number of levels.
    Infinity and 0 where the first test fails.
    """
    enough = excludes(1 - table, 1 - share, error)
    short = excludes(table, share, error)
    reached = np.logical_and.accumulate(enough[..., ::-1], -1).sum(-1)
    below = np.logical_and.accumulate(short, -1).sum(-1)
    return np.array([0.0, *levels])[below], np.array([*levels, math.inf])[len(levels) - reached]


def rises(table: Table, error: float) -> Bool[np.ndarray, "..."]:
    """Whether more is shown to be detected at the highest level than at the lowest."""
    return excludes((1 - table[..., -1, :] + table[..., 0, :]) / 2, 0.5, error)


def reversals(table: Float[np.ndarray, "level cluster"], error: float) -> list[tuple[int, int]]:
    """Pairs (low, high) of levels where less is shown to be detected at the higher one; `error` is shared by all."""
    low, high = np.triu_indices(len(table), 1)
    found = excludes((1 - table[low] + table[high]) / 2, 0.5, error / len(low))
    return list(zip(low[found].tolist(), high[found].tolist(), strict=True))


def clusters_needed(share: float, error: float) -> int:
    """How many clusters, all detected, show that `share` is: 33 for 0.9 and 0.05, where the exact rule takes 29."""
    count = 1
    while not excludes(np.zeros(count), 1 - share, error):
        count += 1
    return count
