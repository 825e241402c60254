"""The main story: does this model lose accuracy at its dead pixels, and is that within the claim?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from perturb.exhibits import Exhibits
from perturb.incremental import Engine
from perturb.model import Network
from perturb.records import Conditions, Control, Experiment, Images, Locations, Remedy
from perturb.report import SCHEMA, Report
from perturb.runs import Run, digests
from perturb.stories.account import describe, describe_images, describe_suite, provenance, summary, windows_of
from perturb.stories.asked import pictures_of
from perturb.stories.checks import Wanted, answer, detect, task_for
from perturb.stories.classification import as_shown
from perturb.stories.controls import prove, prove_classifier
from perturb.stories.experiment import Progress, quiet
from perturb.stories.gallery import hang
from perturb.suite import Suite
from perturb.verdict import judge, overall

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
        shown = (
            as_shown(model, task_for(model, suite.check[0], suite, judged), calibration) if suite.task else calibration
        )
        model.settle(torch.from_numpy(shown.pixels))

    wanted = Wanted(places=places or {}, conditions=conditions or {}, engine=engine, keep=keep, progress=progress)
    found = (detect if suite.task is None else answer)(model, suite, calibration, judged, wanted)
    first = next(iter(found.maps.values()))
    windows = windows_of(model, first)
    controls = (*bench.controls, *_false_alarms(found.experiments, suite))
    findings = judge(found.questions)
    report = Report(
        schema=SCHEMA,
        suite=describe_suite(suite),
        model=describe(model, remedy, taught=any(e.training for e in found.experiments)),
        images=describe_images(calibration, judged),
        verdict=overall(findings, controls),
        map=summary(first, windows),
        findings=tuple(findings),
        experiments=found.experiments,
        controls=controls,
        provenance=provenance(model, suite, command),
        exhibits=Exhibits(
            contribution=first,
            shape=model.input_shape[1:],
            windows=windows,
            sweeps={protocol.name: each.sweep for protocol, each in found.measured if each.sweep},
            specimens=tuple(s for protocol, each in found.measured for s in hang(protocol, each, judged)),
        ),
    )
    return Run(
        report=report,
        photographs=judged.names,
        pictures=digests(judged),
        measured={each.account.name: each.measurement for _, each in found.measured},
        repeated=found.repeated,
        maps=found.maps,
    )


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
