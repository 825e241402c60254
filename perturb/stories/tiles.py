"""Tiles: what a tiling leaves unseen, what another would, and what is found at places all over a picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from perturb.comparisons import FoundWhere, PlaceRate, Places, TilePlan
from perturb.contribution import structural
from perturb.errors import InputError, UsageError
from perturb.locations import fold, patch_sum
from perturb.observe import evidence_of
from perturb.plan import ExperimentPlan, pictures_for
from perturb.plan import plan as plan_of
from perturb.protocols import Asked, Differentiable, Progress, Sees, Task, Tick, quiet
from perturb.quantities.statistics import rate
from perturb.records import Experiment, Images
from perturb.report import Report
from perturb.showing import label_of
from perturb.stats.conformal import pin_threshold
from perturb.streams import stream
from perturb.suite import Suite
from perturb.tiling import Lattice, Pair, Tiling, best_look, depth, plan
from perturb.trials import identity

LIVE = 0.05  # share of the phases with the highest values, whose mean is what "live" means
ENLARGED = 2  # times, that the planner tries
JITTER = 16  # rows and columns within which an object of a scene is moved at random
SURROUNDINGS = 32  # rows and columns around an object that it may depend on


@dataclass(frozen=True, slots=True, kw_only=True)
class Blindness:
    """The object that is looked for, and when it counts as not seen."""

    extent: Pair = (1, 1)  # rows, columns
    margin: int = 0  # pixels from a tile's edge within which nothing is seen
    below: float = 0.5  # of the live phases' value: the mean of the 5 % of the phases with the highest


def plan_structural(
    model: Differentiable, now: Tiling, blindness: Blindness = Blindness(), *, layer: str = "output"
) -> TilePlan:
    """The plan for a network's structural map: a place counts for the sum of the map under the object."""
    found = structural(model, model.find_layer(layer))
    phases = fold(found)
    once = patch_sum(phases, blindness.extent)
    least = blindness.below * _live(once)

    def enlarged(times: int) -> Lattice:
        extent = blindness.extent[0] * times, blindness.extent[1] * times
        return Lattice(
            values=patch_sum(phases, extent), least=least, extent=extent, margin=blindness.margin, every=times
        )

    return TilePlan(
        source=f"structural map of {model.name}, `{found.layer}`",
        period=(found.period, found.period),
        blind=float((once < least).mean()),
        measured=False,
        options=plan(now, {times: enlarged(times) for times in (1, ENLARGED)}),
    )


def plan_measured(report: Report, now: Tiling, blindness: Blindness = Blindness(), *, check: str = "") -> TilePlan:
    """The plan for what a run found by phase: see `measured_lattice`."""
    lattice = measured_lattice(report, blindness, check=check)
    found = _experiment(report, check)
    told = f"share found by phase on {found.phases[0].rate.n} calibration pictures" if found.phases else "dead phases"
    return TilePlan(
        source=f"{told}, check {found.name} of {report.model.reference}",
        period=(lattice.values.shape[0], lattice.values.shape[1]),
        blind=float((lattice.values < lattice.least).mean()),
        measured=True,
        options=plan(now, {1: lattice}),
    )


def measured_lattice(report: Report, blindness: Blindness = Blindness(), *, check: str = "") -> Lattice:
    """The share found by phase, of the check's experiment or the first that has it.

    A run without shares by phase tells its dead phases alone: they count as 0, all others as 1. Raises UsageError for a
    check that the report does not have.
    """
    found = _experiment(report, check)
    if found.phases:
        values = np.zeros(np.max([one.phase for one in found.phases], 0) + 1)
        for one in found.phases:
            values[one.phase] = one.rate.value
    else:
        values = np.ones((found.period, found.period))
        for phase in () if found.balanced else found.dead_phases:
            values[phase] = 0
    least = blindness.below * _live(values)
    return Lattice(values=values, least=least, extent=blindness.extent, margin=blindness.margin)


def found_lattice(seen: Places, period: Pair, blindness: Blindness = Blindness()) -> Lattice:
    """The share found by phase of pictures that are one tile, so that a place is its own phase.

    Raises InputError where a phase was not met.
    """
    phase, count = seen.place % period, np.zeros(period)
    np.add.at(count, tuple(phase.T), 1)
    if not count.all():
        raise InputError(f"{len(seen.place)} places are too few: some of {period[0]} x {period[1]} phases hold none.")
    values = np.zeros(period)
    np.add.at(values, tuple(phase.T), seen.found)
    values /= count
    return Lattice(values=values, least=blindness.below * _live(values), extent=seen.extent, margin=blindness.margin)


def where(
    seen: Places, tiling: Tiling, report: Report | None = None, blindness: Blindness = Blindness(), *, check: str = ""
) -> FoundWhere:
    """What was found by place: by the best look, where a report tells the values by phase, and by distance to edges.

    The object's extent is the one that was put into the pictures.
    """
    known = replace(blindness, extent=seen.extent)
    return FoundWhere(
        by_look=() if report is None else by_look(seen, tiling, measured_lattice(report, known, check=check)),
        by_depth=by_depth(seen, tiling),
    )


def find_everywhere(model: Sees, suite: Suite, *, progress: Progress = quiet) -> Places:
    """The suite's first check at places all over its judged pictures: what was found, and what was without the object.

    Objects lie at random places, near the picture's edge as well, several in a picture and out of each other's reach.
    A threshold that is not given is pinned on clean calibration pictures at such places. Raises UsageError for a check
    without a level, and for an evaluator that does not read places.
    """
    pictures = pictures_for(suite, model.input_shape)
    experiment = plan_of(suite, model, pictures.judged)[0].experiment
    if experiment.level is None or not experiment.evaluator.local:
        raise UsageError(
            f"check {experiment.name}: places are measured at one level by an evaluator of places: give `level`, and "
            "[evaluator] kind = 'map' or 'boxes'."
        )
    tick = progress(f"{experiment.name}: places", len(pictures.calibration.pixels) + len(pictures.judged.pixels))
    threshold = experiment.evaluator.threshold
    if isinstance(threshold, str):
        clean = [evidence[:, 0] for _, _, evidence in _seen(model, experiment, pictures.calibration, tick)]
        threshold = float(pin_threshold(np.concatenate(clean), experiment.alarm_rate))
    owner, place, found = (
        np.concatenate(part) for part in zip(*_seen(model, experiment, pictures.judged, tick), strict=True)
    )
    return Places(
        place=place,
        extent=experiment.task.extent,
        found=(found[:, 1] > threshold).astype(float),
        false=(found[:, 0] > threshold).astype(float),
        photograph=owner,
    )


Evidence = Float[np.ndarray, "place 2"]  # without the objects, with them


def _seen(
    model: Sees, experiment: ExperimentPlan, images: Images, tick: Tick
) -> list[tuple[Int[np.ndarray, " place"], Int[np.ndarray, "place 2"], Evidence]]:
    """For each image: the photograph and the place of each object, and the evidence for it."""
    assert experiment.level is not None
    task, evaluator = replace(experiment.task, level=experiment.level), experiment.evaluator  # type: ignore[type-var]
    seen = []
    for number, pixels in enumerate(images.pixels):
        name = f"places/{experiment.name}/{identity(images, number)}"
        rng, label = stream(experiment.seed, name), label_of(images, number)
        places = _spread(pixels.shape[1:], experiment, rng)
        if not len(places):
            raise InputError(f"no object of {task.extent} lies in a picture of {pixels.shape[1:]}.")
        grain = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(evaluator.noise)
        shown = np.stack([pixels, _with_objects(pixels, places, task, label, rng)]) + grain
        outputs = model.measure(torch.from_numpy(shown.clip(0, 1)), evaluator.layer)
        evidence = []
        for place in places:  # both pictures are asked about each place
            asked = Asked(
                place=np.stack([place, place]),
                extent=task.extent,
                shape=(pixels.shape[1], pixels.shape[2]),
                truth=np.full(2, task.asked(label, 0)),
                twin=np.zeros(2, dtype=int),
            )
            evidence.append(evidence_of(evaluator, outputs, asked, None))
        seen.append((np.full(len(places), images.photograph[number]), places, np.stack(evidence)))
        tick(1)
    return seen


def _with_objects(
    pixels: Float[np.ndarray, "channel row column"],
    places: Int[np.ndarray, "place 2"],
    task: Task,
    label: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "channel row column"]:
    """The picture with an object at each place. Each is put into its surroundings alone, so that none copies it all."""
    scene = pixels.copy()
    for place in places:
        corner = np.maximum(place - SURROUNDINGS, 0)
        rows, columns = (slice(a, b) for a, b in zip(corner, place + task.extent + SURROUNDINGS, strict=True))
        row, column = place - corner
        scene[:, rows, columns] = task.show(scene[:, rows, columns], task.asked(label, 0), (int(row), int(column)), rng)
    return scene


def by_look(seen: Places, tiling: Tiling, lattice: Lattice) -> tuple[PlaceRate, ...]:
    """What was found where the best look is blind, where the object is seen at tiles' edges alone, and elsewhere."""
    look = best_look(tiling, lattice)[tuple(seen.place.T)]
    cut = np.isneginf(look)
    groups = {
        "at blind phases only": ~cut & (look < lattice.least),
        "at edges only": cut,
        "elsewhere": look >= lattice.least,
        "everywhere": np.ones(len(look), dtype=bool),
    }
    return tuple(_place_rate(words, chosen, seen) for words, chosen in groups.items() if chosen.any())


def by_depth(seen: Places, tiling: Tiling, *, limits: Sequence[int] = (0, 2, 4, 8, 16, 32)) -> tuple[PlaceRate, ...]:
    """What was found by the pixels between the object and the edge of the tile in which it lies deepest."""
    deep = depth(tiling, seen.place, seen.extent)
    groups = {"cut by an edge": deep < 0}
    for first, after in zip(limits, [*limits[1:], None], strict=True):
        words = f"{first} to {after - 1} pixels from an edge" if after is not None else f"{first} pixels or more"
        groups[words] = (deep >= first) & (deep < (np.inf if after is None else after))
    return tuple(_place_rate(words, chosen, seen) for words, chosen in groups.items() if chosen.any())


def _place_rate(words: str, chosen: np.ndarray, seen: Places) -> PlaceRate:
    owner = seen.photograph[chosen]
    found, false = (rate(values[chosen][None, :, None], owner) for values in (seen.found, seen.false))
    return PlaceRate(words=words, share=float(chosen.mean()), found=found, false=false)


def _experiment(report: Report, check: str) -> Experiment:
    if not report.experiments:
        raise InputError("the report holds no experiment.")
    if not check:
        return next((one for one in report.experiments if one.phases), report.experiments[0])
    for one in report.experiments:
        if one.name == check:
            return one
    raise UsageError(
        f"check `{check}` is not in the report, expected one of {[one.name for one in report.experiments]}."
    )


def _live(values: np.ndarray) -> float:
    return float(np.sort(values, axis=None)[-max(1, round(LIVE * values.size)) :].mean())


def _spread(shape: tuple[int, ...], experiment: ExperimentPlan, rng: np.random.Generator) -> Int[np.ndarray, "place 2"]:
    """A grid at a random offset, each of its points moved at random, so that no place is more likely than another."""
    reach = 2 * getattr(experiment.evaluator, "radius", 0.0)
    axes = []
    pitches = [int(np.ceil(reach)) + n + JITTER for n in experiment.task.extent]
    for n, pitch in zip(shape, pitches, strict=True):
        axes.append(np.arange(rng.integers(pitch) - pitch, n, pitch))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    places = grid + rng.integers(0, JITTER, grid.shape)
    inside = (places >= 0).all(1) & (places + experiment.task.extent <= shape).all(1)
    return np.asarray(places[inside])
