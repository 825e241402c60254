"""How often a claim passes and fails, if the truth is this: simulated runs, decided by the same bets as real ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from perturb.stats.betting import counts_exclude
from perturb.stats.power import values_like

RUNS = 2000  # simulated; the standard error of a share is 0.011 at most
MOST = 100_000  # clusters that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The distribution of one cluster's value, with the bounds that values have."""

    values: Float[np.ndarray, " value"]
    shares: Float[np.ndarray, " value"]  # their probabilities
    bounds: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `margin`: PASS with one-sided error `passes`, FAIL with one-sided error `fails`."""

    margin: float
    passes: float
    fails: float


def detections(trials: int, share: float, correlation: float) -> Float[np.ndarray, " count"]:
    """Probability of 0 to `trials` detections in a cluster: beta-binomial, with this correlation between its trials.

    The cluster's own share has mean `share` and variance correlation * share * (1 - share).
    """
    count = np.arange(trials + 1)
    if correlation == 0 or not 0 < share < 1:
        return np.asarray(stats.binom.pmf(count, trials, share))
    weight = (1 - correlation) / correlation
    return np.asarray(stats.betabinom.pmf(count, trials, share * weight, (1 - share) * weight))


def share_of(trials: int, share: float, correlation: float) -> Clusters:
    """A cluster's share of detections."""
    found = detections(trials, share, correlation)
    return Clusters(values=np.arange(trials + 1) / trials, shares=found / found.sum(), bounds=(0, 1))


def difference_of(trials: int, live: float, loss: float, correlation: float) -> Clusters:
    """A cluster's share at live places minus that at dead ones; the two are independent, each beta-binomial."""
    seen, missed = detections(trials, live, correlation), detections(trials, live - loss, correlation)[::-1]
    found = np.convolve(seen, missed)
    return Clusters(values=np.arange(-trials, trials + 1) / trials, shares=found / found.sum(), bounds=(-1, 1))


def spread_like(mean: float, spread: float, bounds: tuple[float, float]) -> Clusters:
    """A Beta distribution within the bounds with this mean and standard deviation, by 200 of its quantiles."""
    least, most = bounds
    values = values_like((mean - least) / (most - least), spread / (most - least))
    return Clusters(values=least + (most - least) * values, shares=np.full(len(values), 1 / len(values)), bounds=bounds)


def everything_or_nothing(share: float, bounds: tuple[float, float]) -> Clusters:
    """This share of the clusters has the largest value, the others 0."""
    return Clusters(values=np.array([0.0, bounds[1]]), shares=np.array([1 - share, share]), bounds=bounds)


def chances(clusters: Clusters, n: int, rule: Rule, rng: np.random.Generator) -> tuple[float, float]:
    """The probabilities of PASS and of FAIL with n clusters, from RUNS simulated runs."""
    counts = rng.multinomial(n, clusters.shares, size=RUNS)
    least, most = clusters.bounds
    scaled, margin = (clusters.values - least) / (most - least), (rule.margin - least) / (most - least)
    passes = counts_exclude(scaled, counts, margin, rule.passes)
    fails = counts_exclude(1 - scaled, counts, 1 - margin, rule.fails)
    return float(passes.mean()), float(fails.mean())


def clusters_to_pass(
    clusters: Clusters, rule: Rule, power: float, rng: Callable[[], np.random.Generator]
) -> int | None:
    """The least number of clusters that PASSes with this probability; None where MOST would not."""

    def enough(n: int) -> bool:
        return chances(clusters, n, rule, rng())[0] >= power

    most = 2
    while not enough(most):
        if (most := 2 * most) > MOST:
            return None
    least = most // 2  # too few, but for 1
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most
