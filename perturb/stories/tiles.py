"""Tiles: what a tiling leaves unseen, what another would, and what is found at places all over a picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from perturb.blocks import Block, only
from perturb.comparisons import PlaceRate, Places, TilePlan
from perturb.contribution import structural
from perturb.errors import InputError, UsageError
from perturb.locations import fold
from perturb.looking import look_at
from perturb.observe import Experimenter, observe
from perturb.plan import ExperimentPlan, pictures_for
from perturb.plan import plan as plan_of
from perturb.protocols import Differentiable, Progress, Sees, quiet
from perturb.quantities.statistics import rate
from perturb.records import CLEAN, DEAD, Experiment, Images, Observation, Trials
from perturb.report import Report
from perturb.stats.conformal import pin_threshold
from perturb.streams import stream
from perturb.suite import Suite
from perturb.tiling import Lattice, Pair, Tiling, best_look, depth, plan
from perturb.trials import identity

LIVE = 0.05  # share of the phases with the highest values, whose mean is what "live" means
ENLARGED = 2  # times, that the planner tries
JITTER = 16  # rows and columns by which objects of one scene are moved at random, at least


def plan_structural(
    model: Differentiable, now: Tiling, *, layer: str = "output", size: int = 1, margin: int = 0, below: float = 0.5
) -> TilePlan:
    """The plan for a network's structural map: a place counts for the sum of the map under the object.

    Blind is what counts for less than `below` times the mean of the 5 % of phases that count for most.
    """
    found = structural(model, model.find_layer(layer))
    phases = fold(found)
    once = _under(phases, size)
    least = below * _live(once)
    lattices = {
        times: Lattice(
            values=_under(phases, size * times),
            least=least,
            extent=(size * times, size * times),
            margin=margin,
            every=times,
        )
        for times in (1, ENLARGED)
    }
    return TilePlan(
        source=f"structural map of {model.name}, `{found.layer}`",
        period=(found.period, found.period),
        blind=float((once < least).mean()),
        measured=False,
        options=plan(now, lattices),
    )


def plan_measured(
    report: Report, now: Tiling, *, check: str = "", extent: Pair = (1, 1), margin: int = 0, below: float = 0.5
) -> TilePlan:
    """The plan for what a run found by phase: of the check's experiment, or the first that has it.

    A run without rates by phase tells its dead phases alone: they count as 0, all others as 1. Raises UsageError for a
    check that the report does not have.
    """
    lattice, source = measured_lattice(report, check=check, extent=extent, margin=margin, below=below)
    return TilePlan(
        source=source,
        period=(lattice.values.shape[0], lattice.values.shape[1]),
        blind=float((lattice.values < lattice.least).mean()),
        measured=True,
        options=plan(now, {1: lattice}),
    )


def measured_lattice(
    report: Report, *, check: str = "", extent: Pair = (1, 1), margin: int = 0, below: float = 0.5
) -> tuple[Lattice, str]:
    """What a run found by phase, and where that is from in words."""
    found = _experiment(report, check)
    if found.phases:
        values = np.zeros(np.max([one.phase for one in found.phases], 0) + 1)
        for one in found.phases:
            values[one.phase] = one.rate.value
        told = f"share found by phase, {found.phases[0].rate.n} calibration pictures"
    else:
        values = np.ones((found.period, found.period))
        for phase in () if found.balanced else found.dead_phases:
            values[phase] = 0
        told = "dead phases"
    lattice = Lattice(values=values, least=below * _live(values), extent=extent, margin=margin)
    return lattice, f"{told}, check {found.name} of {report.model.reference}"


def find_everywhere(model: Sees, suite: Suite, *, progress: Progress = quiet) -> Places:
    """The suite's first check at places all over its judged pictures: what was found, and falsely found without it.

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

    def seen(images: Images, threshold: float) -> tuple[list[Trials], list[Observation]]:
        by = Experimenter(
            look=look_at(model, experiment.evaluator.layer, "auto"),
            evaluator=experiment.evaluator,
            task=experiment.task,
            levels=(experiment.level or 0.0,),
            point=experiment.point,
            threshold=threshold,
        )
        trials, found = [], []
        for number in range(len(images.pixels)):
            one = only(images, np.array([number]))
            trials.append(_scattered(one, experiment))
            found.append(observe(Block(images=one, trials=trials[-1]), by, tick))
        return trials, found

    given = experiment.evaluator.threshold
    if isinstance(given, str):
        _, clean = seen(pictures.calibration, np.nan)
        given = float(
            pin_threshold(np.concatenate([one.evidence[..., CLEAN].ravel() for one in clean]), experiment.alarm_rate)
        )
    trials, found = seen(pictures.judged, given)  # no two pictures hold as many places
    count = [one.dead.shape[1] for one in trials]
    evidence = np.concatenate([one.evidence[0, 0, 0] for one in found])
    return Places(
        place=np.concatenate([one.dead[0] for one in trials]),
        extent=experiment.task.extent,
        found=(evidence[:, DEAD] > given).astype(float),
        false=(evidence[:, CLEAN] > given).astype(float),
        photograph=np.repeat(pictures.judged.photograph, count),
    )


def by_look(seen: Places, tiling: Tiling, lattice: Lattice) -> tuple[PlaceRate, ...]:
    """What was found where the best look is blind, where it is live, near tiles' edges alone, and everywhere."""
    look = best_look(tiling, lattice)[tuple(seen.place.T)]
    cut = np.isneginf(look)
    groups = {
        "at blind phases only": ~cut & (look < lattice.least),
        "at tiles' edges only": cut,
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


def _under(phases: Float[np.ndarray, "row column"], size: int) -> Float[np.ndarray, "row column"]:
    """The sum of the map under a size x size object whose top left lies at each phase; the lattice repeats."""
    for axis in (0, 1):
        phases = sum(np.roll(phases, -n, axis) for n in range(size))  # type: ignore[assignment]
    return phases


def _live(values: np.ndarray) -> float:
    return float(np.sort(values, axis=None)[-max(1, round(LIVE * values.size)) :].mean())


def _scattered(image: Images, experiment: ExperimentPlan) -> Trials:
    """One trial for each object of a scene; a place is as likely anywhere in the picture."""
    rng = stream(experiment.seed, f"places/{experiment.name}/{identity(image, 0)}")
    places = _spread(image.pixels.shape[2:], experiment, rng)
    return Trials(
        dead=places[None],
        live=places[None],
        photograph=image.photograph,
        seed=experiment.seed,
        purpose=f"{experiment.name}/places",
        scene=places[None],
        together=True,
    )


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
