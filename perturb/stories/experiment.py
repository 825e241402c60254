"""One experiment: find the level on pictures that are not judged, then measure both arms on those that are."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from perturb import quantities
from perturb.errors import InputError
from perturb.exhibits import Sweep
from perturb.incremental import Engine, Incremental, choose_engine, engine_name
from perturb.locations import anywhere
from perturb.outcomes import collect, fit, observe, pin_threshold
from perturb.protocols import Detector, Model, Perturbation, Tick, silent
from perturb.records import Conditions, Experiment, Images, Locations, Measurement, Miss, Outcomes, Trials
from perturb.tasks import Presence
from perturb.trials import design

LEVELS = tuple(float(level) for level in np.geomspace(1 / 64, 1, 7))  # among which the calibrated level is sought
CALIBRATION_PAIRS = 2
Progress = Callable[[str, int], Tick]  # (stage, steps) -> tick


def quiet(stage: str, steps: int) -> Tick:
    """A progress that nobody watches."""
    return silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How an experiment is run; see suite.py for what each means to a user."""

    name: str
    perturbation: Perturbation
    detector: Detector
    level: float | None  # None: calibrated
    live_target: float
    false_alarms: float
    pairs: int
    seed: int
    engine: Engine = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an experiment gave."""

    measurement: Measurement  # on the judged images
    account: Experiment  # of how it came about
    sweep: Sweep | None  # None where the level was given


def run(
    model: Model,
    protocol: Protocol,
    locations: Locations,
    calibration: Images,
    judged: Images,
    *,
    progress: Progress = quiet,
) -> tuple[Outcomes, Experiment]:
    """Outcomes on the judged images, and the account of how they came about: see `measure`."""
    found = measure(model, protocol, locations, calibration, judged, progress=progress)
    return found.measurement.outcomes, found.account


def measure(
    model: Model,
    protocol: Protocol,
    locations: Locations,
    calibration: Images,
    judged: Images,
    *,
    progress: Progress = quiet,
) -> Measured:
    """One experiment, whole.

    Everything that is learnt - the level, a probe's weights, a threshold that is not an image's own - is learnt on
    `calibration`. Raises InputError where calibration finds no level at which a number can be had.
    """
    engine = choose_engine(model, protocol.detector.layer, protocol.engine)
    tick = progress(f"{protocol.name}: level", len(calibration.pixels))
    known = _learn(model, protocol, locations, calibration, engine, tick)
    trials = _judged_trials(protocol, locations, judged)
    outcomes = observe(
        model,
        known.detector,
        task_at(protocol, (known.level,)),
        judged,
        trials,
        false_alarms=protocol.false_alarms,
        threshold=known.threshold,
        engine=engine,
        tick=progress(f"{protocol.name}: judging", len(judged.pixels)),
    )
    account = _account(protocol, known, locations, outcomes, _worst(outcomes, trials, judged), engine_name(engine))
    conditions = Conditions(level=known.level, locations=locations)
    measurement = Measurement(conditions=conditions, trials=trials, outcomes=outcomes)
    return Measured(measurement=measurement, account=account, sweep=known.sweep)


def repeat(
    own: Measurement,
    asked: Conditions,
    model: Model,
    protocol: Protocol,
    calibration: Images,
    judged: Images,
    *,
    progress: Progress = quiet,
) -> Measurement:
    """What `own` found, at other places and another level; measured anew only where they are others."""
    if _same(own.conditions, asked):
        return own
    there = replace(protocol, level=asked.level)
    return measure(model, there, asked.locations, calibration, judged, progress=progress).measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the calibration images taught."""

    level: float
    detector: Detector
    threshold: float | None
    sweep: Sweep | None


def _same(one: Conditions, other: Conditions) -> bool:
    here, there = one.locations, other.locations
    alike = np.array_equal(here.dead, there.dead) and np.array_equal(here.live, there.live)
    return alike and here.period == there.period and one.level == other.level


def _learn(
    model: Model, protocol: Protocol, locations: Locations, images: Images, engine: Incremental | None, tick: Tick
) -> _Known:
    if protocol.detector.needs_examples:
        levels = LEVELS if protocol.level is None else (protocol.level,)
        taught = [_at_level(model, protocol, locations, images, level, engine) for level in levels]
        tick(len(images.pixels))
        if protocol.level is not None:
            return replace(taught[0][0], sweep=None)
        level = _crossing(LEVELS, [hit for _, hit in taught], protocol.live_target)
        sweep = _joined([known.sweep for known, _ in taught if known.sweep])
        return replace(_at_level(model, protocol, locations, images, level, engine)[0], sweep=sweep)
    if protocol.level is not None and protocol.detector.own_threshold:
        return _Known(level=protocol.level, detector=protocol.detector, threshold=None, sweep=None)
    levels = LEVELS if protocol.level is None else (protocol.level,)
    threshold, hits, sweep = _detection(model, protocol, protocol.detector, locations, images, levels, engine, tick)
    level = _crossing(levels, hits, protocol.live_target) if protocol.level is None else protocol.level
    return _Known(
        level=level,
        detector=protocol.detector,
        threshold=None if protocol.detector.own_threshold else threshold,
        sweep=sweep if protocol.level is None else None,
    )


def _at_level(
    model: Model,
    protocol: Protocol,
    locations: Locations,
    images: Images,
    level: float,
    engine: Incremental | None,
) -> tuple[_Known, float]:
    """Teach a detector that needs examples at this level, on one half of the photographs; try it on the other."""
    half = np.unique(images.photograph, return_inverse=True)[1] % 2 == 0
    lessons, trial_run = (_only(images, half), _only(images, ~half))
    trials = _design(protocol, anywhere(locations.period), lessons, "lessons")
    detector = fit(model, protocol.detector, task_at(protocol, (level,)), lessons, trials)
    threshold, (hit,), sweep = _detection(model, protocol, detector, locations, trial_run, (level,), engine, silent)
    return _Known(level=level, detector=detector, threshold=threshold, sweep=sweep), hit


def _detection(
    model: Model,
    protocol: Protocol,
    detector: Detector,
    locations: Locations,
    images: Images,
    levels: tuple[float, ...],
    engine: Incremental | None,
    tick: Tick,
) -> tuple[float, list[float], Sweep]:
    """The common threshold of clean shots, the share detected at live places at each level, and both arms' curves."""
    trials = _design(protocol, locations, images, "calibration")
    task = task_at(protocol, levels)
    found = collect(model, detector, task, images, trials, ("dead", "live"), engine=engine, tick=tick)
    common = float(pin_threshold(found.shots.ravel(), protocol.false_alarms))
    own = pin_threshold(found.shots, protocol.false_alarms)[:, None] if detector.own_threshold else common
    seen = (found.retakes > own).astype(float)
    dead, live = (tuple(quantities.rate(at_level, images) for at_level in seen[:, arm]) for arm in (0, 1))
    return common, [float(at_level.mean()) for at_level in seen[:, 1]], Sweep(levels=levels, dead=dead, live=live)


def _joined(sweeps: list[Sweep]) -> Sweep:
    return Sweep(
        levels=tuple(level for sweep in sweeps for level in sweep.levels),
        dead=tuple(rate for sweep in sweeps for rate in sweep.dead),
        live=tuple(rate for sweep in sweeps for rate in sweep.live),
    )


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


def _judged_trials(protocol: Protocol, locations: Locations, judged: Images) -> Trials:
    return design(
        judged,
        locations,
        size=protocol.perturbation.size,
        pairs=protocol.pairs,
        seed=protocol.seed,
        purpose=f"{protocol.name}/judged",
    )


def _design(protocol: Protocol, locations: Locations, images: Images, purpose: str) -> Trials:
    return design(
        images,
        locations,
        size=protocol.perturbation.size,
        pairs=CALIBRATION_PAIRS,
        seed=protocol.seed,
        purpose=f"{protocol.name}/{purpose}",
    )


def task_at(protocol: Protocol, levels: tuple[float, ...]) -> Presence:
    """The pictures that the protocol shows, at these levels."""
    return Presence(perturbation=protocol.perturbation, levels=levels, noise=protocol.detector.noise)


def _only(images: Images, keep: np.ndarray) -> Images:
    return Images(
        pixels=images.pixels[keep], photograph=images.photograph[keep], names=images.names, source=images.source
    )


def _worst(outcomes: Outcomes, trials: Trials, judged: Images) -> Miss | None:
    """Of the pairs missed at the dead and seen at the live place, the one whose evidence lies furthest apart."""
    threshold = outcomes.threshold[:, None]
    apart = np.where((outcomes.dead <= threshold) & (outcomes.live > threshold), outcomes.live - outcomes.dead, -np.inf)
    crop, pair = (int(i) for i in np.unravel_index(apart.argmax(), apart.shape))
    if apart[crop, pair] == -np.inf:
        return None
    return Miss(
        photograph=judged.names[judged.photograph[crop]],
        crop=crop,
        dead=(int(trials.dead[crop, pair, 0]), int(trials.dead[crop, pair, 1])),
        live=(int(trials.live[crop, pair, 0]), int(trials.live[crop, pair, 1])),
        evidence_dead=float(outcomes.dead[crop, pair]),
        evidence_live=float(outcomes.live[crop, pair]),
        threshold=float(outcomes.threshold[crop]),
    )


def _account(
    protocol: Protocol, known: _Known, locations: Locations, outcomes: Outcomes, worst: Miss | None, engine: str
) -> Experiment:
    return Experiment(
        name=protocol.name,
        perturbation=repr(protocol.perturbation),
        detector=type(protocol.detector).__name__.lower(),
        level=known.level,
        calibrated=protocol.level is None,
        live_target=protocol.live_target if protocol.level is None else None,
        layer=protocol.detector.layer,
        period=locations.period,
        dead_phases=tuple((int(r), int(c)) for r, c in locations.dead),
        live_phases=tuple((int(r), int(c)) for r, c in locations.live),
        balanced=locations.balanced,
        rates={arm: quantities.rate(quantities.detected(outcomes, arm), outcomes) for arm in ("clean", "dead", "live")},
        two_afc={arm: quantities.rate(quantities.told_apart(outcomes, arm), outcomes) for arm in ("dead", "live")},
        realised={"dead": float(outcomes.realised_dead.mean()), "live": float(outcomes.realised_live.mean())},
        photographs=len(np.unique(outcomes.photograph)),
        pairs=outcomes.dead.size,
        worst=worst,
        engine=engine,
    )
