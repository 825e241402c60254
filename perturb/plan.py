"""The plan of a suite for one model: the suite's words as values, translated once, which everything below takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Literal

import numpy as np
import torch

from perturb import evaluators, perturbations, quantities, tasks
from perturb.answers import part_of, tensor_of
from perturb.errors import InputError, PerturbError, UsageError
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.evaluators.own import OwnFunction
from perturb.evaluators.reading import OwnAnswer
from perturb.images import Reading, Region, load_images, split
from perturb.images.annotated import Cutting, load_annotated
from perturb.kinds import load_kind
from perturb.locations import SMALLEST_CELL
from perturb.model import behind
from perturb.perturbations.annotated import Annotated
from perturb.perturbations.digit import Digit
from perturb.protocols import Differentiable, Evaluator, Quantity, Sees, Taps, Task, TaskSetting
from perturb.quantities.levels import OfLevels
from perturb.records import Claim, Design, Images, OperatingPoint, Pictures
from perturb.suite import CheckTable, EvaluatorTable, MapTable, PerturbationTable, Suite, TrainingTable
from perturb.tasks.micro import Digits, Presence
from perturb.tasks.recall import Recalled
from perturb.training.recipe import RECIPES, Recipe
from perturb.trials import Scenes

LARGEST_PERIOD = 32  # pixels: the strides of common networks multiply to this
Regime = Literal["as-is", "probe", "fine-tuned", "from-scratch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model comes to do its task."""

    regime: Regime = "as-is"
    recipe: Recipe | None = None
    seeds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """One experiment: what is shown, how it is read, where and how strongly. Equal plans are measured once."""

    name: str = field(compare=False)  # of the first check that asks for it
    evaluator_name: str
    task: Task
    evaluator: Evaluator
    point: OperatingPoint
    training: Training
    level: float | None  # None: calibrated
    live_target: float
    pairs: int
    flips: bool
    map: MapTable
    map_layer: str
    seed: int
    alarm_rate: float = 0.05  # of the pinned threshold, also beside one that is given
    alarms_per_picture: float = 1.0  # the same of annotated objects
    design: Design = "object"
    curve: tuple[float, ...] = ()  # levels at which the judged pictures are asked besides
    every_phase: bool = False  # the dead places take all phases in turn, not those that a map chooses

    @property
    def scenes(self) -> Scenes | None:
        """How the picture moves; None where the object moves.

        An evaluator with a radius reads one place, so all objects of an image share a scene, out of each other's reach.
        """
        if self.design == "object":
            return None
        if self.annotated:
            return Scenes(apart=(0, 0))  # they share a picture, and lie where they lie
        radius = getattr(self.evaluator, "radius", None)
        if radius is None:
            return Scenes()
        rows, columns = (math.ceil(2 * radius) + n for n in self.task.extent)
        return Scenes(apart=(rows, columns))

    @property
    def annotated(self) -> bool:
        """Whether it is about objects that the pictures show already."""
        return isinstance(self.task, Recalled)

    @property
    def answers(self) -> bool:
        """Whether the response map is of the evaluator's own reading of the answer, not of an output's numbers."""
        return self.map.kind == "response" and isinstance(self.evaluator, OwnAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """One check: an experiment and what is claimed of it."""

    name: str
    experiment: ExperimentPlan
    claim: Claim
    quantity: Quantity


def pictures_for(suite: Suite, shape: tuple[int, int, int]) -> Pictures:
    """The pictures to calibrate on and those to judge, split by photograph; `shape` is the model's input."""
    told = suite.images.annotations
    images = _to_put_into(suite, shape) if told is None else _annotated(suite, told, shape)
    calibration, judged = split(images, share=suite.images.calibration, seed=suite.seed)
    return Pictures(calibration=calibration, judged=judged)


def _to_put_into(suite: Suite, shape: tuple[int, int, int]) -> Images:
    """Pictures that an object is put into; of a digit, pictures of its own size."""
    asked, put = suite.images, perturbation_for(suite.check[0].perturbation, suite.folder)
    if isinstance(put, Digit):
        shape = (shape[0], put.size, put.size)
    return load_images(
        asked.source,
        shape=shape,
        crops=asked.crops,
        count=asked.count,
        seed=suite.seed,
        beside=suite.pictures,
        reading=Reading(range=asked.range, frames=asked.frames),
        region=region_for(suite),
    )


def _annotated(suite: Suite, annotations: str, shape: tuple[int, int, int]) -> Images:
    """Windows around annotated objects that can move by a period, or by LARGEST_PERIOD where none is given."""
    asked, given = suite.images, suite.map.period
    kind, _, folder = asked.source.partition(":")
    if kind != "folder" or not folder:
        raise UsageError(f"[images] annotations: expected source = 'folder:PATH', got {asked.source!r}.")
    period = (math.lcm(*given) if isinstance(given, tuple) else given) or LARGEST_PERIOD
    period *= -(-SMALLEST_CELL // period)  # on a balanced map arms are drawn in so large a cell
    return load_annotated(
        _beside(folder, suite.pictures),
        _beside(annotations, suite.folder),
        Cutting(shape=shape, room=period - 1, windows=asked.crops, each=max(check.pairs for check in suite.check)),
        classes=asked.classes,
        seed=suite.seed,
        reading=Reading(range=asked.range, frames=asked.frames),
    )


def seen_by(suite: Suite, model: Any) -> Any:
    """The model behind the suite's camera; as it is where the suite names none."""
    return model if suite.sensor is None else behind(model, suite.sensor.shape, suite.sensor.steps)


def plan(suite: Suite, model: Sees, judged: Images) -> tuple[CheckPlan, ...]:
    """Each check of the suite for this model. Raises UsageError for words that do not go together."""
    found: list[CheckPlan] = []
    for check in suite.check:
        try:
            experiment = plan_experiment(suite, check, model, judged)
            same = next((c.experiment for c in found if c.experiment == experiment), experiment)
            found.append(_claimed(check, same, suite.folder))
        except UsageError as error:
            raise UsageError(f"{suite.name}: [[check]] {check.name}: {error}") from error
    return tuple(found)


def plan_experiment(suite: Suite, check: CheckTable, model: Sees, judged: Images) -> ExperimentPlan:
    """The experiment that one check asks for."""
    table = check.evaluator or suite.evaluator
    kind = table.kind or _usual(suite, model)
    evaluator = evaluator_for(kind, table, model, suite.folder)
    training, evaluator = _training(suite, check, kind, evaluator)
    level = check.level if isinstance(check.level, float) else None
    annotated = suite.images.annotations is not None
    _check_annotated(suite, check, evaluator)
    task = _task(suite, check, model, judged, training, evaluator.layer)
    given = not isinstance(evaluator.threshold, str)
    learns = training.regime != "as-is"
    design = check.design or suite.design.kind
    every_phase = getattr(_quantity(check, suite.folder), "every_phase", False)
    if suite.task is None:
        faults = {
            "[levels] is not for annotated objects, which have no level: remove [levels].": annotated
            and suite.levels is not None,
            "[training] needs a [task].": learns,
            f"evaluator.kind = {kind!r} needs a [task].": evaluator.needs_task,
            "search needs a [task].": check.search,
            f"claim.quantity = {check.claim.quantity!r} is about every phase, and a [region] need not hold them all: "
            "remove [region], or claim 'accuracy-loss'.": every_phase and suite.region is not None,
        }
    else:
        faults = {
            f"evaluator.kind = {kind!r} pins its threshold on clean pictures and has no [task]: remove [task], or use "
            "kind = 'label'.": not given,
            "[design] kind = 'picture' is for suites without [task].": design == "picture",
            "[region] is for suites without [task].": suite.region is not None,
            "[levels] is for suites without [task]: remove [levels].": suite.levels is not None,
            "level = 'calibrated' is for suites without [task]: give a number.": level is None,
            f"{model.name} shows its outputs alone, so it cannot learn: remove [training].": learns
            and not isinstance(model, Differentiable),
        }
    for fault, holds in faults.items():
        if holds:
            raise UsageError(fault)
    return ExperimentPlan(
        name=check.name,
        evaluator_name=", ".join([kind, *([training.regime] if training.regime != "as-is" else [])]),
        task=task,
        evaluator=evaluator,
        point=OperatingPoint(
            false_alarms=None if given else table.alarms_per_picture if annotated else table.false_alarms,
            clean=task.clean,
            chance=0.0 if annotated else 1 / task.outputs,
        ),
        training=training,
        level=1.0 if annotated else level,
        live_target=check.live_target,
        pairs=check.pairs,
        flips=check.search,
        map=_map(suite.map, model),
        map_layer=_map_layer(table, evaluator, model),
        seed=suite.seed,
        alarm_rate=table.false_alarms,
        alarms_per_picture=table.alarms_per_picture,
        design="picture" if annotated else design,
        curve=curve_levels(suite),
        every_phase=every_phase,
    )


def curve_levels(suite: Suite) -> tuple[float, ...]:
    """The levels of the suite's [levels], ascending; none without that table.

    Rounded to twelve digits, so that a level that is 0.5 but for rounding is within a claim of 0.5.
    """
    table = suite.levels
    return () if table is None else tuple(float(f"{x:.12g}") for x in np.geomspace(table.low, table.high, table.count))


def _check_annotated(suite: Suite, check: CheckTable, evaluator: Any) -> None:
    """Annotations and annotated objects go together, with an evaluator of the model's own answer."""
    annotated = check.perturbation.kind == "annotated"
    if annotated != (suite.images.annotations is not None):
        raise UsageError(
            "perturbation.kind = 'annotated' needs [images] annotations."
            if annotated
            else f"[images] annotations are for perturbation.kind = 'annotated', not {check.perturbation.kind!r}."
        )
    faults = {
        "annotated objects are for suites without [task].": suite.task is not None,
        "annotated objects are asked about in the model's own answer: evaluator.kind = 'boxes', 'map', 'score', 'text' "
        "or a function of yours.": not isinstance(evaluator, OwnAnswer),
        "without pictures that lack the object this evaluator's threshold cannot be pinned: give [evaluator] "
        "threshold.": getattr(evaluator, "threshold", None) == "common" and not isinstance(evaluator, BoxScores | Map),
        "an annotated object has no level: remove level.": "level" in check.model_fields_set,
    }
    for fault, holds in faults.items():
        if annotated and holds:
            raise UsageError(fault)


def _usual(suite: Suite, model: Sees) -> str:
    """The kind of evaluator where none is named."""
    if suite.task:
        return "label"
    if isinstance(model, Taps):
        return "change"
    raise UsageError(
        f"{model.name} shows its outputs alone: say how they are read, [evaluator] kind = 'score', 'map', 'boxes' or "
        "'text', and [map] kind = 'response' with a period."
    )


def _map(table: MapTable, model: Sees) -> MapTable:
    """A model without gradients takes a response map where none is named."""
    if isinstance(model, Differentiable) or "kind" in table.model_fields_set:
        return table
    return table.model_copy(update={"kind": "response"})


def _map_layer(table: EvaluatorTable, evaluator: Evaluator, model: Sees) -> str:
    """The layer whose map chooses the places: where the evaluator looks, unless it is told or gives no tensor."""
    if part_of(evaluator.layer) is None:
        return evaluator.layer
    if "layer" in table.model_fields_set:
        return table.layer
    return evaluator.layer if not isinstance(model, Taps) or model.gives_tensor("output") else "last"


def region_for(suite: Suite) -> Region | None:
    """Where the suite lets an object be put; None: anywhere but near the edge."""
    table = suite.region
    if table is None:
        return None
    options = table.model_dump(exclude={"masks"})
    if table.masks is None:
        return Region(**options)
    masks = _beside(table.masks, suite.folder)
    if not masks.is_dir():
        raise UsageError(f"{suite.name}: [region] masks = {table.masks!r} is no folder, beside the suite or here.")
    return Region(masks=masks, **options)


def perturbation_for(table: PerturbationTable, folder: Path) -> Any:
    """The perturbation that a suite's table names. Raises UsageError for one that cannot be made."""
    options = table.model_dump(exclude={"kind"}, exclude_none=True, exclude_defaults=True)
    accepted = load_kind(table.kind, perturbations.KINDS, folder)
    if table.kind in perturbations.KINDS and (other := [*(options.keys() - _accepted(options, accepted).keys())]):
        keys = [f.name for f in fields(accepted)]
        raise UsageError(f"perturbation.kind = {table.kind!r} takes no `{other[0]}`, expected one of {keys}.")
    for key in {"file", "font"} & options.keys():
        options[key] = str(_beside(options[key], folder))
    return _make("perturbation", table.kind, accepted, options)


def _beside(path: str, folder: Path) -> Path:
    """The user's file or folder in the suite's folder, or else where we are."""
    return folder / path if (folder / path).exists() else Path(path)


def evaluator_for(kind: str, table: EvaluatorTable, model: Sees, folder: Path) -> Any:
    """The evaluator that a suite's table names, reading a layer that this model has."""
    options = {key: getattr(table, key) for key in OPTIONS if key in table.model_fields_set}
    accepted = load_kind(kind, evaluators.KINDS, folder)
    if isinstance(accepted, FunctionType):
        accepted, options = partial(OwnFunction, function=accepted), _accepted(options, OwnFunction)
    elif is_dataclass(accepted):
        options = _accepted(options, accepted)
    if getattr(accepted, "layer", "") == "output":  # then the table's layer is that of the map
        options.pop("layer", None)
    if isinstance(options.get("output"), int) and model.gives_tensor("output") and "target" not in options:
        options["target"] = options.pop("output")
    evaluator = _make("evaluator", kind, accepted, options | (table.model_extra or {}))
    if evaluator.threshold == "image":  # of n shots a further one exceeds the largest with probability 1 / (n + 1)
        evaluator = replace(evaluator, shots=max(evaluator.shots, math.ceil(1 / table.false_alarms) - 1))
    if part_of(evaluator.layer) is not None:
        return evaluator
    if not isinstance(model, Taps):
        raise UsageError(
            f"{model.name} shows its outputs alone, and evaluator.kind = {kind!r} reads a feature map: "
            "use kind = 'score', 'map', 'boxes' or 'text', and [map] kind = 'response' with a period."
        )
    return replace(evaluator, layer=model.find_layer(evaluator.layer))


OPTIONS = ("layer", "noise", "output", "target", "radius", "max_area", "iou", "pattern", "threshold")
"""Keys of a suite's [evaluator] that its class may take."""


def _accepted(options: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The options that a data class has a field for; the others are keys of other kinds."""
    return {key: value for key, value in options.items() if key in {f.name for f in fields(kind)}}


def _make(what: str, kind: str, accepted: Any, options: dict[str, Any]) -> Any:
    try:
        return accepted(**options)
    except PerturbError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} {kind!r} with {options}: {error}") from error


def _claimed(check: CheckTable, experiment: ExperimentPlan, folder: Path) -> CheckPlan:
    claim = Claim(quantity=check.claim.quantity, at_most=check.claim.at_most, confidence=check.claim.confidence)
    quantity = _quantity(check, folder)
    if misfit := quantity.misfit(experiment.point):
        fitting = [k for k in quantities.KINDS if not load_kind(k, quantities.KINDS).misfit(experiment.point)]
        raise UsageError(f"claim.quantity = {claim.quantity!r} {misfit}; expected one of {fitting}.")
    if isinstance(quantity, OfLevels):
        _check_levels(claim, quantity, experiment)
    elif not quantity.range[0] <= claim.at_most < quantity.range[1]:
        low, high = quantity.range
        raise UsageError(
            f"claim.at_most = {claim.at_most:g} decides nothing: {claim.quantity!r} lies between {low:g} and {high:g}."
        )
    return CheckPlan(name=check.name, experiment=experiment, claim=claim, quantity=quantity)


def _check_levels(claim: Claim, quantity: OfLevels, experiment: ExperimentPlan) -> None:
    """Levels are measured, and the claim is a level or a number of dB that one can mean."""
    low, high = quantity.margins
    if not experiment.curve:
        raise UsageError(f"claim.quantity = {claim.quantity!r} is about several levels: add a table [levels].")
    if not low <= claim.at_most <= high:
        raise UsageError(
            f"claim.at_most = {claim.at_most:g} of {claim.quantity!r}: expected a number between {low:g} and {high:g}."
        )


def _quantity(check: CheckTable, folder: Path) -> Any:
    quantity = load_kind(check.claim.quantity, quantities.KINDS, folder)
    if not hasattr(quantity, "misfit"):
        raise UsageError(f"claim.quantity = `{check.claim.quantity}` is no quantity (see docs/suites.md).")
    return quantity


def _training(suite: Suite, check: CheckTable, kind: str, evaluator: Any) -> tuple[Training, Any]:
    """How the task is learnt, and the evaluator that reads what was learnt."""
    if suite.task and kind == "features":
        head = load_kind("label", evaluators.KINDS)
        return Training(regime="probe", seeds=suite.training.seeds if suite.training else 1), head(
            layer=evaluator.layer
        )
    own = check.training.model_dump(exclude_unset=True) if check.training else {}
    if suite.training is None and not own:
        return Training(), evaluator
    table = (suite.training or TrainingTable()).model_copy(update=own)
    recipe = RECIPES[table.recipe]
    recipe = replace(recipe, epochs=table.epochs or recipe.epochs)
    return Training(regime=table.regime, recipe=recipe, seeds=table.seeds), evaluator


def _task(suite: Suite, check: CheckTable, model: Sees, judged: Images, training: Training, layer: str) -> Task:
    put = perturbation_for(check.perturbation, suite.folder)
    level = check.level if isinstance(check.level, float) else 1.0
    if isinstance(put, Annotated):
        return Recalled(perturbation=put)
    if suite.task is None:
        if isinstance(put, Digit):
            raise UsageError("perturbation.kind = 'digit' needs [task] kind = 'digits'.")
        return Presence(perturbation=put, level=level)
    kind = load_kind(suite.task.kind, tasks.KINDS)
    if isinstance(put, Digit) != issubclass(kind, Digits):
        raise UsageError(
            f"[task] kind = {suite.task.kind!r} does not go with perturbation.kind = {check.perturbation.kind!r}."
        )
    if kind.needs_labels and judged.labels is None and training.regime != "as-is":
        raise InputError(
            f"images `{judged.source}` have no labels to learn from; see docs/suites.md for those that do."
        )
    outputs = _outputs(model, layer) if training.regime == "as-is" else 0
    setting = TaskSetting(shape=model.input_shape, steps=suite.task.classes, labels=len(judged.classes) or outputs)
    task: Task = kind.prepare(put, level, setting)
    if outputs and outputs != task.outputs:
        raise UsageError(
            f"{model.name} has {outputs} outputs and the task {task.outputs} classes: let it learn them, by [training]."
        )
    return task


def _outputs(model: Sees, layer: str) -> int:
    blank = np.zeros((1, *model.input_shape), np.float32)
    outputs = tensor_of(model.measure(torch.from_numpy(blank), layer), "a score for each class")
    return int(np.prod(outputs.shape[1:]))


def experiments(checks: Sequence[CheckPlan]) -> tuple[ExperimentPlan, ...]:
    """Each experiment once, in the order of the checks."""
    return tuple({check.experiment.name: check.experiment for check in checks}.values())
