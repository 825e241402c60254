"""One experiment: prepare the model, find its dead and live places, calibrate on some pictures, judge on others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from perturb.blocks import Executor, cut, joined, stacked
from perturb.contribution.period import place
from perturb.errors import InputError
from perturb.figures import LevelCurve
from perturb.incremental import Engine
from perturb.locations import choose
from perturb.looking import Look, look_at
from perturb.observe import Experimenter, observe
from perturb.phases import every_phase, pairs_for
from perturb.placing import placed
from perturb.plan import ExperimentPlan
from perturb.protocols import Progress, Sees, Taps, quiet
from perturb.records import (
    Conditions,
    Contribution,
    Images,
    Locations,
    Measurement,
    Observation,
    Pictures,
    Training,
    Trials,
)
from perturb.stories.answer_map import answer_map
from perturb.stories.calibrate import Calibration, Setting, calibrate
from perturb.stories.estimate import estimate, period_in
from perturb.stories.prepare import Subject, as_shown, prepare
from perturb.trials import only

FAINT = 1 / 64  # below this level differences of float32 scores are rounding, and a given threshold is read in float64


Maps = dict[str, Contribution]  # by layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller may add to a suite."""

    places: Mapping[str, Locations] = field(default_factory=dict)  # by check, in place of those that the map chooses
    conditions: Mapping[str, Conditions] = field(default_factory=dict)  # of a baseline, measured at as well
    engine: Engine = "auto"
    keep: Path | None = None  # where trainings leave their checkpoints
    executor: Executor = map
    progress: Progress = quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an experiment gave."""

    plan: ExperimentPlan
    judged: Images  # those of the judged images that have room for their trials
    measurement: Measurement  # on them
    repeated: Measurement | None  # the same at the places and level of a baseline
    contribution: Contribution  # of the first seed, which chose its places
    sweep: LevelCurve | None  # on the calibration images; None where the level was given
    experimenter: Experimenter  # of the first seed
    engine: str
    training: tuple[Training, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One observation of the judged images with one seed, and the conditions that it was made under."""

    level: float
    locations: Locations
    judged: Images  # those that have room for their trials
    trials: Trials
    seen: Observation
    by: Experimenter
    sweep: LevelCurve | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seed:
    """What one seed gave: its own part, and the part at the conditions of a baseline where one was given."""

    parts: tuple[_Part, ...]
    contribution: Contribution
    look: Look
    training: Training | None


def measure(model: Sees, plan: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps) -> Measured:
    """One experiment, whole. Everything that is learnt is learnt on the calibration pictures.

    Maps that are estimated are added to `maps`; a map of the model as it is, is taken from there.
    Raises InputError where calibration finds no level at which a number can be had.
    """
    seeds = [_measure_seed(model, plan, pictures, wanted, maps, number) for number in range(plan.training.seeds)]
    own, *again = (_together(parts) for parts in zip(*(seed.parts for seed in seeds), strict=True))
    first = seeds[0]
    return Measured(
        plan=plan,
        judged=first.parts[0].judged,
        measurement=own,
        repeated=again[0] if again else None,
        contribution=first.contribution,
        sweep=first.parts[0].sweep,
        experimenter=first.parts[0].by,
        engine=first.look.name,
        training=tuple(seed.training for seed in seeds if seed.training),
    )


def _measure_seed(
    model: Sees, whole: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps, number: int
) -> _Seed:
    plan = replace(whole, seed=whole.seed + number)
    subject = prepare(model, plan, pictures.calibration, plan.seed, keep=wanted.keep, progress=wanted.progress)
    given = plan.point.false_alarms is None
    faint = given and plan.training.regime == "as-is" and plan.level is not None and plan.level < FAINT
    engine = "dense" if plan.annotated else wanted.engine  # no picture is a changed copy of another
    look = look_at(subject.model, subject.evaluator.layer, engine, double=faint)
    known: Calibration | None = None
    if plan.answers:
        contribution, known = answer_map(subject, plan, look, pictures.calibration, wanted.executor, wanted.progress)
        maps.setdefault(f"{plan.name}: {look.layer}", contribution)
    else:
        contribution = _mapped(subject.model, plan, pictures.calibration, wanted, maps, own=subject.model is not model)
    locations = _places(subject.model, plan, contribution, wanted.places.get(plan.name))
    known = known if plan.level is not None else None  # a given level was calibrated with the map
    parts = [_part(subject, plan, look, locations, pictures, wanted, known)]
    if (asked := wanted.conditions.get(plan.name)) is not None:
        there = asked.locations[min(number, len(asked.locations) - 1)]
        same = asked.level == parts[0].level and _same(there, locations)
        anew = replace(plan, level=asked.level)
        parts.append(parts[0] if same else _part(subject, anew, look, there, pictures, wanted))
    return _Seed(parts=tuple(parts), contribution=contribution, look=look, training=subject.training)


def _places(model: Sees, plan: ExperimentPlan, found: Contribution, given: Locations | None) -> Locations:
    """The places of both arms: those given, all phases, or those that the map chooses."""
    if not plan.every_phase:
        return given or choose(
            found,
            size=1 if plan.answers else plan.task.extent,  # a map of the answer is of the whole object's place
            share=plan.map.share,
            seed=plan.seed,
        )
    if found.lattice is not None and not found.lattice.whole:
        raise InputError("the lattice has no whole period in the picture, so that its phases cannot be asked about.")
    area = None if found.lattice is None else found.lattice.area
    return given if given and given.every else every_phase(_period(model, plan, found), area)


def _period(model: Sees, plan: ExperimentPlan, found: Contribution) -> int:
    """That of the map; a structural map may be flat where weights are not, so there it is the stride at the least."""
    if plan.map.kind != "structural":
        return found.period
    return math.lcm(found.period, place(model, found.layer, period_in(plan.map))["period"])


def _mapped(
    model: Sees, plan: ExperimentPlan, images: Images, wanted: Wanted, maps: Maps, *, own: bool
) -> Contribution:
    """The map that chooses the places: of the model that has learnt, if it has learnt."""
    layer = model.find_layer(plan.map_layer) if isinstance(model, Taps) else "output"
    name = f"{plan.name}: {layer}" if own else layer
    if name not in maps or (own and plan.training.seeds > 1):
        found = estimate(
            model,
            plan.map,
            layer,
            as_shown(model.input_shape, plan.task, images),
            seed=plan.seed,
            progress=wanted.progress,
        )
        maps.setdefault(name, found)
        return found
    return maps[name]


def _part(
    subject: Subject,
    plan: ExperimentPlan,
    look: Look,
    locations: Locations,
    pictures: Pictures,
    wanted: Wanted,
    known: Calibration | None = None,
) -> _Part:
    """Calibrate at these places, unless that is known, then observe the judged images."""
    images = pictures.calibration
    setting = Setting(
        plan=plan,
        look=look,
        locations=locations,
        images=images,
        executor=wanted.executor,
        tick=wanted.progress(f"{plan.name}: level", len(images.pixels)),
    )
    found = known or calibrate(subject.evaluator, setting)
    by = Experimenter(
        look=look,
        evaluator=found.evaluator,
        task=plan.task,
        levels=(found.level,),
        point=plan.point,
        threshold=found.threshold,
        pinned=found.pinned,
        flips=plan.flips,
    )
    which, trials = placed(
        _canvas(pictures.judged, look.model.input_shape),
        locations,
        extent=plan.task.extent,
        size=plan.task.size,
        pairs=pairs_for(pictures.judged, locations, plan.pairs) if locations.every else plan.pairs,
        seed=plan.seed,
        purpose=f"{plan.name}/judged",
        scenes=plan.scenes,
    )
    judged = only(pictures.judged, which)
    tick = wanted.progress(f"{plan.name}: judging", len(which))
    seen = joined(list(wanted.executor(lambda block: observe(block, by, tick), cut(judged, trials))))
    return _Part(
        level=found.level, locations=locations, judged=judged, trials=trials, seen=seen, by=by, sweep=found.sweep
    )


def _together(parts: tuple[_Part, ...]) -> Measurement:
    """The parts of all seeds as one measurement."""
    return Measurement(
        conditions=Conditions(level=parts[0].level, locations=tuple(part.locations for part in parts)),
        trials=tuple(part.trials for part in parts),
        seen=stacked([part.seen for part in parts]),
    )


def _same(here: Locations, there: Locations) -> bool:
    alike = np.array_equal(here.dead, there.dead) and np.array_equal(here.live, there.live)
    return alike and here.period == there.period and here.every == there.every


def _canvas(images: Images, shape: tuple[int, int, int]) -> Images:
    """The images at the size of the model's input, for the design, which does not look at pixels."""
    if images.objects is not None:
        return images
    blank = np.broadcast_to(np.float32(0), (len(images.pixels), *shape))
    return replace(images, pixels=blank)
