"""What a report says of an observation, by arm: the share detected first, then every measure of the evaluator."""

from collections.abc import Iterator

import numpy as np

from perturb.quantities import SHARES
from perturb.quantities.detection import Value, detected, measured, told_apart
from perturb.quantities.statistics import by_photograph, mean_effect, rate
from perturb.records import Arm, Measure, Observation, Rate

CONFIDENCE = 0.95


def measures(seen: Observation, *, seed: int) -> tuple[Measure, ...]:
    """Each measure at dead and at live places, without the perturbation where that has an answer, and live - dead."""
    return tuple(_measure(seen, name, value, seed) for name, value in _values(seen))


def curve(seen: Observation, arm: Arm) -> tuple[Rate, ...]:
    """The share detected at each level."""
    return tuple(rate(values, seen.photograph) for values in np.moveaxis(detected(seen, arm), 1, 0))


def _values(seen: Observation) -> Iterator[tuple[str, Value]]:
    yield "detected", detected
    if seen.point.false_alarms is not None:
        yield "told-apart", told_apart
    for name in seen.measures:
        yield name, measured(name)


def _measure(seen: Observation, name: str, value: Value, seed: int) -> Measure:
    share = name in SHARES
    difference = by_photograph((value(seen, "live") - value(seen, "dead"))[:, 0], seen.photograph)
    clean = value(seen, "clean")[:, 0] if name == "detected" else np.array(np.nan)
    return Measure(
        name=name,
        dead=rate(value(seen, "dead")[:, 0], seen.photograph, share=share),
        live=rate(value(seen, "live")[:, 0], seen.photograph, share=share),
        clean=None if np.isnan(clean).any() else rate(clean, seen.photograph),
        difference=mean_effect(difference, confidence=CONFIDENCE, seed=seed, limit=1 if share else np.inf),
    )
