"""What a run costs: the pictures that each stage shows to the model, and how long the model takes for them."""

import math
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from perturb.blocks import Block
from perturb.comparisons import Stage
from perturb.evaluators.reading import OwnAnswer
from perturb.images import of_photographs
from perturb.locations import anywhere
from perturb.looking import Look, look_at
from perturb.observe import Experimenter, observe
from perturb.placing import placed
from perturb.plan import ExperimentPlan
from perturb.protocols import Sees
from perturb.records import Images, Pictures
from perturb.stories.answer_map import PHASES
from perturb.stories.calibrate import LEVELS, PAIRS
from perturb.stories.controls import CALIBRATION, JUDGED, controls_of
from perturb.stories.estimate import estimate
from perturb.stories.prepare import TRAINING_SHARE, as_shown
from perturb.studies import Studies
from perturb.suite import Suite
from perturb.trials import only

CELL = 8  # period of the places at which pictures are timed
SCANNED = 0.029  # of a picture's pixels that a response map asks for


def stages(
    plan: ExperimentPlan,
    crops: int,
    judged: int,
    pairs: int,
    shape: tuple[int, int, int],
    *,
    before: Sequence[ExperimentPlan] = (),
) -> tuple[Stage, ...]:
    """The stages of one experiment with so many crops to calibrate on and to judge, and so many pairs on each judged.

    Empty ones are left out. Clean shots that an experiment of `before` wants too are counted there. Of the levels that
    calibration tries in between, one is counted; searches for the smallest amplitude are not.
    """
    earlier = [other for other in before if _shots(other) == _shots(plan)]
    lessons = math.ceil(TRAINING_SHARE * crops) * len(plan.task.truths(0))
    epochs = plan.training.recipe.epochs if plan.training.recipe else 0
    shots, seeds = plan.evaluator.shots, plan.training.seeds
    passes = _passes(plan)
    calibrated = 0 if any(map(_passes, earlier)) else shots * bool(passes)
    a_judged = 0 if earlier else shots
    counted = (
        ("training", lessons * epochs, 0),
        ("map", _map(plan, crops, shape), 0),
        ("calibration", crops * (calibrated + _tried(plan)), crops * calibrated),
        ("judged", judged * (a_judged + _shown(plan, pairs, 1 + len(plan.curve))), judged * a_judged),
    )
    return tuple(
        Stage(name=f"{plan.name}: {name}", pictures=seeds * pictures, shots=seeds * clean)
        for name, pictures, clean in counted
        if pictures
    )


def judged_pairs(plan: ExperimentPlan, crops: float) -> int:
    """Pairs on each judged crop: of a claim about every phase, what its photograph's crops take to show them all."""
    return max(plan.pairs, math.ceil(_phases(plan) / crops)) if plan.every_phase else plan.pairs


def _passes(plan: ExperimentPlan) -> tuple[int, ...]:
    """How many levels calibration tries each time that it looks at its crops; empty where there is nothing to find."""
    learns = hasattr(plan.evaluator, "learn")
    if plan.level is None:
        return (len(LEVELS),) if learns else (len(LEVELS), 1)
    return (1,) if learns or plan.evaluator.threshold == "common" or isinstance(plan.evaluator, OwnAnswer) else ()


def _shots(plan: ExperimentPlan) -> tuple[str, float, int]:
    """What makes the clean shots of a crop: of which model, how noisy, how many."""
    return plan.training.regime, plan.evaluator.noise, plan.evaluator.shots


def _tried(plan: ExperimentPlan) -> int:
    """Pictures of one crop in all passes of calibration, beside its clean shots."""
    return sum(_shown(plan, PAIRS, levels) for levels in _passes(plan))


def _shown(plan: ExperimentPlan, pairs: int, levels: int) -> int:
    """Pictures of one crop: clean twins, and changed ones in both arms."""
    moves = plan.design == "picture"
    clean = 2 * pairs if moves else pairs if plan.evaluator.noise else 1
    return clean + 2 * pairs * levels


def _map(plan: ExperimentPlan, crops: int, shape: tuple[int, int, int]) -> int:
    """Pictures that the map takes; a gradient's pass counts as one."""
    used = min(plan.map.images, crops)
    if plan.answers:
        return crops * (plan.evaluator.shots + _tried(plan) + _shown(plan, -(-_phases(plan) // 2), 1))
    if plan.map.kind in ("structural", "sensor"):
        return 0
    if plan.map.kind == "response":
        return used * (1 + math.ceil(SCANNED * shape[1] * shape[2]))
    return used * (plan.map.probes if plan.map.kind == "energy" else 1)


def _phases(plan: ExperimentPlan) -> int:
    """How many phases one crop is asked about; a period that is not given counts as a long one."""
    given = plan.map.period
    rows, columns = given if isinstance(given, tuple) else (given or PHASES, given or PHASES)
    return min(PHASES, rows * columns)


def seconds_of_controls(suite: Suite, pictures: Pictures, calibration: int, judged: int) -> float:
    """How long the controls take with so many photographs, from those of four."""
    few = Pictures(
        calibration=of_photographs(pictures.calibration, np.arange(2)),
        judged=of_photographs(pictures.judged, np.arange(2)),
    )
    begun = perf_counter()
    controls_of(suite, few)
    return (perf_counter() - begun) / 4 * (min(calibration, CALIBRATION) + min(judged, JUDGED))


def seconds(model: Sees, plans: Sequence[ExperimentPlan], images: Images, crops: int, judged: int) -> float | None:
    """How long the experiments take: a crop is timed at each stage, the first of two warms up.

    None where the model learns first, or the evaluator does.
    """
    if any(plan.training.regime != "as-is" or hasattr(plan.evaluator, "learn") for plan in plans):
        return None
    shots = [Studies([plan.evaluator for plan in plans]) for _ in range(2)]  # of crops to calibrate on, and to judge
    return sum(_seconds(model, plan, images, (crops, judged), shots) for plan in plans)


def _seconds(
    model: Sees, plan: ExperimentPlan, images: Images, crops: tuple[int, int], shots: Sequence[Studies]
) -> float:
    begun = perf_counter()
    look = look_at(model, plan.evaluator.layer, "dense" if plan.annotated else "auto")
    ready = perf_counter() - begun
    levels = LEVELS if plan.level is None else (plan.level,)
    pairs = judged_pairs(plan, len(images.pixels) / len(images.names))
    a_judged = _a_crop(look, plan, images, (*levels[-1:], *plan.curve), pairs, shots[1])
    calibrated = sum(_a_crop(look, plan, images, levels[-count:], PAIRS, shots[0]) for count in _passes(plan))
    calibration, judged = crops
    mapped = calibrated * calibration if plan.answers else _a_map(model, plan, images, calibration)
    return ready + mapped + calibration * calibrated + judged * a_judged


def _a_map(model: Sees, plan: ExperimentPlan, images: Images, crops: int) -> float:
    """The map's seconds, from those of one picture more."""
    table, shown = plan.map, as_shown(model.input_shape, plan.task, only(images, np.arange(2)))
    took = []
    for count in (1, 2):
        begun = perf_counter()
        estimate(model, table.model_copy(update={"images": count}), plan.map_layer, shown, seed=plan.seed)
        took.append(perf_counter() - begun)
    return took[0] + max(0.0, took[1] - took[0]) * (min(table.images, crops) - 1)


def _a_crop(
    look: Look, plan: ExperimentPlan, images: Images, levels: tuple[float, ...], pairs: int, studies: Studies
) -> float:
    """Seconds for one crop with so many pairs at these levels, and for its clean shots if they are not yet studied."""
    few = only(images, np.arange(2))
    which, trials = placed(
        few,
        anywhere(CELL),
        extent=plan.task.extent,
        size=plan.task.size,
        pairs=pairs,
        seed=plan.seed,
        purpose="plan",
        scenes=plan.scenes,
    )
    by = Experimenter(
        look=look,
        evaluator=plan.evaluator,
        task=plan.task,
        levels=levels,
        point=plan.point,
        threshold=None if plan.evaluator.threshold == "image" else np.nan,
        flips=plan.flips,
        studies=studies,
    )
    block = Block(images=only(few, which), trials=trials)
    took: list[float] = []
    begun = perf_counter()
    observe(block, by, lambda done, note="": took.append(perf_counter()))
    return took[-1] - (took[-2] if len(took) > 1 else begun)
