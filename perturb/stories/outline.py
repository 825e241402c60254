"""`perturb plan`: what a suite takes and can decide, before anything is measured."""

from collections.abc import Sequence
from time import perf_counter

import torch
from torch import nn

from perturb.answers import Answers
from perturb.comparisons import Prospect
from perturb.errors import UsageError
from perturb.images import is_drawn, split_sizes
from perturb.model import Network, Preprocessing
from perturb.plan import CheckPlan, experiments, pictures_for, plan, seen_by
from perturb.protocols import Sees
from perturb.records import Effect, Images
from perturb.report import Report
from perturb.stories.cost import judged_pairs, seconds, seconds_of_controls, stages
from perturb.stories.operating import Supply, outlooks
from perturb.suite import Suite

SHAPE = (3, 224, 224)  # of pictures, where no model says


class Unnamed(Network):
    """Stands for the model that was not named: it has every layer, and nobody knows its outputs."""

    def find_layer(self, wanted: str) -> str:
        return wanted

    def measure(self, pictures: torch.Tensor, layer: str = "output") -> Answers:
        raise UsageError("its [task] depends on the model's outputs: name the MODEL.")


def prospect(suite: Suite, model: Sees | None = None, earlier: Report | None = None) -> Prospect:
    """What the suite takes and can decide; with a `model`, how long that takes on this machine.

    `earlier` is a run whose photographs' spread is taken. Raises UsageError where it lacks a check of the suite or
    its check is about another quantity, and where a suite without a model needs to know its outputs.
    """
    seen = seen_by(suite, model) if model is not None else _unnamed(suite)
    begun = perf_counter()
    pictures = pictures_for(few := _few(suite), seen.input_shape)
    opened = (perf_counter() - begun) * suite.images.count / few.images.count
    checks = plan(suite, seen, pictures.judged)
    (calibration, crops), there = _counts(suite, pictures.calibration, pictures.judged)
    judged, judged_crops = _at_most(suite, *there)
    asked = experiments(checks)
    pairs = {each.name: judged_pairs(each, judged_crops / judged) for each in asked}
    supply = Supply(judged=judged, a_judged=(calibration + there[0]) / there[0], crops=judged_crops / judged)
    timed = None if model is None else seconds(seen, asked, pictures.calibration, crops, judged_crops)
    proven = 0.0 if timed is None else seconds_of_controls(suite, pictures, calibration, judged)
    return Prospect(
        suite=suite.name,
        model=model.name if model is not None else "",
        source=suite.images.source,
        calibration=(calibration, crops),
        judged=(judged, judged_crops),
        until_decided=suite.images.until_decided,
        trials=sum(judged_crops * pairs[each.name] * each.training.seeds for each in asked),
        stages=tuple(
            stage
            for number, each in enumerate(asked)
            for stage in stages(each, crops, judged_crops, pairs[each.name], seen.input_shape, before=asked[:number])
        ),
        seconds=None if model is None or timed is None else opened + proven + timed,
        outlooks=outlooks(checks, supply, {} if earlier is None else _effects(earlier, checks)),
    )


def _unnamed(suite: Suite) -> Network:
    shape = SHAPE if suite.sensor is None else (SHAPE[0], *suite.sensor.shape)
    module = nn.Sequential(nn.Conv2d(SHAPE[0], 1, 1, stride=32))
    return Unnamed(module, name="MODEL", preprocessing=Preprocessing(input_shape=shape))


def _few(suite: Suite) -> Suite:
    """The suite with four pictures where they are drawn: what differs is their number, and that is known."""
    if not is_drawn(suite.images.source):
        return suite
    images = suite.images.model_copy(update={"count": 4, "calibration": 0.5})
    return suite.model_copy(update={"images": images})


def _counts(suite: Suite, *parts: Images) -> list[tuple[int, int]]:
    """Photographs and crops to calibrate on and to judge."""
    if is_drawn(suite.images.source):
        return [(n, n) for n in split_sizes(suite.images.count, suite.images.calibration)]
    return [(len(images.names), len(images.pixels)) for images in parts]


def _at_most(suite: Suite, photographs: int, crops: int) -> tuple[int, int]:
    """Those that are judged at most."""
    most = min(suite.images.at_most or photographs, photographs)
    return most, round(crops * most / photographs)


def _effects(earlier: Report, checks: Sequence[CheckPlan]) -> dict[str, Effect]:
    """What the earlier run measured for each check."""
    found = {finding.check: finding.effect for finding in earlier.findings}
    for check in checks:
        if check.name not in found:
            raise UsageError(f"--from: the run of {earlier.suite.name!r} has no check {check.name!r}, but {[*found]}.")
        there, here = found[check.name].quantity, check.claim.quantity
        if there != here:
            raise UsageError(f"--from: check {check.name!r} measured {there} in that run, and here it claims {here}.")
    return found
