"""Quantities of several levels: the level from which on an object is detected, and what dead places add to it."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from perturb.quantities.detection import at_floor, detected
from perturb.quantities.of_map import LARGEST
from perturb.quantities.statistics import by_photograph
from perturb.records import Contribution, Effect, FittedCurve, Observation, OperatingPoint, Reached, Saturation
from perturb.stats.detection_curve import fit_curve, level_of
from perturb.stats.levels import bounds, clusters_needed, rises

METHOD = "bets over {} photographs, level by level"
RISES = 0.05  # error of "detection rises with the level", without which no curve is read
ByArm = Literal["dead", "live"]
Table = Float[np.ndarray, "level photograph"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one arm detected at the levels of [levels]."""

    levels: tuple[float, ...]
    table: Table
    trials: Float[np.ndarray, " level"]
    guess: float  # the rate of false alarms

    @property
    def shares(self) -> Float[np.ndarray, " level"]:
        """The share detected at each level: the mean over photographs."""
        return np.asarray(self.table.mean(1))


def own_level(seen: Observation) -> Observation:
    """What was seen at the check's own level alone."""
    return at_levels(seen, slice(0, 1))


def answers(seen: Observation, arm: ByArm) -> Answers:
    """One arm at the levels of the suite's [levels]; the check's own level is left out."""
    there = at_levels(seen, slice(1, None))
    values = detected(there, arm)
    return Answers(
        levels=there.levels,
        table=np.stack([by_photograph(at, seen.photograph).mean(0) for at in np.moveaxis(values, 1, 0)]),
        trials=np.full(len(there.levels), float(values[:, 0].size)),
        guess=float(detected(own_level(seen), "clean").mean()),
    )


def at_levels(seen: Observation, which: slice) -> Observation:
    """What was seen at some of the levels."""
    return replace(
        seen,
        evidence=seen.evidence[:, which],
        realised=seen.realised[:, which],
        measures={name: values[:, which] for name, values in seen.measures.items()},
        levels=seen.levels[which],
        clipped=None if seen.clipped is None else seen.clipped[:, which],
    )


def curve_of(arm: Answers) -> FittedCurve | None:
    """The fitted curve; None where detection is not shown to rise from the lowest level to the highest.

    None, too, where every clean picture is a false alarm.
    """
    if arm.guess >= 1 or not rises(arm.table, RISES):
        return None
    return fit_curve(np.array(arm.levels), arm.shares, arm.trials, arm.guess)


def reached(arm: Answers, curve: FittedCurve | None, share: float, error: float) -> Reached:
    """The level from which on `share` is detected, with an interval of which each end is wrong with this probability.

    The value is the curve's, where that lies within the tested levels. Below the lowest level, or where everything is
    detected at it, it is the lowest level. None: not reached, or detection does not rise. A value outside the interval
    is moved to its nearer end: the interval assumes no curve.
    """
    low, high = (float(end) for end in bounds(arm.levels, arm.table, share, error))
    own = _read(arm, curve, share)
    value = min(max(own, low), high)
    return Reached(
        share=share,
        value=value if math.isfinite(value) else None,
        low=low,
        high=high if math.isfinite(high) else None,
        moved=value != own,
    )


def _read(arm: Answers, curve: FittedCurve | None, share: float) -> float:
    """Infinity where `share` is not reached."""
    if curve is None:
        return arm.levels[0] if arm.shares[0] >= share else math.inf
    found = level_of(curve, share)
    return math.inf if found is None or found > arm.levels[-1] else max(found, arm.levels[0])


class OfLevels:
    """A quantity that needs the suite's [levels]."""

    version = 1
    share: float
    margins: tuple[float, float]  # between which a claim makes sense

    def error(self, confidence: float) -> float:
        """Of each bound of an arm."""
        return (1 - confidence) / 2

    def least(self, confidence: float) -> int:
        """Photographs below which nothing can PASS: so many must detect everything at a level."""
        return clusters_needed(self.share, self.error(confidence))

    def misfit(self, point: OperatingPoint) -> str:
        """It is about an object that is to be found, beside pictures without it."""
        return "" if point.clean == "absent" else "is about a perturbation that is to be found"


@dataclass(frozen=True, kw_only=True)
class LevelReached(OfLevels):
    """The level from which on `share` of the objects at dead places is detected.

    `surely`: the value is the interval's upper end, and both ends are one-sided at the claim's confidence: a90/95.
    """

    share: float
    words: str
    surely: bool = False

    range = (0.0, math.inf)
    margins = (0.0, 1.0)

    def error(self, confidence: float) -> float:
        """One-sided, or of each end."""
        return 1 - confidence if self.surely else (1 - confidence) / 2

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        arm, error = answers(seen, "dead"), self.error(confidence)
        found = reached(arm, curve_of(arm), self.share, error)
        high = _finite(found.high)
        return Effect(
            value=high if self.surely else _finite(found.value),
            low=found.low,
            high=high,
            n=arm.table.shape[1],
            method=METHOD.format(arm.table.shape[1]),
            confidence=1 - 2 * error,
            spread=0.0,
            saturated=self._saturated(seen, arm),
        )

    def _saturated(self, seen: Observation, arm: Answers) -> Saturation:
        """What says yes to so many clean pictures is as sure of an object at every level, seen or not."""
        return "floor" if arm.guess >= self.share else at_floor(at_levels(seen, slice(-1, None)))


@dataclass(frozen=True, kw_only=True)
class Penalty(OfLevels):
    """20 log10(a90 dead / a90 live) in dB: how much stronger an object at a dead place must be."""

    share: float
    words: str

    range = (-math.inf, math.inf)
    margins = (-60.0, 60.0)

    def error(self, confidence: float) -> float:
        """Each end of the interval takes one end of either arm, so these share its error."""
        return (1 - confidence) / 4

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        dead, live = (answers(seen, arm) for arm in ("dead", "live"))
        found = [reached(arm, curve_of(arm), self.share, self.error(confidence)) for arm in (dead, live)]
        value, saturated = _apart(found[0], found[1], dead.levels[0])
        low, high = _decibels(found[0].low, found[1].high), _decibels(found[0].high, found[1].low)
        return Effect(
            value=min(max(value, low), high),
            low=low,
            high=high,
            n=dead.table.shape[1],
            method=METHOD.format(dead.table.shape[1]) + ", both arms",
            confidence=confidence,
            spread=0.0,
            saturated=saturated,
        )


def _apart(dead: Reached, live: Reached, lowest: float) -> tuple[float, Saturation]:
    """The penalty's value, which says nothing where neither arm reaches the share or both do at the lowest level."""
    if live.value is None:
        return (0.0 if dead.value is None else -LARGEST), "floor"
    if dead.value is not None and max(dead.value, live.value) <= lowest:
        return 0.0, "ceiling"
    return _decibels(dead.value, live.value), ""


def _decibels(dead: float | None, live: float | None) -> float:
    """20 log10(dead / live), None being infinity; what is unknown is taken as far away as LARGEST."""
    if dead is None or live == 0:
        return LARGEST
    if live is None or dead == 0:
        return -LARGEST
    return 20 * math.log10(dead / live)


def _finite(level: float | None) -> float:
    return LARGEST if level is None else level


A50 = LevelReached(share=0.5, words="level from which on half of the objects at dead places are detected")
A90 = LevelReached(share=0.9, words="level from which on 9 of 10 objects at dead places are detected")
A90_95 = LevelReached(
    share=0.9, surely=True, words="level from which on surely 9 of 10 objects at dead places are detected (a90/95)"
)
PENALTY_DB = Penalty(
    share=0.9, words="decibels by which an object must be stronger at dead places to be detected 9 times of 10"
)
