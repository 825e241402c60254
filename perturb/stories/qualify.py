"""The main job: does this model lose accuracy at its dead pixels, and is that within the claim?"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from perturb.blocks import Shard
from perturb.figures import Figures
from perturb.images import of_photographs
from perturb.plan import CheckPlan, experiments, pictures_for, plan, region_for, seen_by
from perturb.protocols import Differentiable, Sees
from perturb.records import Control, Images, Pictures, Remedy
from perturb.report import SCHEMA, Report
from perturb.runs import Run, digests
from perturb.stories.answer_controls import prove_answers
from perturb.stories.causes import explained
from perturb.stories.controls import controls_of
from perturb.stories.experiment import Wanted
from perturb.stories.experiment_record import experiment_record
from perturb.stories.false_alarms import keeps_its_rate
from perturb.stories.gallery import specimens
from perturb.stories.prepare import as_shown
from perturb.stories.report_parts import describe, describe_images, describe_suite, provenance, summary, windows_of
from perturb.stories.run_checks import looks_at, run_checks, run_shard
from perturb.stories.witness import Witness, witness
from perturb.suite import Suite
from perturb.verdict import overall


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A suite's pictures, and the proof that the instrument works on them; models of one input shape can share it."""

    pictures: Pictures
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a run may be given beside model and suite."""

    bench: Bench | None = None  # shared between models
    wanted: Wanted = field(default_factory=Wanted)
    command: str = ""  # noted in the report
    remedy: Remedy | None = None  # noted in the report


DEFAULT = Context()


def set_up(suite: Suite, shape: tuple[int, int, int]) -> Bench:
    """The suite's pictures, and the control networks measured on them."""
    shape = shape if suite.sensor is None else (shape[0], *suite.sensor.shape)
    pictures = pictures_for(suite, shape)
    return Bench(pictures=pictures, controls=controls_of(suite, pictures))


def qualify(model: Sees, suite: Suite, context: Context = DEFAULT) -> Report:
    """Measure `model` by every check of `suite`, and judge.

    An untrained model is given normalisation statistics from calibration images. Results do not depend on the engine
    or the executor that the context names. Raises UsageError and InputError; what was measured and found wanting is a
    verdict, never an error.
    """
    return examine(model, suite, context).report


def examine(model: Sees, suite: Suite, context: Context = DEFAULT) -> Run:
    """`qualify` with its trials and maps."""
    model, pictures, checks = _ready(model, suite, context)
    judged = pictures.judged
    proven = context.bench.controls if context.bench else controls_of(suite, pictures)
    seen = _witness(model, checks, judged)
    most = min(suite.images.at_most or len(judged.names), len(judged.names))
    looks = looks_at(most, until_decided=suite.images.until_decided)
    results = run_checks(model, checks, pictures, context.wanted, looks=looks)
    seen.confirm_patiently(model)
    judged = of_photographs(judged, np.arange(results.photographs))
    findings = explained(results.findings, checks, results)
    records = tuple(experiment_record(each) for each in results.measured)
    kept = (keeps_its_rate(each) for each in results.measured)
    controls = (
        *proven,
        *prove_answers(experiments(checks), seed=suite.seed),
        *(control for control in kept if control),
    )
    first = results.measured[0].contribution
    windows = windows_of(model, first)
    report = Report(
        schema=SCHEMA,
        suite=describe_suite(suite),
        model=describe(model, context.remedy, taught=any(e.training for e in records)),
        images=describe_images(
            replace(pictures, judged=judged),
            where.words if (where := region_for(suite)) else "",
            at_most=most if suite.images.until_decided else None,
        ),
        verdict=overall(findings, controls),
        map=summary(first, windows, results.structures[first.layer].unread),
        findings=findings,
        experiments=records,
        controls=controls,
        provenance=provenance(model, suite, context.command),
        figures=Figures(
            contribution=first,
            shape=model.input_shape[1:],
            windows=windows,
            sweeps={each.plan.name: each.sweep for each in results.measured if each.sweep},
            specimens=tuple(
                specimen
                for each, record in zip(results.measured, records, strict=True)
                for specimen in specimens(each, record.worst)
            ),
        ),
    )
    return Run(
        report=report,
        photographs=judged.names,
        pictures=digests(judged),
        measured=results.measurements.measured,
        repeated=results.measurements.repeated,
        own=results.measurements.own,
        maps=results.maps,
    )


def examine_shard(model: Sees, suite: Suite, context: Context, shard: Shard) -> None:
    """Run a shard's blocks, for an executor that keeps what it runs: `examine` then finds them. Nothing is judged.

    Calibration and maps are of every shard.
    """
    model, pictures, checks = _ready(model, suite, context)
    _witness(model, checks, pictures.judged)
    run_shard(model, checks, pictures, context.wanted, shard)


def _ready(model: Sees, suite: Suite, context: Context) -> tuple[Sees, Pictures, tuple[CheckPlan, ...]]:
    """The model as the suite shows it pictures, settled; the pictures; what is asked."""
    model = seen_by(suite, model)
    pictures = context.bench.pictures if context.bench else pictures_for(suite, model.input_shape)
    checks = plan(suite, model, pictures.judged)
    settle(model, checks[0], pictures)
    return model, pictures, checks


def _witness(model: Sees, checks: Sequence[CheckPlan], judged: Images) -> Witness:
    """The answers to a few judged pictures, of the model and of the layers that are measured."""
    shown = as_shown(model.input_shape, checks[0].experiment.task, judged)
    layers = [each.evaluator.layer for each in experiments(checks) if each.training.regime == "as-is"]
    return witness(model, shown.pixels, ["output", *layers])


def settle(model: Sees, check: CheckPlan, pictures: Pictures) -> None:
    """Give an untrained network normalisation statistics from the calibration images, as it meets them."""
    if model.untrained and isinstance(model, Differentiable):
        shown = as_shown(model.input_shape, check.experiment.task, pictures.calibration)
        model.settle(shown.pixels)
