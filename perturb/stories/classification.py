"""One classifier's experiment: let it learn, find its dead and live places, ask it there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from perturb import measures
from perturb.errors import InputError, UsageError
from perturb.images import split
from perturb.incremental import ChangedCopies, Engine, Incremental, choose_engine, engine_name
from perturb.locations import choose
from perturb.model import Network
from perturb.protocols import Perturbation, Task
from perturb.records import Contribution, Experiment, Images, Locations, Responses, Training
from perturb.responses import Classifier, Look, respond, together
from perturb.stories.experiment import Progress, quiet
from perturb.suite import CheckTable, Suite
from perturb.tasks import Digits, Existence, Intensity, Labels
from perturb.training import RECIPES, Lessons, Recipe, TrainingSetup, fresh, linear_head, train, with_head
from perturb.trials import design, interior_cells

TRAINING_SHARE = 70 / 85  # of the pictures that are not judged: 70 to train on, 15 to choose the best epoch by
FAINT = 1 / 64  # below this level differences of float32 scores are rounding, and the network answers in float64
Regime = Literal["as-is", "probe", "fine-tuned", "from-scratch"]
Estimate = Callable[[Network, Images], Contribution]
Head = Callable[[Tensor], Tensor]  # what a layer gives -> scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How a classifier is brought to a task and asked; see suite.py for what each means to a user."""

    name: str
    task: Task
    level: float
    regime: Regime
    layer: str  # whose features a probe reads
    recipe: Recipe
    seeds: int
    search: bool
    pairs: int
    share: float  # of phases in each arm
    seed: int


def assign(check: CheckTable, suite: Suite, task: Task) -> Assignment:
    """What a suite's check asks of a classifier."""
    table = check.detector or suite.detector
    own = check.training.model_dump(exclude_unset=True) if check.training else {}
    lessons = suite.training.model_copy(update=own)
    recipe = RECIPES[lessons.recipe]
    assert isinstance(check.level, float)
    assert table.kind != "reference"
    return Assignment(
        name=check.name,
        task=task,
        level=check.level,
        regime=table.kind,
        layer=table.layer,
        recipe=replace(recipe, epochs=lessons.epochs or recipe.epochs),
        seeds=1 if table.kind == "as-is" else lessons.seeds,
        search=check.search,
        pairs=check.pairs,
        share=suite.map.share,
        seed=suite.seed,
    )


def task_of(model: Network, check: CheckTable, suite: Suite, judged: Images, put: Perturbation | None) -> Task:
    """The suite's task with the check's perturbation; None: the picture is itself what is put somewhere."""
    assert suite.task is not None
    assert isinstance(check.level, float)
    if put is None:
        return Digits(canvas=model.input_shape, level=check.level, size=judged.pixels.shape[2])
    if suite.task.kind == "presence":
        return Existence(perturbation=put, level=check.level)
    if suite.task.kind == "intensity":
        return Intensity(perturbation=put, level=check.level, outputs=suite.task.classes)
    return Labels(perturbation=put, level=check.level, outputs=len(judged.classes))


def classify(
    model: Network,
    assignment: Assignment,
    calibration: Images,
    judged: Images,
    estimate: Estimate,
    *,
    engine: Engine = "auto",
    places: Locations | None = None,
    keep: Path | None = None,
    progress: Progress = quiet,
) -> tuple[Responses, Experiment, Contribution]:
    """Responses of one classifier for each seed on the judged images, their account, and the first one's map.

    `estimate` maps the network that learnt, on pictures that are not judged, and so tells its dead places from the
    live ones, unless `places` are given. Checkpoints go to `keep`. `engine`: see incremental.choose_engine.
    Raises UsageError or InputError where model, task and pictures do not fit together.
    """
    labels = _labels(assignment, model, judged)
    faint = assignment.regime == "as-is" and assignment.level < FAINT
    parts, training, maps, where = [], [], [], []
    for seed in range(assignment.seed, assignment.seed + assignment.seeds):
        network, layer, head, how = _learn(model, assignment, calibration, seed, keep, progress)
        swift = None if faint else choose_engine(network, layer, engine)
        contribution = estimate(network, as_shown(model, assignment.task, calibration))
        locations = places or choose(contribution, size=assignment.task.size, share=assignment.share, seed=seed)
        trials = design(
            _canvas(judged, model),
            locations,
            size=assignment.task.size,
            pairs=assignment.pairs,
            seed=seed,
            purpose=f"{assignment.name}/judged",
        )
        bound = assignment.level if assignment.search else None
        tick = progress(f"{assignment.name}: judging", len(judged.pixels))
        look = _dense(network, layer, head, double=faint) if swift is None else _incremental(swift, head)
        parts.append(respond(look, assignment.task, judged, labels, trials, bound=bound, tick=tick))
        training += [how] if how else []
        maps.append(contribution)
        where.append(locations)
    responses = together(parts)
    account = _account(assignment, maps[0].layer, where[0], responses, tuple(training), engine_name(swift))
    return responses, account, maps[0]


def _learn(
    model: Network, assignment: Assignment, images: Images, seed: int, keep: Path | None, progress: Progress
) -> tuple[Network, str, Head, Training | None]:
    """The network that has learnt, the layer whose maps the head turns into scores, and how the training went."""
    task, recipe = assignment.task, assignment.recipe
    if assignment.regime == "as-is":
        return model, "output", _itself, None
    if assignment.regime == "probe":
        layer = model.find_layer(assignment.layer)
        return model, layer, linear_head(model, layer, Lessons(images, task), seed=seed), None
    stride = model.stride_of(model.find_layer("last"))
    interior_cells(model.input_shape[1:], stride, task.size)  # no training is lost to a picture too small
    lessons, validation = (Lessons(part, task) for part in split(images, share=TRAINING_SHARE, seed=seed))
    module = with_head(model, task.outputs, seed=seed)
    if assignment.regime == "from-scratch":
        fresh(module, seed=seed)
    tick = progress(f"{assignment.name}: training {seed}", recipe.epochs * lessons.batches(recipe.batch))
    setup = TrainingSetup(lessons=lessons, validation=validation, recipe=recipe, seed=seed)
    done = train(module, model, setup, keep=keep, tick=tick)
    network = model.with_module(module)
    how = Training(
        seed=seed,
        epochs=done.epochs,
        best_epoch=done.best_epoch,
        lessons=len(lessons),
        accuracy=done.accuracy,
        loss=done.loss,
        seconds=done.seconds,
    )
    return network, "output", _itself, how


def _itself(scores: Tensor) -> Tensor:
    return scores


def _dense(network: Network, layer: str, head: Head, *, double: bool) -> Look:
    def scores(pictures: Tensor) -> Tensor:
        if not double:
            return head(network.measure(pictures, layer))
        network.module.double()
        try:
            return head(network.measure(pictures.double(), layer))
        finally:
            network.module.float()

    return lambda clean: scores


def _incremental(engine: Incremental, head: Head) -> Look:
    def look(clean: Tensor) -> Classifier:
        around = ChangedCopies(engine, clean)
        return lambda pictures: head(around.measure(pictures, np.zeros(len(pictures), dtype=int)))

    return look


def _labels(assignment: Assignment, model: Network, judged: Images) -> np.ndarray | None:
    """Each judged image's class; None where the classifier's own answers stand for it."""
    if judged.labels is not None:
        labels: np.ndarray | None = judged.labels[judged.photograph]
    elif assignment.task.truths(0) == assignment.task.truths(1):
        labels = np.zeros(len(judged.pixels), dtype=int)
    elif assignment.regime == "as-is":
        return None
    else:
        raise InputError(
            f"images `{judged.source}` have no labels to learn from; see docs/suites.md for those that do."
        )
    if assignment.regime == "as-is":
        outputs = model.measure(torch.from_numpy(np.zeros((1, *model.input_shape), np.float32))).flatten(1).shape[1]
        if outputs != assignment.task.outputs:
            raise UsageError(
                f"{model.name} has {outputs} outputs and the task {assignment.task.outputs} classes; "
                "use a detector of kind 'fine-tuned'."
            )
    return labels


def as_shown(model: Network, task: Task, images: Images) -> Images:
    """As the network meets them: a digit on its canvas, at a place that its number determines."""
    if images.pixels.shape[1:] == model.input_shape:
        return images
    shown = [task.lesson(p, 0, np.random.default_rng(i)) for i, p in enumerate(images.pixels)]
    return replace(images, pixels=np.stack(shown))


def _canvas(images: Images, model: Network) -> Images:
    """The pictures' place in the design; its pixels are not looked at."""
    blank = np.broadcast_to(np.float32(0), (len(images.pixels), *model.input_shape))
    return replace(images, pixels=blank)


def _account(
    assignment: Assignment,
    layer: str,
    locations: Locations,
    found: Responses,
    training: tuple[Training, ...],
    engine: str,
) -> Experiment:
    rates = {arm: measures.rate(measures.accuracy(found, arm), found, share=True) for arm in ("dead", "live")}
    if found.clean_truth is not None:
        right = (found.clean.argmax(-1) == found.clean_truth)[..., None].astype(float)
        rates["clean"] = measures.rate(right, found, share=True)
    return Experiment(
        name=assignment.name,
        perturbation=repr(assignment.task),
        detector=assignment.regime,
        level=assignment.level,
        calibrated=False,
        live_target=None,
        layer=layer,
        period=locations.period,
        dead_phases=tuple((int(r), int(c)) for r, c in locations.dead),
        live_phases=tuple((int(r), int(c)) for r, c in locations.live),
        balanced=locations.balanced,
        rates=rates,
        two_afc={},
        realised={"dead": float(found.realised_dead.mean()), "live": float(found.realised_live.mean())},
        photographs=len(np.unique(found.photograph)),
        pairs=found.truth.size,
        worst=None,
        measures=measures.measure(found, seed=assignment.seed),
        training=training,
        engine=engine,
    )
