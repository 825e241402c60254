"""The statistics of a quantity: values by trial become an Effect or a Rate, with intervals over photographs."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t

from perturb.records import Effect, Rate, Saturation
from perturb.stats.clusters import cluster_means, crossed_interval, mcnemar_pvalue, mean_interval, spread
from perturb.stats.power import detectable
from perturb.stats.proportion import wilson
from perturb.streams import stream

ByTrial = Float[np.ndarray, "seed image pair"]
Table = Float[np.ndarray, "seed cluster"]


def by_photograph(values: ByTrial, photograph: Int[np.ndarray, " image"]) -> Table:
    """The mean of each photograph, for each seed."""
    owner = np.repeat(photograph, values.shape[2])
    return np.stack([cluster_means(one.ravel(), owner) for one in values])


def mean_effect(
    table: Table, *, confidence: float, seed: int, limit: float = np.inf, saturated: Saturation = ""
) -> Effect:
    """The mean of paired differences, positive or negative, within -limit to limit.

    Of one seed the interval is over photographs: Student's t below 30 of them, the BCa bootstrap from there on. Of
    several it is over photographs crossed with seeds. The p-value is exact McNemar by photograph.
    """
    low, high, method = _interval(table, confidence, stream(seed, "bootstrap/difference"))
    between = _spread(table, confidence)
    return Effect(
        value=float(table.mean()),
        low=float(max(low, -limit)),
        high=float(min(high, limit)),
        n=table.shape[1],
        method=method,
        confidence=confidence,
        pvalue=mcnemar_pvalue(table.mean(0)),
        detectable=detectable(between, table.shape[1], confidence),
        spread=between,
        saturated=saturated,
    )


def share_effect(
    values: ByTrial, photograph: Int[np.ndarray, " image"], *, confidence: float, saturated: Saturation = ""
) -> Effect:
    """A share between 0 and 1, with the interval of `rate`. No test of "no effect" goes with it."""
    table, shown = by_photograph(values, photograph), rate(values, photograph, share=True, confidence=confidence)
    between = _spread(table, confidence)
    return Effect(
        value=shown.value,
        low=shown.low,
        high=shown.high,
        n=shown.n,
        method=f"Wilson over {shown.n} clusters" if len(table) == 1 else _crossed(table),
        confidence=confidence,
        pvalue=None,
        detectable=detectable(between, shown.n, confidence),
        spread=between,
        saturated=saturated,
    )


def rate(
    values: ByTrial, photograph: Int[np.ndarray, " image"], *, share: bool = True, confidence: float = 0.95
) -> Rate:
    """The mean over photographs and seeds with its interval; Wilson's for a share and one seed."""
    table = by_photograph(values, photograph)
    if share and len(table) == 1:
        low, high = wilson(table[0], values.size, confidence)
    else:
        low, high, _ = _interval(table, confidence, stream(0, "bootstrap/arm"))
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Rate(value=float(table.mean()), low=low, high=high, n=table.shape[1], trials=values.size)


def _interval(table: Table, confidence: float, rng: np.random.Generator) -> tuple[float, float, str]:
    if len(table) > 1:
        return *crossed_interval(table, confidence), _crossed(table)
    return mean_interval(table[0], confidence, rng=rng)


def _spread(table: Table, confidence: float) -> float:
    """Between photographs; of several seeds what would make the interval as wide, so that power counts them too."""
    n = table.shape[1]
    if len(table) == 1:
        return spread(table[0])
    low, high = crossed_interval(table, confidence)
    return float((high - low) / 2 * n**0.5 / t.ppf((1 + confidence) / 2, n - 1))


def _crossed(table: Table) -> str:
    return f"t over {table.shape[1]} clusters crossed with {len(table)} seeds"
