"""Border against lattice: an additive model of two factors, and how much of the variance each explains."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Values = Float[np.ndarray, "cluster pixel"]
Levels = Int[np.ndarray, " pixel"]  # of a factor, at each pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWay:
    """value = mean + first[level] + second[level] + rest, by least squares; each part has mean 0 over pixels."""

    first: Float[np.ndarray, "cluster level"]
    second: Float[np.ndarray, "cluster level"]
    fitted: Values


def two_way(values: Values, first: Levels, second: Levels) -> TwoWay:
    """The fit of each cluster. Every level must occur; where parts are not determined, the shortest are taken."""
    counts = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(counts, (first, second), 1)
    mean = values.mean(1, keepdims=True)
    sums = [_sums(values - mean, levels) for levels in (first, second)]
    weights = counts / counts.sum(0)
    system = np.diag(counts.sum(1)) - weights @ counts.T
    a = np.linalg.lstsq(system, (sums[0] - sums[1] @ weights.T).T, rcond=1e-10)[0].T
    a -= a[:, first].mean(1, keepdims=True)
    b = (sums[1] - a @ counts) / counts.sum(0)
    return TwoWay(first=a, second=b, fitted=mean + a[:, first] + b[:, second])


def variance_shares(
    values: Float[np.ndarray, " pixel"], fitted: Float[np.ndarray, " pixel"], first: Levels, second: Levels
) -> Float[np.ndarray, "3"]:
    """The shares of the variance that the first factor, the second and neither explain; they sum to 1.

    A factor's share is the mean of what it explains alone and of what it adds to the other (Lindeman, Merenda and Gold
    1980), each less what as many levels would explain by chance (adjusted as R squared is), so that a share can be
    slightly below 0. Raises ValueError where values are all equal or there are no more pixels than levels.
    """
    total = float(((values - values.mean()) ** 2).sum())
    levels = [int(each.max()) for each in (first, second)]  # degrees of freedom
    free = len(values) - 1 - sum(levels)
    if free <= 0 or total == 0:
        raise ValueError(f"`values` (n = {len(values)}): too few for {sum(levels) + 2} levels, or all equal.")
    chance = float(((values - fitted) ** 2).sum()) / free
    alone = [_explained(values, each) - n * chance for each, n in zip((first, second), levels, strict=True)]
    both = total - chance * (len(values) - 1)
    one, other = (alone[i] / 2 + (both - alone[1 - i]) / 2 for i in (0, 1))
    return np.array([one, other, total - both]) / total


def _sums(values: Values, levels: Levels) -> Float[np.ndarray, "cluster level"]:
    return np.stack([np.bincount(levels, each) for each in values])


def _explained(values: Float[np.ndarray, " pixel"], levels: Levels) -> float:
    """The sum of squares between the levels' means."""
    away = np.bincount(levels, values - values.mean())
    return float((away**2 / np.bincount(levels)).sum())
