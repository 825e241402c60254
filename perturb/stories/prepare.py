"""A model made ready for an experiment: as it is, with a head on frozen features, or trained."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perturb.images import split
from perturb.model import Network
from perturb.plan import ExperimentPlan
from perturb.protocols import Evaluator, Progress, Sees, Task
from perturb.records import Images, Training
from perturb.stack import each
from perturb.training.head import fresh, with_head
from perturb.training.lessons import Lessons
from perturb.training.linear import linear_head
from perturb.training.sgd import TrainingSetup, train
from perturb.trials import interior_cells

TRAINING_SHARE = 70 / 85  # of the pictures that are not judged: 70 to train on, 15 to choose the best epoch by


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured: a model and the evaluator that reads it; and how it was trained, if it was."""

    model: Sees
    evaluator: Evaluator
    training: Training | None


def prepare(
    model: Sees, plan: ExperimentPlan, images: Images, seed: int, *, keep: Path | None, progress: Progress
) -> Subject:
    """The subject of one seed, which learns on `images` what the plan wants it to learn.

    Checkpoints go to `keep`, and a training found there is continued. Raises InputError or UsageError where model, task
    and pictures do not fit together.
    """
    regime, task = plan.training.regime, plan.task
    if regime == "as-is":
        return Subject(model=model, evaluator=plan.evaluator, training=None)
    assert isinstance(model, Network)
    if regime == "probe":
        head = linear_head(model, plan.evaluator.layer, Lessons(images, task), seed=seed)
        evaluator = replace(plan.evaluator, head=head)  # type: ignore[type-var]
        return Subject(model=model, evaluator=evaluator, training=None)
    stride = model.stride_of(model.find_layer("last"))
    interior_cells(model.input_shape[1:], stride, task.size)  # no training is lost to a picture that is too small
    network, training = _trained(model, plan, images, seed, keep, progress)
    return Subject(model=network, evaluator=plan.evaluator, training=training)


def _trained(
    model: Network, plan: ExperimentPlan, images: Images, seed: int, keep: Path | None, progress: Progress
) -> tuple[Network, Training]:
    recipe = plan.training.recipe
    assert recipe is not None
    lessons, validation = (Lessons(part, plan.task) for part in split(images, share=TRAINING_SHARE, seed=seed))
    module = with_head(model, plan.task.outputs, seed=seed)
    if plan.training.regime == "from-scratch":
        fresh(module, seed=seed)
    tick = progress(f"{plan.name}: training {seed}", recipe.epochs * lessons.batches(recipe.batch))
    setup = TrainingSetup(lessons=lessons, validation=validation, recipe=recipe, seed=seed)
    done = train(module, model, setup, keep=keep, tick=tick)
    how = Training(
        seed=seed,
        epochs=done.epochs,
        best_epoch=done.best_epoch,
        lessons=len(lessons),
        accuracy=done.accuracy,
        loss=done.loss,
        seconds=done.seconds,
    )
    return model.with_module(module), how


def as_shown(shape: tuple[int, int, int], task: Task, images: Images) -> Images:
    """Images as a network of this input meets them: a digit on its canvas, at a place that its number determines."""
    if images.objects is not None:
        rows, columns = images.objects.window
        shown = each(images.pixels, lambda _, picture: picture[:, :rows, :columns], (shape[0], rows, columns))
        return replace(images, pixels=shown, objects=None)
    if images.pixels.shape[1:] == shape:
        return images
    lessons = each(images.pixels, lambda i, picture: task.lesson(picture, 0, np.random.default_rng(i)), shape)
    return replace(images, pixels=lessons)
