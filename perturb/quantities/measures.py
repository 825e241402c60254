"""What a report says of an observation, by arm: the share detected first, then every measure of the evaluator."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from perturb.quantities import SHARES
from perturb.quantities.detection import Value, detected, measured, told_apart
from perturb.quantities.statistics import by_photograph, mean_effect, rate
from perturb.records import Arm, FreeResponse, Measure, Observation, Rate

CONFIDENCE = 0.95
FALSE_ALARMS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # a picture: the free-response table of the field


def measures(seen: Observation, *, seed: int) -> tuple[Measure, ...]:
    """Each measure at dead and at live places, without the perturbation where that has an answer, and live - dead."""
    return tuple(_measure(seen, name, value, seed) for name, value in _values(seen))


def curve(seen: Observation, arm: Arm) -> tuple[Rate, ...]:
    """The share detected at each level."""
    return tuple(rate(values, seen.photograph) for values in np.moveaxis(detected(seen, arm), 1, 0))


def free_response(seen: Observation) -> tuple[FreeResponse, ...]:
    """Detection at thresholds at which clean pictures have 0.25 to 8 false alarms each; of the first level.

    Empty where false alarms were not counted. A threshold is the highest false alarm that the rate does not allow;
    where there are too few alarms for the rate, it is the lowest evidence that the evaluator gave, and the table ends.
    """
    if seen.alarms is None:
        return ()
    images = seen.alarms.shape[1]
    ranked = _ranked(seen.alarms)
    rows = []
    for rate_wanted in FALSE_ALARMS:
        allowed = int(rate_wanted * images)
        thresholds = alarm_thresholds(seen, rate_wanted)
        there = replace(seen, threshold=np.repeat(np.array(thresholds)[:, None], seen.threshold.shape[1], 1))
        rows.append(
            FreeResponse(
                false_alarms=rate_wanted,
                measured=float(np.mean([(a > t).sum() / images for a, t in zip(ranked, thresholds, strict=True)])),
                threshold=float(np.mean(thresholds)),
                dead=rate(detected(there, "dead")[:, 0], seen.photograph),
                live=rate(detected(there, "live")[:, 0], seen.photograph),
            )
        )
        if all(allowed >= len(one) for one in ranked):
            break
    return tuple(rows)


def alarm_thresholds(seen: Observation, a_picture: float) -> list[float]:
    """For each seed the lowest threshold above which pictures have so many false alarms each, at most."""
    assert seen.alarms is not None
    allowed = int(a_picture * seen.alarms.shape[1])
    return [
        float(one[allowed] if allowed < len(one) else np.nanmin(seen.evidence[seed]))
        for seed, one in enumerate(_ranked(seen.alarms))
    ]


def _ranked(alarms: np.ndarray) -> list[np.ndarray]:
    """The false alarms of each seed's pictures, the highest first."""
    return [np.sort(one[np.isfinite(one)])[::-1] for one in alarms]


def _values(seen: Observation) -> Iterator[tuple[str, Value]]:
    yield "detected", detected
    if seen.point.false_alarms is not None and seen.point.clean == "absent":
        yield "told-apart", told_apart
    for name in seen.measures:
        yield name, measured(name)


def _measure(seen: Observation, name: str, value: Value, seed: int) -> Measure:
    share = name in SHARES
    difference = by_photograph((value(seen, "live") - value(seen, "dead"))[:, 0], seen.photograph)
    clean = value(seen, "clean")[:, 0] if name in ("detected", "pinned") else np.array(np.nan)
    return Measure(
        name=name,
        dead=rate(value(seen, "dead")[:, 0], seen.photograph, share=share),
        live=rate(value(seen, "live")[:, 0], seen.photograph, share=share),
        clean=None if np.isnan(clean).any() else rate(clean, seen.photograph),
        difference=mean_effect(difference, confidence=CONFIDENCE, seed=seed, limit=1 if share else np.inf),
    )
