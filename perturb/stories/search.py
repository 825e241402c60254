"""The worst case: the place and level at which a perturbation that is seen elsewhere goes unseen, or flips the label.

Every phase of one cell of a picture is tried at every level, or, where the budget does not reach that far, the phases
that contribute least (for a flip: most). What is found is shrunk by hypothesis to the simplest case that still holds.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from perturb.blocks import Block
from perturb.counterexample import Aim, Answer, Case, PlaceScan, WorstCase, as_images, as_trials, eight_bits
from perturb.errors import InputError, UsageError
from perturb.evaluators.label import Label
from perturb.locations import Phases, anywhere, fold, patch_sum
from perturb.looking import Look, look_at
from perturb.observe import Experimenter, observe
from perturb.plan import ExperimentPlan, pictures_for, plan_experiment, seen_by
from perturb.protocols import Differentiable, Perturbation, Progress, Sees, Taps, quiet
from perturb.records import DEAD, LIVE, Contribution, Images, Locations, OperatingPoint, Pictures, Trials
from perturb.stories.calibrate import LEVELS, Setting, calibrate
from perturb.stories.estimate import estimate
from perturb.streams import stream
from perturb.suite import CheckTable, Suite
from perturb.tasks.labels import Labels
from perturb.trials import interior_cells, only

AT_ONCE = 16  # pairs of places of one picture that are composed together
SHRINKING = 200  # cases that hypothesis may try


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Who looks, and for what."""

    by: Experimenter
    perturbation: Perturbation
    aim: Aim

    def shows(self, evidence: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        """Whether the perturbation shows: it is noticed, or it flips the label."""
        return np.asarray(evidence > threshold if self.aim == "missed" else evidence <= threshold)


def search(
    model: Sees,
    suite: Suite,
    *,
    check: str | None = None,
    aim: Aim = "missed",
    budget: int = 4096,
    progress: Progress = quiet,
) -> tuple[PlaceScan, WorstCase | None]:
    """The worst place and level for a check of the suite, by at most `budget` looks at a perturbed picture.

    `missed`: the highest level that is missed at one place and seen at another of the same cell. `flipped`: the lowest
    level that changes the model's label. Pictures are those that the suite judges; what must be learnt is learnt on the
    others. Raises UsageError for an unknown check, InputError for an evaluator that must be taught.
    """
    if suite.region:
        raise UsageError(f"search looks at all places: remove [region] from {suite.name}.")
    asked, model = _asked(suite, check), seen_by(suite, model)
    pictures = _settled(model, suite)
    plan = plan_experiment(suite, asked, model, pictures.judged)
    eye = _eye(model, plan, pictures, aim)
    layer = model.find_layer("last") if plan.map_layer == "output" and isinstance(model, Taps) else plan.map_layer
    contribution = estimate(model, suite.map, layer, pictures.calibration, seed=suite.seed, progress=progress)
    if contribution.lattice is not None and not contribution.lattice.whole:
        raise InputError(f"{model.name}: the lattice has no whole period in the picture, so phases cannot be searched.")
    sweep = _sweep(eye, contribution, pictures.judged, budget, progress)
    worst = _worst(sweep, eye.perturbation)
    if worst is None or not _answer(eye, worst[0]).holds:
        return sweep, None
    case, name = worst
    simplest = _simplest(model, eye, case, sweep.period)
    return sweep, WorstCase(met=case, name=name, simplest=_answer(eye, simplest))


def replay(model: Sees, suite: Suite, case: Case, *, check: str | None = None, aim: Aim = "missed") -> Answer:
    """What the model makes of a case that a search by this suite kept. Raises InputError where it does not fit."""
    model = seen_by(suite, model)
    if case.picture.shape != model.input_shape:
        raise InputError(f"the case's picture is {case.picture.shape}, {model.name} takes {model.input_shape}.")
    pictures = _settled(model, suite)
    plan = plan_experiment(suite, _asked(suite, check), model, pictures.judged)
    return _answer(_eye(model, plan, pictures, aim), case)


def _asked(suite: Suite, check: str | None) -> CheckTable:
    for asked in suite.check:
        if check in (None, asked.name):
            if asked.perturbation.kind == "annotated":
                raise UsageError("search moves a perturbation over pictures; annotated objects lie where they lie.")
            return asked
    raise UsageError(f"{suite.name} has no check `{check}`, expected one of {[c.name for c in suite.check]}.")


def _settled(model: Sees, suite: Suite) -> Pictures:
    pictures = pictures_for(suite, model.input_shape)
    if model.untrained and isinstance(model, Differentiable):
        model.settle(pictures.calibration.pixels)
    return pictures


def _eye(model: Sees, plan: ExperimentPlan, pictures: Pictures, aim: Aim) -> Eye:
    """A perturbation is missed by the plan's evaluator, or it flips the label of the clean picture."""
    put = plan.task.perturbation
    if hasattr(plan.evaluator, "learn"):
        raise InputError("evaluator.kind = 'features' is taught anew at each level: search with 'change' or 'score'.")
    if aim == "flipped":
        by = Experimenter(
            look=Look(model=model, layer="output"),
            evaluator=Label(),
            task=Labels(perturbation=put, level=1.0, outputs=1),
            levels=LEVELS,
            point=OperatingPoint(false_alarms=None, clean="right", chance=0.0),
            threshold=0.0,
        )
    else:
        look = look_at(model, plan.evaluator.layer, "dense")
        setting = Setting(
            plan=replace(plan, level=LEVELS[-1]), look=look, locations=anywhere(1), images=pictures.calibration
        )
        by = Experimenter(
            look=look,
            evaluator=plan.evaluator,
            task=plan.task,
            levels=LEVELS,
            point=plan.point,
            threshold=calibrate(plan.evaluator, setting).threshold,
        )
    return Eye(by=by, perturbation=put, aim=aim)


def _answer(eye: Eye, case: Case) -> Answer:
    """What is seen of one case."""
    task = replace(eye.by.task, perturbation=case.perturbation)  # type: ignore[type-var]
    seen = observe(
        Block(images=as_images(case), trials=as_trials(case)), replace(eye.by, task=task, levels=(case.level,))
    )
    dead, live = (float(seen.evidence[0, 0, 0, 0, arm]) for arm in (DEAD, LIVE))
    threshold = float(seen.threshold[0, 0])
    shown = eye.shows(np.array([dead, live]), np.array(threshold))
    holds = bool(shown[0]) if eye.aim == "flipped" else bool(shown[1] and not shown[0])
    return Answer(case=case, dead=dead, live=live, threshold=threshold, holds=holds)


def _sweep(eye: Eye, contribution: Contribution, judged: Images, budget: int, progress: Progress) -> PlaceScan:
    size = eye.perturbation.size
    phases = _order(patch_sum(fold(contribution), size), eye.aim)[: max(2, budget // len(LEVELS))]
    count = min(len(judged.names), max(1, budget // (len(LEVELS) * len(phases))))
    chosen = np.array([int(np.flatnonzero(judged.photograph == p)[0]) for p in range(count)])
    images = only(judged, chosen)
    pixels = eight_bits(np.asarray(images.pixels))
    images = replace(images, pixels=pixels, labels=None)
    area = (0, 0, *pixels.shape[2:]) if contribution.lattice is None else contribution.lattice.area
    cells = interior_cells(area[2:], contribution.period, size, corner=area[:2])
    corners = cells[stream(0, "search/cells").choice(len(cells), count)]
    tick = progress("searching", count * len(phases))
    lowest = np.empty((count, len(phases)))
    for i in range(count):
        one = only(images, np.array([i]))
        for start in range(0, len(phases), 2 * AT_ONCE):
            places = corners[i] + phases[start : start + 2 * AT_ONCE]
            lowest[i, start : start + len(places)] = _lowest(eye, one, places, f"search/{i}/{start}")
            tick(len(places))
    return PlaceScan(
        aim=eye.aim,
        phases=phases,
        cells=corners,
        lowest=lowest,
        pictures=pixels,
        names=judged.names[:count],
        period=contribution.period,
    )


def _lowest(eye: Eye, image: Images, places: Int[np.ndarray, "place 2"], purpose: str) -> Float[np.ndarray, " place"]:
    """The level from which on the perturbation always shows; NaN where the clean picture's own noise does.

    The places are shown as pairs: the first half as dead ones, the second half as live ones.
    """
    half = -(-len(places) // 2)
    dead, live = places[:half], places[len(places) - half :]  # of an odd number one place is in both halves
    trials = Trials(dead=dead[None], live=live[None], photograph=image.photograph, seed=0, purpose=purpose)
    seen = observe(Block(images=image, trials=trials), eye.by)
    shown = eye.shows(seen.evidence[0, :, 0], seen.threshold[0])
    found = np.concatenate([np.where(shown[0, :, 0], np.nan, _from_which_on(shown[:, :, arm])) for arm in (DEAD, LIVE)])
    return found if len(places) == 2 * half else np.delete(found, half)


def _order(phases: Phases, aim: Aim) -> Int[np.ndarray, "place 2"]:
    """The liveliest phase and then the rest from the deadest up; for a flip from the liveliest down."""
    order = np.argsort(phases, axis=None, kind="stable")
    order = order[::-1] if aim == "flipped" else np.r_[order[-1], order[:-1]]
    return np.stack(np.unravel_index(order, phases.shape), 1)


def _from_which_on(shown: Float[np.ndarray, "level place"]) -> Float[np.ndarray, " place"]:
    """The lowest level from which on all are shown: one lucky hit below a miss does not count."""
    unbroken = np.logical_and.accumulate(shown[::-1], 0)[::-1]
    return np.where(unbroken.any(0), np.array(LEVELS)[unbroken.argmax(0)], 2.0)


def _worst(sweep: PlaceScan, perturbation: Perturbation) -> tuple[Case, str] | None:
    """Of all pictures the one whose places differ most; just below the level that the blindest place needs."""
    if sweep.aim == "flipped":
        lowest = np.nan_to_num(sweep.lowest, nan=2.0)
        image, dead = (int(v) for v in np.unravel_index(lowest.argmin(), lowest.shape))
        live, level = dead, float(lowest[image, dead])
        if level > 1:
            return None
    else:
        spread = np.nan_to_num(np.fmax.reduce(sweep.lowest, 1) / np.fmin.reduce(sweep.lowest, 1))
        image = int(spread.argmax())
        if not spread[image]:
            return None
        dead, live = int(np.nanargmax(sweep.lowest[image])), 0  # the liveliest of the map, unless it is blind here
        below = [level for level in LEVELS if level < sweep.lowest[image, dead]]
        if not below or below[-1] < np.nanmin(sweep.lowest[image]):
            return None
        level = below[-1]
        if not sweep.lowest[image, live] <= level:
            live = int(np.nanargmin(sweep.lowest[image]))
    places = [sweep.cells[image] + sweep.phases[p] for p in (dead, live)]
    case = Case(
        picture=sweep.pictures[image],
        perturbation=perturbation,
        level=level,
        dead=(int(places[0][0]), int(places[0][1])),
        live=(int(places[1][0]), int(places[1][1])),
    )
    return case, sweep.names[image]


def _simplest(model: Sees, eye: Eye, met: Case, period: int) -> Case:
    """What hypothesis shrinks it to at the same two phases, on a flat picture if it can be; else `met` itself."""
    try:
        import hypothesis

        from perturb import strategies
    except ImportError:
        return met
    settings = hypothesis.settings(
        max_examples=SHRINKING,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    dead, live = (np.array([place]) % period for place in (met.dead, met.live))
    pair = Locations(dead=dead, live=live, period=period, balanced=False)
    sizes = strategies.perturbations(largest=met.perturbation.size)
    for picture in (strategies.flat_pictures(model.input_shape), hypothesis.strategies.just(met.picture)):
        drawn = strategies.cases(pair, model.input_shape, picture=picture, perturbation=sizes)
        try:
            return hypothesis.find(drawn, lambda case: _answer(eye, case).holds, settings=settings)
        except hypothesis.errors.NoSuchExample:
            continue
    return met
