"""What is claimed about: records -> Effect. A quantity whose numbers change gets a new version."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from perturb.locations import dead_share, fold, imbalance
from perturb.records import Contribution, Effect, Images, Outcomes, Rate
from perturb.stats.clusters import cluster_means, mcnemar_pvalue, mean_interval, spread
from perturb.stats.power import detectable
from perturb.stats.proportion import wilson
from perturb.streams import stream

FLOOR = {"accuracy-loss": 0.5, "accuracy-loss-2afc": 0.75}  # seen less often at live places: a small loss says nothing
CEILING = 0.98  # dead places detected more often than this: everything is seen
Trials = Float[np.ndarray, "image pair"]
Saturation = Literal["", "floor", "ceiling"]


def detected(outcomes: Outcomes, arm: str) -> Trials:
    """1 where the evidence exceeds the image's threshold."""
    evidence: Trials = getattr(outcomes, arm)
    return (evidence > outcomes.threshold[:, None]).astype(float)


def told_apart(outcomes: Outcomes, arm: str) -> Trials:
    """Two-alternative forced choice against the clean twin: 1 where the evidence is larger, 1/2 where equal."""
    evidence: Trials = getattr(outcomes, arm)
    return (evidence > outcomes.clean) + 0.5 * (evidence == outcomes.clean)


def rate(trials: Trials, outcomes: Outcomes | Images, confidence: float = 0.95) -> Rate:
    """The mean over photographs with its Wilson interval."""
    means = _by_photograph(trials, outcomes)
    low, high = wilson(means, trials.size, confidence)
    return Rate(value=float(means.mean()), low=low, high=high, n=len(means), trials=trials.size)


def accuracy_loss(outcomes: Outcomes, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """Accuracy lost at dead places: detected(live) - detected(dead), paired, mean over photographs.

    Positive when dead places hurt. `n` counts photographs; the p-value is that of "no loss" (exact McNemar by
    photograph). Saturated at the floor or the ceiling of detection.
    """
    live, dead = detected(outcomes, "live"), detected(outcomes, "dead")
    return _loss("accuracy-loss", live, dead, outcomes, confidence, seed)


def accuracy_loss_2afc(outcomes: Outcomes, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """The same in two-alternative forced choice, where 1/2 is chance and no threshold is needed.

    At the floor where live places are told less often than half-way from chance to certainty.
    """
    live, dead = told_apart(outcomes, "live"), told_apart(outcomes, "dead")
    return replace(_loss("accuracy-loss-2afc", live, dead, outcomes, confidence, seed), version=2)


def miss_rate(outcomes: Outcomes, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """Share of perturbations at dead places that go undetected. Wilson interval over photographs."""
    missed = 1 - detected(outcomes, "dead")
    found = rate(missed, outcomes, confidence)
    between = spread(_by_photograph(missed, outcomes))
    return Effect(
        quantity="miss-rate",
        version=2,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        method=f"Wilson over {found.n} clusters",
        confidence=confidence,
        pvalue=None,
        detectable=detectable(between, found.n, confidence),
        spread=between,
    )


def map_imbalance(outcomes: Outcomes, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """max/min of the contribution over the phases; 1 is flat. Of this map: no sampling error is counted."""
    return _of_map("imbalance", min(imbalance(fold(contribution)), 1e308), contribution, confidence)


def map_dead_share(outcomes: Outcomes, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
    """Share of phases that contribute less than half the mean."""
    return _of_map("dead-share", dead_share(fold(contribution)), contribution, confidence)


def of_pairs(
    name: str, means: Float[np.ndarray, " cluster"], *, confidence: float, seed: int, saturated: Saturation = ""
) -> Effect:
    """The mean of paired differences by photograph; the p-value is that of exact McNemar."""
    low, high, method = mean_interval(means, confidence, rng=stream(seed, f"bootstrap/{name}"))
    between = spread(means)
    return Effect(
        quantity=name,
        version=1,
        value=float(means.mean()),
        low=low,
        high=high,
        n=len(means),
        method=method,
        confidence=confidence,
        pvalue=mcnemar_pvalue(means),
        detectable=detectable(between, len(means), confidence),
        spread=between,
        saturated=saturated,
    )


def saturation(live: Trials, dead: Trials, quantity: str = "accuracy-loss") -> Saturation:
    """Where detection is such that a small difference says nothing."""
    return "floor" if live.mean() < FLOOR[quantity] else "ceiling" if dead.mean() > CEILING else ""


def _loss(name: str, live: Trials, dead: Trials, outcomes: Outcomes, confidence: float, seed: int) -> Effect:
    means = _by_photograph(live - dead, outcomes)
    effect = of_pairs(name, means, confidence=confidence, seed=seed, saturated=saturation(live, dead, name))
    return replace(effect, low=max(effect.low, -1.0), high=min(effect.high, 1.0))


def _of_map(name: str, value: float, contribution: Contribution, confidence: float) -> Effect:
    return Effect(
        quantity=name,
        version=1,
        value=value,
        low=value,
        high=value,
        n=contribution.images,
        method="exact" if contribution.kind == "structural" else "as measured",
        confidence=confidence,
        pvalue=None,
        detectable=0.0,
        spread=0.0,
    )


def _by_photograph(trials: Trials, outcomes: Outcomes | Images) -> Float[np.ndarray, " cluster"]:
    return cluster_means(trials.ravel(), np.repeat(outcomes.photograph, trials.shape[1]))


Quantity = Callable[..., Effect]
KINDS: dict[str, Quantity] = {
    "accuracy-loss": accuracy_loss,
    "accuracy-loss-2afc": accuracy_loss_2afc,
    "miss-rate": miss_rate,
    "imbalance": map_imbalance,
    "dead-share": map_dead_share,
}
