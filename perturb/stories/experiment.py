"""One experiment: prepare the model, find its dead and live places, calibrate on some pictures, judge on others."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from perturb.blocks import Block, Executor, Shard, cut, joined, stacked
from perturb.contribution.period import place
from perturb.errors import InputError
from perturb.figures import LevelCurve
from perturb.incremental import Engine
from perturb.locations import choose
from perturb.looking import Look, look_at
from perturb.observe import Experimenter, Observing
from perturb.phases import every_phase, pairs_for
from perturb.placing import placed
from perturb.plan import ExperimentPlan
from perturb.protocols import Progress, Sees, Taps, quiet
from perturb.quantities.levels import at_levels
from perturb.records import (
    Conditions,
    Contribution,
    Images,
    Locations,
    Measurement,
    Measurements,
    Observation,
    Pictures,
    Training,
    Trials,
)
from perturb.stories.answer_map import answer_map
from perturb.stories.calibrate import Calibration, Setting, calibrate
from perturb.stories.estimate import Estimating, chosen
from perturb.stories.prepare import Subject, as_shown, prepare
from perturb.studies import Studies
from perturb.trials import only, only_trials

FAINT = 1 / 64  # below this level differences of float32 scores are rounding, and a given threshold is read in float64


Maps = dict[str, Contribution]  # by layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller may add to a suite."""

    places: Mapping[str, Locations] = field(default_factory=dict)  # by check, in place of those that the map chooses
    conditions: Mapping[str, Conditions] = field(default_factory=dict)  # of a baseline, measured at as well
    decided: Callable[[Measurements], bool] = lambda found: True  # of what else is asked of the
    # experiments, before a run that goes on until it is decided may stop
    engine: Engine = "auto"
    keep: Path | None = None  # where trainings leave their checkpoints
    executor: Executor = map
    progress: Progress = quiet
    studies: Studies = field(default_factory=Studies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an experiment gave."""

    plan: ExperimentPlan
    judged: Images  # those of the judged images that have room for their trials
    measurement: Measurement  # on them
    repeated: Measurement | None  # the same at the places and level of a baseline
    own: Measurement | None  # at its own places and the level of a baseline, where both are others
    contribution: Contribution  # of the first seed, which chose its places
    sweep: LevelCurve | None  # on the calibration images; None where the level was given
    experimenter: Experimenter  # of the first seed
    engine: str
    training: tuple[Training, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """The judged images with one seed's trials under one set of conditions, to be observed in turn."""

    level: float
    locations: Locations
    judged: Images  # those that have room for their trials
    trials: Trials
    work: Observing
    sweep: LevelCurve | None
    executor: Executor
    seen: list[Observation] = field(default_factory=list)  # so far

    @property
    def by(self) -> Experimenter:
        return self.work.by

    @property
    def photographs(self) -> int:
        """Observed so far."""
        return sum(len(np.unique(part.photograph)) for part in self.seen)

    def first(self, photographs: int, *, after: int = 0) -> tuple[Images, Trials]:
        """The images of the first photographs, without those of the first `after`, and their trials."""
        which = slice(*np.searchsorted(self.judged.photograph, (after, photographs)))
        return only(self.judged, which), only_trials(self.trials, which)

    def blocks(self, photographs: int, *, after: int = 0) -> list[Block]:
        images, trials = self.first(photographs, after=after)
        return cut(images, trials) if len(images.pixels) else []

    def observe(self, photographs: int, *, after: int) -> None:
        """Observe these as well."""
        self.seen.extend(self.executor(self.work, self.blocks(photographs, after=after)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seed:
    """One seed: its own part, and the part at the conditions of a baseline where one was given."""

    parts: tuple[_Part, ...]
    contribution: Contribution
    look: Look
    training: Training | None


def measure(model: Sees, plan: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps) -> Measured:
    """One experiment, on all judged photographs; see `measure_in_turn`."""
    (found,) = measure_in_turn(model, plan, pictures, wanted, maps, looks=[len(pictures.judged.names)])
    assert found is not None
    return found


def measure_in_turn(
    model: Sees, plan: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps, *, looks: Sequence[int]
) -> Iterator[Measured | None]:
    """One experiment on the first n judged photographs, for each n of `looks`, which ascend; None below two of them.

    Everything that is learnt is learnt on the calibration pictures, once. Maps that are estimated are added to `maps`;
    a map of the model as it is, is taken from there.
    Raises InputError where calibration finds no level at which a number can be had.
    """
    seeds = [_seed(model, plan, pictures, wanted, maps, number) for number in range(plan.training.seeds)]
    parts = _parts(seeds)
    for before, photographs in zip([0, *looks], looks, strict=False):
        for part in parts:
            part.observe(photographs, after=before)
        few = any(part.photographs < 2 for part in parts)
        yield None if few else _measured(plan, seeds, photographs)


def measure_shard(
    model: Sees, plan: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps, shard: Shard
) -> None:
    """Run a shard's judged blocks of one experiment, for an executor that keeps what it runs."""
    seeds = [_seed(model, plan, pictures, wanted, maps, number) for number in range(plan.training.seeds)]
    for part in _parts(seeds):
        for _ in part.executor(part.work, shard.of(part.blocks(len(pictures.judged.names)))):
            pass


def _parts(seeds: Sequence[_Seed]) -> list[_Part]:
    """Each once: a baseline's may be the very same."""
    return list(dict.fromkeys(part for seed in seeds for part in seed.parts))


def _measured(plan: ExperimentPlan, seeds: Sequence[_Seed], photographs: int) -> Measured:
    """What was seen on the first photographs."""
    asked = slice(0, 1 + len(plan.curve))
    own, *again = (_together(p, photographs, asked) for p in zip(*(seed.parts for seed in seeds), strict=True))
    beyond, first = slice(asked.stop, None), seeds[0]
    more = first.parts[0].by.levels[beyond]
    return Measured(
        plan=plan,
        judged=first.parts[0].first(photographs)[0],
        measurement=own,
        repeated=again[0] if again else None,
        own=_together([seed.parts[0] for seed in seeds], photographs, beyond) if more else None,
        contribution=first.contribution,
        sweep=first.parts[0].sweep,
        experimenter=first.parts[0].by,
        engine=first.look.name,
        training=tuple(seed.training for seed in seeds if seed.training),
    )


def _seed(model: Sees, whole: ExperimentPlan, pictures: Pictures, wanted: Wanted, maps: Maps, number: int) -> _Seed:
    plan = replace(whole, seed=whole.seed + number)
    subject = prepare(model, plan, pictures.calibration, plan.seed, keep=wanted.keep, progress=wanted.progress)
    given = plan.point.false_alarms is None
    lowest = min((1.0 if plan.level is None else plan.level, *plan.curve))
    faint = given and plan.training.regime == "as-is" and lowest < FAINT
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
    asked = wanted.conditions.get(plan.name)
    there = asked.locations[min(number, len(asked.locations) - 1)] if asked else None
    elsewhere = there is not None and not _same(there, locations)
    besides = asked.level if asked and elsewhere else None
    parts = [_part(subject, plan, look, locations, pictures, wanted, known, besides)]
    if asked and there:
        same = asked.level == parts[0].level and not elsewhere
        anew = replace(plan, level=asked.level, curve=())  # a baseline is compared at the check's own level
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
    return math.lcm(found.period, place(model, found.layer, plan.map.period)["period"])


def _mapped(
    model: Sees, plan: ExperimentPlan, images: Images, wanted: Wanted, maps: Maps, *, own: bool
) -> Contribution:
    """The map that chooses the places: of the model that has learnt, if it has learnt."""
    layer = model.find_layer(plan.map_layer) if isinstance(model, Taps) else "output"
    name = f"{plan.name}: {layer}" if own else layer
    if name not in maps or (own and plan.training.seeds > 1):
        work = Estimating(model=model, table=plan.map, layer=layer, seed=plan.seed, progress=wanted.progress)
        pixels = chosen(as_shown(model.input_shape, plan.task, images), plan.map)
        (found,) = wanted.executor(work, [pixels])
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
    besides: float | None = None,
) -> _Part:
    """Calibrate at these places, unless that is known, and draw the judged images' trials.

    They are also asked at the level `besides`, where it is another.
    """
    images = pictures.calibration
    setting = Setting(
        plan=plan,
        look=look,
        locations=locations,
        images=images,
        executor=wanted.executor,
        tick=wanted.progress(f"{plan.name}: level", len(images.pixels)),
        studies=wanted.studies,
    )
    found = known or calibrate(subject.evaluator, setting)
    by = Experimenter(
        look=look,
        evaluator=found.evaluator,
        task=plan.task,
        levels=(found.level, *plan.curve, *([] if besides in (None, found.level) else [besides])),
        point=plan.point,
        threshold=found.threshold,
        pinned=found.pinned,
        flips=plan.flips,
        studies=wanted.studies,
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
    return _Part(
        level=found.level,
        locations=locations,
        judged=only(pictures.judged, which),
        trials=trials,
        work=Observing(by=by, tick=wanted.progress(f"{plan.name}: judging", len(which))),
        sweep=found.sweep,
        executor=wanted.executor,
    )


def _together(parts: Sequence[_Part], photographs: int, levels: slice) -> Measurement:
    """The parts of all seeds as one measurement, at some of their levels."""
    return Measurement(
        conditions=Conditions(level=parts[0].by.levels[levels][0], locations=tuple(part.locations for part in parts)),
        trials=tuple(part.first(photographs)[1] for part in parts),
        seen=at_levels(stacked([joined(part.seen) for part in parts]), levels),
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
