"""The main story: does this model lose accuracy at its dead pixels, and is that within the claim?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perturb import detectors, measures, perturbation, quantities
from perturb.contribution import energy, structural, target
from perturb.errors import UsageError
from perturb.exhibits import Exhibits
from perturb.images import load_images, split
from perturb.incremental import Engine
from perturb.locations import choose
from perturb.model import Network
from perturb.protocols import Task
from perturb.records import (
    Claim,
    Conditions,
    Contribution,
    Control,
    Experiment,
    Images,
    Locations,
    Measurement,
    Outcomes,
    Remedy,
    Responses,
)
from perturb.report import SCHEMA, Report
from perturb.runs import Run, digests
from perturb.stories.account import describe, describe_images, provenance, summary, windows_of
from perturb.stories.classification import as_shown, assign, classify, task_of
from perturb.stories.controls import prove, prove_classifier
from perturb.stories.experiment import Measured, Progress, Protocol, measure, quiet, repeat
from perturb.stories.gallery import hang
from perturb.suite import CheckTable, DetectorTable, MapTable, PerturbationTable, Suite
from perturb.tasks.micro import DIGIT
from perturb.verdict import Question, judge, overall

FALSE_ALARM_LIMIT = 2.0  # times the pinned rate: beyond it, with 95 % confidence, the detector did not carry over


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A suite's pictures, and the proof that the instrument works on them; models of one input shape can share it."""

    calibration: Images
    judged: Images
    controls: tuple[Control, ...]


def set_up(suite: Suite, shape: tuple[int, int, int]) -> Bench:
    """The suite's pictures, and the control networks measured on them."""
    calibration, judged = pictures_of(suite, shape)
    controls = (
        prove(calibration, judged, seed=suite.seed) if suite.task is None else prove_classifier(judged, seed=suite.seed)
    )
    return Bench(calibration=calibration, judged=judged, controls=controls)


def pictures_of(suite: Suite, shape: tuple[int, int, int]) -> tuple[Images, Images]:
    """Those to calibrate on and those to judge, split by photograph."""
    asked = suite.images
    if suite.task and suite.task.kind == "digits":
        side = suite.check[0].perturbation.size or DIGIT
        shape = (shape[0], side, side)
    images = load_images(asked.source, shape=shape, crops=asked.crops, count=asked.count, seed=suite.seed)
    return split(images, share=asked.calibration, seed=suite.seed)


def qualify(
    model: Network,
    suite: Suite,
    *,
    bench: Bench | None = None,
    places: Mapping[str, Locations] | None = None,
    engine: Engine = "auto",
    command: str = "",
    remedy: Remedy | None = None,
    keep: Path | None = None,
    progress: Progress = quiet,
) -> Report:
    """Measure `model` by every check of `suite`, and judge.

    `bench` may be shared between models. `places` overrides the dead and live places of checks by name, to compare
    networks at the same ones. `remedy` and `command` are noted in the report. An untrained model is given
    normalisation statistics from calibration images. `engine`: see incremental.choose; results do not depend on it.
    Trainings leave their checkpoints in `keep`, and go on from them.
    Raises UsageError and InputError; what was measured and found wanting is a verdict, never an error.
    """
    return examine(
        model,
        suite,
        bench=bench,
        places=places,
        engine=engine,
        command=command,
        remedy=remedy,
        keep=keep,
        progress=progress,
    ).report


def examine(
    model: Network,
    suite: Suite,
    *,
    bench: Bench | None = None,
    places: Mapping[str, Locations] | None = None,
    conditions: Mapping[str, Conditions] | None = None,
    engine: Engine = "auto",
    command: str = "",
    remedy: Remedy | None = None,
    keep: Path | None = None,
    progress: Progress = quiet,
) -> Run:
    """`qualify` with its trials and maps. `conditions` are those of a baseline: checks are measured there as well."""
    bench = bench or set_up(suite, model.input_shape)
    calibration, judged = bench.calibration, bench.judged
    if model.untrained:
        shown = as_shown(model, _task(model, suite.check[0], suite, judged), calibration) if suite.task else calibration
        model.settle(torch.from_numpy(shown.pixels))

    maps: dict[str, Contribution] = {}
    measured: dict[str, tuple[Protocol, Measured]] = {}
    answered: dict[str, tuple[Responses, Experiment, Contribution]] = {}
    repeated: dict[str, Measurement] = {}
    questions = []
    for check in suite.check:
        key = repr(_experiment_key(check))
        if suite.task is not None:
            if key not in answered:
                given = (places or {}).get(check.name)
                answered[key] = _classified(model, check, suite, bench, maps, given, keep, progress)
            responses, _, contribution = answered[key]
            questions.append(_question(check, responses, contribution, suite.seed))
            continue
        protocol = replace(protocol_of(model, check, suite), engine=engine)
        layer = protocol.detector.layer
        if layer not in maps:
            maps[layer] = estimate(model, suite.map, layer, calibration, seed=suite.seed, progress=progress)
        if key not in measured:
            chosen = (places or {}).get(check.name) or choose(
                maps[layer], size=protocol.perturbation.size, share=suite.map.share, seed=suite.seed
            )
            measured[key] = (protocol, measure(model, protocol, chosen, calibration, judged, progress=progress))
            if (asked := (conditions or {}).get(check.name)) is not None:
                repeated[check.name] = repeat(
                    measured[key][1].measurement, asked, model, protocol, calibration, judged, progress=progress
                )
        questions.append(_question(check, measured[key][1].measurement.outcomes, maps[layer], suite.seed))

    experiments = (
        *(found.account for _, found in measured.values()),
        *(account for _, account, _ in answered.values()),
    )
    first = next(iter(maps.values()))
    windows = windows_of(model, first)
    controls = (*bench.controls, *_false_alarms(experiments, suite))
    findings = judge(questions)
    report = Report(
        schema=SCHEMA,
        suite={"name": suite.name, "description": suite.description, "digest": suite.digest},
        model=describe(model, remedy, taught=any(e.training for e in experiments)),
        images=describe_images(calibration, judged),
        verdict=overall(findings, controls),
        map=summary(first, windows),
        findings=tuple(findings),
        experiments=experiments,
        controls=controls,
        provenance=provenance(model, suite, command),
        exhibits=Exhibits(
            contribution=first,
            shape=model.input_shape[1:],
            windows=windows,
            sweeps={protocol.name: found.sweep for protocol, found in measured.values() if found.sweep},
            specimens=tuple(s for protocol, found in measured.values() for s in hang(protocol, found, judged)),
        ),
    )
    return Run(
        report=report,
        photographs=judged.names,
        pictures=digests(judged),
        measured={found.account.name: found.measurement for _, found in measured.values()},
        repeated=repeated,
        maps=maps,
    )


def _classified(
    model: Network,
    check: CheckTable,
    suite: Suite,
    bench: Bench,
    maps: dict[str, Contribution],
    places: Locations | None,
    keep: Path | None,
    progress: Progress,
) -> tuple[Responses, Experiment, Contribution]:
    """A classifier's experiment; the map is that of the network which has learnt."""
    table = check.detector or suite.detector
    assignment = assign(check, suite, _task(model, check, suite, bench.judged))

    def mapped(network: Network, images: Images) -> Contribution:
        layer = network.find_layer(table.layer if "layer" in table.model_fields_set else "output")
        if network is not model:
            learnt = estimate(network, suite.map, layer, images, seed=suite.seed, progress=progress)
            maps.setdefault(f"{check.name}: {layer}", learnt)
            return learnt
        if layer not in maps:
            maps[layer] = estimate(model, suite.map, layer, images, seed=suite.seed, progress=progress)
        return maps[layer]

    return classify(
        model, assignment, bench.calibration, bench.judged, mapped, places=places, keep=keep, progress=progress
    )


def _task(model: Network, check: CheckTable, suite: Suite, judged: Images) -> Task:
    put = None if check.perturbation.kind == "digit" else _perturbation(check.perturbation)
    return task_of(model, check, suite, judged, put)


def estimate(
    model: Network, table: MapTable, layer: str, images: Images, *, seed: int, progress: Progress = quiet
) -> Contribution:
    """The contribution map that a suite's [map] table asks for, at one layer, on these images."""
    if table.kind == "structural":
        return structural(model, layer)
    pixels = images.pixels[np.linspace(0, len(images.pixels) - 1, min(table.images, len(images.pixels))).astype(int)]
    tick = progress("map", len(pixels))
    if table.kind == "target":
        return target(model, pixels, tick=tick)
    return energy(model, pixels, layer, probes=table.probes, seed=seed, tick=tick)


def protocol_of(model: Network, check: CheckTable, suite: Suite) -> Protocol:
    """How this check of the suite is to be measured on this model."""
    table = check.detector or suite.detector
    return Protocol(
        name=check.name,
        perturbation=_perturbation(check.perturbation),
        detector=detector_of(model, table),
        level=None if check.level == "calibrated" else check.level,
        live_target=check.live_target,
        false_alarms=table.false_alarms,
        pairs=check.pairs,
        seed=suite.seed,
    )


def _perturbation(table: PerturbationTable) -> Any:
    given = table.model_dump(exclude={"kind"}, exclude_none=True, exclude_defaults=True)
    return _made(perturbation.KINDS, table.kind, given, "perturbation")


def detector_of(model: Network, table: DetectorTable) -> Any:
    options: dict[str, Any] = {"noise": table.noise}
    if table.kind == "as-is":
        options = {"output": table.output, "noise": table.noise if "noise" in table.model_fields_set else 0.0}
    else:
        options["layer"] = model.find_layer(table.layer)
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


def _experiment_key(check: CheckTable) -> tuple[Any, ...]:
    """Checks that differ by their claim alone share one experiment."""
    return check.perturbation, check.level, check.live_target, check.pairs, check.detector, check.training, check.search


def _question(check: CheckTable, outcomes: Outcomes | Responses, contribution: Contribution, seed: int) -> Question:
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


def _false_alarms(experiments: tuple[Experiment, ...], suite: Suite) -> list[Control]:
    """The threshold, pinned elsewhere, must hold on the judged images."""
    controls = []
    for experiment in experiments if suite.task is None else ():
        check = next(c for c in suite.check if c.name == experiment.name)
        pinned = (check.detector or suite.detector).false_alarms
        clean = experiment.rates["clean"]
        controls.append(
            Control(
                name=f"false alarms of {experiment.name}",
                expected=f"pinned to {pinned:g}: not shown to be above {FALSE_ALARM_LIMIT * pinned:g}",
                observed=f"{clean.value:.3f} [{clean.low:.3f}, {clean.high:.3f}]",
                passed=clean.low <= FALSE_ALARM_LIMIT * pinned,
            )
        )
    return controls
