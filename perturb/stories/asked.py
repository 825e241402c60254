"""What a suite asks, made ready: its pictures, its maps, its protocols, its questions."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from perturb import detectors, measures, perturbation, quantities
from perturb.contribution import Options, energy, structural, target
from perturb.detectors import Reference
from perturb.errors import UsageError
from perturb.images import load_images, split
from perturb.model import Network
from perturb.records import Claim, Contribution, Images, Outcomes, Responses
from perturb.stories.experiment import Progress, Protocol, quiet
from perturb.suite import CheckTable, DetectorTable, MapTable, PerturbationTable, Suite
from perturb.tasks.micro import DIGIT
from perturb.verdict import Question


def pictures_of(suite: Suite, shape: tuple[int, int, int]) -> tuple[Images, Images]:
    """Those to calibrate on and those to judge, split by photograph."""
    asked = suite.images
    if suite.task and suite.task.kind == "digits":
        side = suite.check[0].perturbation.size or DIGIT
        shape = (shape[0], side, side)
    images = load_images(asked.source, shape=shape, crops=asked.crops, count=asked.count, seed=suite.seed)
    return split(images, share=asked.calibration, seed=suite.seed)


def estimate(
    model: Network, table: MapTable, layer: str, images: Images, *, seed: int, progress: Progress = quiet
) -> Contribution:
    """The contribution map that a suite's [map] table asks for, at one layer, on these images."""
    if table.kind == "structural":
        return structural(model, layer)
    pixels = images.pixels[np.linspace(0, len(images.pixels) - 1, min(table.images, len(images.pixels))).astype(int)]
    tick = progress("map", len(pixels))
    if table.kind == "target":
        return target(model, pixels, "output", Options(tick=tick))
    return energy(model, pixels, layer, Options(probes=table.probes, seed=seed, tick=tick))


def protocol_of(model: Network, check: CheckTable, suite: Suite) -> Protocol:
    """How this check of the suite is to be measured on this model."""
    table = check.detector or suite.detector
    return Protocol(
        name=check.name,
        perturbation=perturbation_of(check.perturbation),
        detector=detector_of(model, table),
        level=None if check.level == "calibrated" else check.level,
        live_target=check.live_target,
        false_alarms=table.false_alarms,
        pairs=check.pairs,
        seed=suite.seed,
    )


def perturbation_of(table: PerturbationTable) -> Any:
    """The perturbation that a suite's table names. Raises UsageError for one that cannot be made."""
    given = table.model_dump(exclude={"kind"}, exclude_none=True, exclude_defaults=True)
    return _made(perturbation.KINDS, table.kind, given, "perturbation")


def detector_of(model: Network, table: DetectorTable) -> Any:
    """The detector that a suite's table names, looking where this model has that layer. Raises UsageError."""
    options: dict[str, Any] = {"noise": table.noise}
    if table.kind == "as-is":
        options = {"output": table.output, "noise": table.noise if "noise" in table.model_fields_set else 0.0}
    else:
        options["layer"] = model.find_layer(table.layer)
    if table.kind == "reference":  # of n shots the largest is exceeded by a further one with probability 1 / (n + 1)
        options["shots"] = max(Reference.shots, math.ceil(1 / table.false_alarms) - 1)
    return _made(detectors.KINDS, table.kind, options, "detector")


def _made(kinds: Mapping[str, Callable[..., Any]], kind: str, options: dict[str, Any], what: str) -> Any:
    """One of ours, or somebody else's class by its "package.module:Class"."""
    try:
        if kind in kinds:
            return kinds[kind](**options)
        module, _, name = kind.partition(":")
        return getattr(import_module(module), name)(**options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{what} {kind!r} with {options}: {error}") from error


def experiment_key(check: CheckTable) -> str:
    """Checks that differ by their claim alone share one experiment."""
    return repr(check.model_copy(update={"name": "", "claim": None}))


def question(check: CheckTable, outcomes: Outcomes | Responses, contribution: Contribution, seed: int) -> Question:
    """The check's claim, and how to have its effect at any confidence."""
    claim = Claim(quantity=check.claim.quantity, at_most=check.claim.at_most, confidence=check.claim.confidence)
    kinds = quantities.KINDS | (measures.KINDS if isinstance(outcomes, Responses) else {})
    quantity = kinds.get(claim.quantity) or _imported(claim.quantity)
    ask = partial(quantity, outcomes, contribution, seed=seed)
    return Question(check=check.name, claim=claim, effect_at=lambda confidence: ask(confidence=confidence))


def _imported(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"quantity {name!r}: {error}") from error
    return found
