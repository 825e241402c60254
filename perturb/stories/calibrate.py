"""Calibration: find the level and a common threshold, and teach an evaluator that learns, on images not judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from perturb.blocks import Block, Executor, cut, joined
from perturb.errors import InputError
from perturb.evaluators.reading import OwnAnswer
from perturb.figures import LevelCurve
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.observe import Experimenter, Observing
from perturb.placing import placed
from perturb.plan import ExperimentPlan
from perturb.protocols import Evaluator, Tick, silent
from perturb.quantities.detection import CEILING, FLOOR, detected
from perturb.quantities.measures import alarm_thresholds, curve
from perturb.records import CLEAN, LIVE, Images, Locations, Observation, Trials
from perturb.showing import UNPERTURBED, show
from perturb.stats.conformal import pin_threshold
from perturb.studies import Studies
from perturb.trials import only

LEVELS = tuple(float(level) for level in np.geomspace(1 / 64, 1, 7))  # among which the calibrated level is sought
PAIRS = 2
ROUNDS = 4  # levels that are tried in between


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was learnt on images that are not judged."""

    level: float
    evaluator: Evaluator
    threshold: float | None  # None: each judged image's own shots pin it
    pinned: float | None = None  # beside a given threshold, the one that keeps the rate of false alarms
    sweep: LevelCurve | None = None  # None where the level was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and on what an experiment is calibrated."""

    plan: ExperimentPlan
    look: Look
    locations: Locations
    images: Images
    executor: Executor = map
    tick: Tick = silent
    studies: Studies = field(default_factory=Studies)

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels to try: all, or the one that is given."""
        return LEVELS if self.plan.level is None else (self.plan.level,)


def calibrate(evaluator: Evaluator, setting: Setting) -> Calibration:
    """Find the level at which live places are detected as often as the plan wants; learn whatever must be learnt.

    Raises InputError where no detection rate can be had.
    """
    plan = setting.plan
    if hasattr(evaluator, "learn"):
        return _learnt(evaluator, setting)
    both = isinstance(evaluator, OwnAnswer) and not isinstance(evaluator.threshold, str)
    if plan.level is not None and evaluator.threshold != "common" and not both:
        return Calibration(level=plan.level, evaluator=evaluator, threshold=_given(evaluator))
    blocks = cut(*_calibrating(setting, setting.images))
    seen = _observed(evaluator, setting, blocks, setting.levels)
    found = Calibration(
        level=setting.levels[0],
        evaluator=evaluator,
        threshold=_threshold(evaluator, seen),
        pinned=_pinned(evaluator, seen, plan) if both and _can_pin(seen) else None,
    )
    if plan.level is not None:
        return found
    sweep, level = _refined(_sweep(seen), found, setting, blocks)
    return replace(found, level=level, sweep=sweep)


def _refined(
    sweep: LevelCurve, found: Calibration, setting: Setting, blocks: Sequence[Block]
) -> tuple[LevelCurve, float]:
    """The level that reaches the target; tried, and sought among levels in between where it is at floor or ceiling.

    A binary answer may rise within one step, where interpolation says little.
    """
    level = _crossing(sweep.levels, _hits(sweep), setting.plan.live_target)
    for _ in range(ROUNDS):
        if level in sweep.levels:
            break
        by = replace(_experimenter(found.evaluator, setting, (level,)), threshold=found.threshold)
        tried = _sweep(joined(list(setting.executor(Observing(by=by), blocks))))
        if FLOOR < tried.live[0].value < CEILING:
            break
        sweep = _merged(sweep, tried)
        level = _crossing(sweep.levels, _hits(sweep), setting.plan.live_target)
    return sweep, level


def _merged(one: LevelCurve, other: LevelCurve) -> LevelCurve:
    order = np.argsort([*one.levels, *other.levels])
    levels, dead, live = ([*own, *more] for own, more in zip(_columns(one), _columns(other), strict=True))
    return LevelCurve(
        levels=tuple(levels[i] for i in order), dead=tuple(dead[i] for i in order), live=tuple(live[i] for i in order)
    )


def _columns(sweep: LevelCurve) -> tuple[tuple[Any, ...], ...]:
    return sweep.levels, sweep.dead, sweep.live


def _hits(sweep: LevelCurve) -> list[float]:
    return [rate.value for rate in sweep.live]


def _learnt(evaluator: Evaluator, setting: Setting) -> Calibration:
    """An evaluator that learns is taught anew at each level."""
    tried = [_taught(evaluator, setting, level) for level in setting.levels]
    setting.tick(len(setting.images.pixels))
    if setting.plan.level is not None:
        return tried[0][0]
    hits = [float(detected(seen, "live").mean()) for _, seen in tried]
    level = _crossing(setting.levels, hits, setting.plan.live_target)
    sweeps = [_sweep(seen) for _, seen in tried]
    sweep = LevelCurve(
        levels=setting.levels,
        dead=tuple(rate for each in sweeps for rate in each.dead),
        live=tuple(rate for each in sweeps for rate in each.live),
    )
    return replace(_taught(evaluator, setting, level)[0], sweep=sweep)


def _taught(evaluator: Evaluator, setting: Setting, level: float) -> tuple[Calibration, Observation]:
    """Teach the evaluator at this level on one half of the photographs; try it on the other."""
    half = np.unique(setting.images.photograph, return_inverse=True)[1] % 2 == 0
    lessons, trial_run = (only(setting.images, which) for which in (half, ~half))
    which, trials = placed(
        lessons,
        anywhere(setting.locations.period, setting.locations.area),
        extent=setting.plan.task.extent,
        size=setting.plan.task.size,
        pairs=PAIRS,
        seed=setting.plan.seed,
        purpose=f"{setting.plan.name}/lessons",
    )
    lessons = only(lessons, which)
    by = _experimenter(evaluator, setting, (level,))
    clean, perturbed = [], []
    for image in range(len(lessons.pixels)):
        shown = show(lessons, trials, image, by.exposure)
        pictures = np.concatenate([shown.clean, shown.changed])
        clean.append(pictures[shown.number[0, :, CLEAN]])
        perturbed.append(pictures[shown.number[0, :, LIVE]])
    outputs = (setting.look.plain(torch.from_numpy(np.concatenate(part))) for part in (clean, perturbed))
    learnt = evaluator.learn(*outputs)  # type: ignore[attr-defined]
    seen = _observed(learnt, replace(setting, tick=silent), cut(*_calibrating(setting, trial_run)), (level,))
    return Calibration(level=level, evaluator=learnt, threshold=_threshold(learnt, seen)), seen


def _observed(
    evaluator: Evaluator, setting: Setting, blocks: Sequence[Block], levels: tuple[float, ...]
) -> Observation:
    """The calibration images at these levels; a common threshold is pinned on their clean pictures."""
    by = _experimenter(evaluator, setting, levels)
    seen = joined(list(setting.executor(Observing(by=by, tick=setting.tick), blocks)))
    if evaluator.threshold != "common":
        return seen
    common = _pinned(evaluator, seen, setting.plan)
    return replace(seen, threshold=np.full_like(seen.threshold, common))


def _calibrating(setting: Setting, images: Images) -> tuple[Images, Trials]:
    """The images that have room, and their trials."""
    plan = setting.plan
    which, trials = placed(
        images,
        setting.locations,
        extent=plan.task.extent,
        size=plan.task.size,
        pairs=plan.pairs if plan.scenes and plan.scenes.apart else PAIRS,
        seed=plan.seed,
        purpose=f"{plan.name}/calibration",
        scenes=plan.scenes,
    )
    return only(images, which), trials


def _experimenter(evaluator: Evaluator, setting: Setting, levels: tuple[float, ...]) -> Experimenter:
    return Experimenter(
        look=setting.look,
        evaluator=evaluator,
        task=setting.plan.task,
        levels=levels,
        point=setting.plan.point,
        threshold=_given(evaluator),
        studies=setting.studies,
    )


def _given(evaluator: Evaluator) -> float | None:
    """The threshold before calibration. None: each image's own shots pin it; NaN: the clean pictures have yet to."""
    if evaluator.threshold == "image":
        return None
    return np.nan if evaluator.threshold == "common" else float(evaluator.threshold)


def _can_pin(seen: Observation) -> bool:
    """Whether there is something that a threshold can be pinned on."""
    return seen.point.clean != "unmatched" or seen.alarms is not None


def _pinned(evaluator: Evaluator, seen: Observation, plan: ExperimentPlan) -> float:
    """The threshold that clean pictures exceed at the plan's rate; asked at the same places, where they are read.

    Of annotated objects, the threshold above which a picture has so many reports that match none of them.
    """
    if seen.point.clean == "unmatched":
        return alarm_thresholds(seen, plan.alarms_per_picture)[0]
    clean = seen.evidence[0, 0]
    if evaluator.local:
        return float(pin_threshold(clean[..., UNPERTURBED].ravel(), plan.alarm_rate))
    own = slice(None) if evaluator.noise else slice(1)  # without noise the pairs' clean pictures are one
    return float(pin_threshold(clean[:, own, CLEAN].ravel(), plan.alarm_rate))


def _threshold(evaluator: Evaluator, seen: Observation) -> float | None:
    """The threshold after calibration, for the judged pictures."""
    return float(seen.threshold[0, 0]) if evaluator.threshold == "common" else _given(evaluator)


def _sweep(seen: Observation) -> LevelCurve:
    return LevelCurve(levels=seen.levels, dead=curve(seen, "dead"), live=curve(seen, "live"))


def _crossing(levels: tuple[float, ...], hits: list[float], target: float) -> float:
    """The level that first reaches the target, interpolated in its logarithm; the highest if none does."""
    rising = np.maximum.accumulate(hits)
    if not np.isfinite(rising).all():
        raise InputError("calibration gave no detection rate.")
    above = int(np.argmax(rising >= target))
    if rising[above] < target:
        return levels[-1]
    if above == 0:
        return levels[0]
    share = (target - rising[above - 1]) / (rising[above] - rising[above - 1])
    return float(levels[above - 1] * (levels[above] / levels[above - 1]) ** share)
