"""Calibration: find the level and a common threshold, and teach an evaluator that learns, on images not judged."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from perturb.blocks import Executor, cut, joined, only
from perturb.errors import InputError
from perturb.figures import LevelCurve
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.observe import Experimenter, observe, show
from perturb.plan import ExperimentPlan
from perturb.protocols import Evaluator, Tick, silent
from perturb.quantities.detection import detected
from perturb.quantities.measures import curve
from perturb.records import Images, Locations, Observation
from perturb.stats.conformal import pin_threshold
from perturb.trials import design

LEVELS = tuple(float(level) for level in np.geomspace(1 / 64, 1, 7))  # among which the calibrated level is sought
PAIRS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was learnt on images that are not judged."""

    level: float
    evaluator: Evaluator
    threshold: float | None  # None: each judged image's own shots pin it
    sweep: LevelCurve | None  # None where the level was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and on what an experiment is calibrated."""

    plan: ExperimentPlan
    look: Look
    locations: Locations
    images: Images
    executor: Executor = map
    tick: Tick = silent

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
    if plan.level is not None and evaluator.threshold != "common":
        return Calibration(level=plan.level, evaluator=evaluator, threshold=_given(evaluator), sweep=None)
    seen = _observed(evaluator, setting, setting.images, setting.levels)
    hits = detected(seen, "live").mean((0, 2, 3))
    return Calibration(
        level=plan.level if plan.level is not None else _crossing(setting.levels, list(hits), plan.live_target),
        evaluator=evaluator,
        threshold=_pinned(evaluator, seen),
        sweep=_sweep(seen) if plan.level is None else None,
    )


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
    trials = design(
        lessons,
        anywhere(setting.locations.period),
        size=setting.plan.task.size,
        pairs=PAIRS,
        seed=setting.plan.seed,
        purpose=f"{setting.plan.name}/lessons",
    )
    by = _experimenter(evaluator, setting, (level,))
    clean, perturbed = [], []
    for image in range(len(lessons.pixels)):
        shown = show(lessons, trials, image, by.exposure)
        pictures = np.concatenate([shown.clean, shown.changed])
        clean.append(pictures[shown.number[0, :, 0]])
        perturbed.append(pictures[shown.number[0, :, 2]])
    outputs = (setting.look.plain(torch.from_numpy(np.concatenate(part))) for part in (clean, perturbed))
    learnt = evaluator.learn(*outputs)  # type: ignore[attr-defined]
    seen = _observed(learnt, replace(setting, tick=silent), trial_run, (level,))
    return Calibration(level=level, evaluator=learnt, threshold=_pinned(learnt, seen), sweep=None), seen


def _observed(evaluator: Evaluator, setting: Setting, images: Images, levels: tuple[float, ...]) -> Observation:
    """The calibration images at these levels; a common threshold is pinned on their clean pictures."""
    plan = setting.plan
    trials = design(
        images,
        setting.locations,
        size=plan.task.size,
        pairs=PAIRS,
        seed=plan.seed,
        purpose=f"{plan.name}/calibration",
    )
    by = _experimenter(evaluator, setting, levels)
    seen = joined(list(setting.executor(_work(by, setting.tick), cut(images, trials))))
    if evaluator.threshold != "common":
        return seen
    assert plan.point.false_alarms is not None
    clean = seen.evidence[0, 0, :, : PAIRS if evaluator.noise else 1, 0]  # without noise the pairs' are one picture
    common = pin_threshold(clean.ravel(), plan.point.false_alarms)
    return replace(seen, threshold=np.full_like(seen.threshold, common))


def _work(by: Experimenter, tick: Tick) -> Callable[..., Observation]:
    return lambda block: observe(block, by, tick)


def _experimenter(evaluator: Evaluator, setting: Setting, levels: tuple[float, ...]) -> Experimenter:
    return Experimenter(
        look=setting.look,
        evaluator=evaluator,
        task=setting.plan.task,
        levels=levels,
        point=setting.plan.point,
        threshold=_given(evaluator),
    )


def _given(evaluator: Evaluator) -> float | None:
    """The threshold before calibration. None: each image's own shots pin it; NaN: the clean pictures have yet to."""
    if evaluator.threshold == "image":
        return None
    return np.nan if evaluator.threshold == "common" else float(evaluator.threshold)


def _pinned(evaluator: Evaluator, seen: Observation) -> float | None:
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
