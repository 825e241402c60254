"""Quantities of an observation: what is detected at dead places, at live places, and the difference."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from perturb.errors import UsageError
from perturb.quantities.statistics import by_photograph, mean_effect, share_effect
from perturb.records import (
    ARMS,
    CLEAN,
    CLEAN_LIVE,
    DEAD,
    LIVE,
    Arm,
    Clean,
    Contribution,
    Effect,
    Observation,
    OperatingPoint,
    Saturation,
)

CEILING = 0.98  # dead places detected more often than this: everything is seen
FLOOR = 0.5  # at a pinned threshold: live places detected less often, so a small loss says nothing
FLOOR_2AFC = 0.75  # half-way from chance to certainty
Levels = Float[np.ndarray, "seed level image pair"]
Value = Callable[[Observation, Arm], Levels]
_UNPERTURBED = [CLEAN, CLEAN_LIVE]
Saturated = Callable[[Observation], Saturation]


def detected(seen: Observation, arm: Arm) -> Levels:
    """1 where the evidence exceeds the image's threshold; NaN where a clean picture has no answer.

    "clean" is the mean of the clean picture asked at the dead and at the live place.
    """
    evidence = seen.evidence[..., _UNPERTURBED if arm == "clean" else [ARMS.index(arm)]]
    yes = (evidence > seen.threshold[:, None, :, None, None]).astype(float)
    return np.asarray(np.where(np.isnan(evidence), np.nan, yes).mean(-1))


def told_apart(seen: Observation, arm: Arm) -> Levels:
    """Two-alternative forced choice against the clean twin asked at the same place: 1 where the evidence is larger, 1/2
    where equal.
    """
    twin = CLEAN_LIVE if arm == "live" else CLEAN
    evidence, clean = seen.evidence[..., ARMS.index(arm)], seen.evidence[..., twin]
    return (evidence > clean) + 0.5 * (evidence == clean)


def measured(name: str) -> Value:
    """A measure that the evaluator tells besides the evidence."""

    def value(seen: Observation, arm: Arm) -> Levels:
        if name not in seen.measures:
            raise UsageError(f"the evaluator measures no {name!r}, but {sorted(seen.measures)}.")
        values = seen.measures[name]
        return values[..., _UNPERTURBED].mean(-1) if arm == "clean" else values[..., ARMS.index(arm)]

    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCause:
    """What a cause is sought of, by trial; NaN where the claim is not about a trial."""

    lost: Float[np.ndarray, "seed image pair"]  # its mean is the quantity
    paired: Float[np.ndarray, "seed image pair"]  # detected at live places minus detected at dead ones
    bounds: tuple[float, float]  # of `lost`


@dataclass(frozen=True, kw_only=True)
class OfTrials:
    """A quantity of a value by trial, and the operating points at which it can be asked."""

    value: Value
    version: int
    words: str
    saturated: Saturated = lambda seen: ""
    clean: tuple[Clean, ...] = ("absent", "right", "none")
    pinned: bool = False  # asks for a threshold that is pinned to a false-alarm rate

    def misfit(self, point: OperatingPoint) -> str:
        if self.pinned and point.false_alarms is None and point.clean != "unmatched":
            return "needs a threshold that is pinned to a false-alarm rate, which a [task] does not have"
        if point.clean not in self.clean:
            wanted = {
                "right": "labelled pictures, [task] kind = 'labels'",
                "absent": "a perturbation that is to be found, beside pictures without it",
            }
            return f"is about {wanted[self.clean[0]]}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Paired(OfTrials):
    """Live minus dead of a value by trial, paired, mean over photographs; positive where dead places hurt."""

    limit: float = np.inf  # of the value's difference, beyond which it counts as the limit; 1 for shares

    @property
    def range(self) -> tuple[float, float]:
        return -self.limit, self.limit

    def misfit(self, point: OperatingPoint) -> str:
        if not np.isfinite(self.limit):
            return "has no `limit`, and no interval holds for a mean without bounds"
        return OfTrials.misfit(self, point)

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        table = by_photograph(self._difference(seen).clip(-self.limit, self.limit), seen.photograph)
        return mean_effect(table, confidence=confidence, seed=seed, limit=self.limit, saturated=self.saturated(seen))

    def by_cause(self, seen: Observation) -> ByCause | None:
        lost = self._difference(seen)
        return ByCause(lost=lost, paired=lost, bounds=self.range) if self.limit == 1 else None

    def _difference(self, seen: Observation) -> Float[np.ndarray, "seed image pair"]:
        return np.asarray((self.value(seen, "live") - self.value(seen, "dead"))[:, 0])


@dataclass(frozen=True, kw_only=True)
class Share(OfTrials):
    """The mean of a value between 0 and 1 in one arm, over photographs."""

    arm: Arm

    range = (0.0, 1.0)

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        values = self.value(seen, self.arm)[:, 0]
        return share_effect(values, seen.photograph, confidence=confidence, saturated=self.saturated(seen))

    def by_cause(self, seen: Observation) -> ByCause | None:
        """Of live places there is none: they are the reference."""
        if self.arm != "dead":
            return None
        paired = (detected(seen, "live") - detected(seen, "dead"))[:, 0]
        return ByCause(lost=self.value(seen, self.arm)[:, 0], paired=paired, bounds=self.range)


def at_floor_or_ceiling(seen: Observation) -> Saturation:
    """Where detection is such that a small difference says nothing.

    A pinned threshold: fewer than half of the live places are detected. A given one: one of the seeds is right, with
    and without the perturbation alike, less often than a quarter of the way from chance to certainty: what knows
    nothing loses nothing. Chance is what guessing gets, or the best constant answer. Annotated objects have a floor
    alone, a quarter of the live places: where all are found there is no level at which some would not be.
    """
    if seen.point.clean == "unmatched":
        return at_floor(seen)
    if seen.point.false_alarms is not None:
        return saturation(detected(seen, "live"), detected(seen, "dead"), FLOOR)
    return at_floor(seen) or _at_ceiling(detected(seen, "dead"))


def at_floor(seen: Observation) -> Saturation:
    """Whether one of the seeds is right too rarely to lose anything: see `at_floor_or_ceiling`.

    Where the best constant answer is always right, nothing tells a model that sees from one that is blind.
    """
    if _yes_to_all(seen):
        return "floor"
    right = detected(seen, "live").mean((1, 2, 3))
    if seen.point.clean in ("absent", "right"):
        yes = detected(seen, "clean").mean((1, 2, 3))
        right = (right + (yes if seen.point.clean == "right" else 1 - yes)) / 2
    located = seen.point.clean in ("absent", "unmatched")
    chance = seen.point.chance if located else max(seen.point.chance, constant_answer(seen))
    return "floor" if right.min() <= chance + (1 - chance) / 4 else ""


def _yes_to_all(seen: Observation) -> bool:
    """Of annotated objects, which no picture lacks: the same evidence everywhere, and false alarms do not speak for it.

    They do where they are counted, and fewer than can be kept.
    """
    if seen.point.clean != "unmatched" or np.ptp(seen.evidence[..., [DEAD, LIVE]]) > 0:
        return False
    return seen.alarms is None or bool(
        ((seen.alarms > seen.threshold[..., None]).sum(-1) == seen.alarms.shape[-1]).all()
    )


def constant_answer(seen: Observation) -> float:
    """The share of right answers that the best constant answer gets: of the class that is asked for most often."""
    _, count = np.unique(seen.truth, return_counts=True)
    return float(count.max() / count.sum())


def saturation(live: np.ndarray, dead: np.ndarray, floor: float) -> Saturation:
    """Of shares detected: live places seen too rarely, or dead places nearly always."""
    return "floor" if live.mean() < floor else _at_ceiling(dead)


def _at_ceiling(dead: np.ndarray) -> Saturation:
    return "ceiling" if dead.mean() > CEILING else ""


def _of_choice(seen: Observation) -> Saturation:
    return saturation(told_apart(seen, "live"), told_apart(seen, "dead"), FLOOR_2AFC)


def _missed(seen: Observation, arm: Arm) -> Levels:
    return 1 - detected(seen, arm)


ACCURACY_LOSS = Paired(
    value=detected,
    version=2,
    words="accuracy lost at dead places",
    saturated=at_floor_or_ceiling,
    limit=1,
    clean=("absent", "none", "unmatched"),
)
ACCURACY_LOSS_2AFC = Paired(
    value=told_apart,
    version=3,
    words="accuracy lost at dead places, in a choice between the picture and its clean twin",
    saturated=_of_choice,
    limit=1,
    clean=("absent",),
    pinned=True,
)
MISS_RATE = Share(
    value=_missed,
    arm="dead",
    version=3,
    words="share missed at dead places",
    saturated=at_floor,
    clean=("absent", "unmatched"),
    pinned=True,
)
FLIP_RATE = Share(
    value=measured("flips"),
    arm="live",
    version=3,
    words="share of answers changed at live places",
    saturated=at_floor,
    clean=("right",),
)
