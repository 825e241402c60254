"""The statistics of a quantity: values by trial become an Effect or a Rate, with intervals over photographs."""

import math

import numpy as np
from jaxtyping import Float, Int

from perturb.records import Effect, Rate, Saturation
from perturb.stats.betting import betting_interval
from perturb.stats.clusters import cluster_means, mean_interval, spread
from perturb.stats.proportion import wilson
from perturb.streams import stream

ByTrial = Float[np.ndarray, "seed image pair"]
Table = Float[np.ndarray, "seed cluster"]
BETTING = "betting over {} photographs"


def by_photograph(values: ByTrial, photograph: Int[np.ndarray, " image"]) -> Table:
    """The mean of each photograph, for each seed."""
    owner = np.repeat(photograph, values.shape[2])
    return np.stack([cluster_means(one.ravel(), owner) for one in values])


def mean_effect(
    table: Table, *, confidence: float, seed: int, limit: float = np.inf, saturated: Saturation = ""
) -> Effect:
    """The mean of paired differences within -limit to limit, over photographs and seeds.

    The interval is over photographs, for these seeds: it holds whatever the distribution of bounded differences
    (`betting_interval`). Of unbounded ones no interval does; it is Student's t below 30 photographs, else the BCa
    bootstrap, and for reading only.
    """
    means = table.mean(0)
    if math.isfinite(limit):
        low, high = betting_interval(means, (-limit, limit), confidence)
        method = BETTING.format(len(means))
    else:
        low, high, method = mean_interval(means, confidence, rng=stream(seed, "bootstrap/difference"))
    return _effect(means, low, high, method + for_seeds(len(table)), confidence, saturated)


def share_effect(
    values: ByTrial, photograph: Int[np.ndarray, " image"], *, confidence: float, saturated: Saturation = ""
) -> Effect:
    """A share between 0 and 1, over photographs and seeds; its interval holds whatever their distribution."""
    table = by_photograph(values, photograph)
    means = table.mean(0)
    low, high = betting_interval(means, (0, 1), confidence)
    return _effect(means, low, high, BETTING.format(len(means)) + for_seeds(len(table)), confidence, saturated)


def rate(
    values: ByTrial, photograph: Int[np.ndarray, " image"], *, share: bool = True, confidence: float = 0.95
) -> Rate:
    """The mean over photographs and seeds, with an interval for reading: Wilson's for a share, else t or bootstrap."""
    means = by_photograph(values, photograph).mean(0)
    if share:
        low, high = wilson(means, values.size, confidence)
    else:
        low, high, _ = mean_interval(means, confidence, rng=stream(0, "bootstrap/arm"))
    return Rate(value=float(means.mean()), low=low, high=high, n=len(means), trials=values.size)


def _effect(
    means: Float[np.ndarray, " cluster"],
    low: float,
    high: float,
    method: str,
    confidence: float,
    saturated: Saturation,
) -> Effect:
    return Effect(
        value=float(means.mean()),
        low=low,
        high=high,
        n=len(means),
        method=method,
        confidence=confidence,
        spread=spread(means),
        saturated=saturated,
    )


def for_seeds(count: int) -> str:
    return f", for these {count} seeds" if count > 1 else ""
