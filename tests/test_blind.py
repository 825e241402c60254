"""A model that is blind at live places too loses nothing at dead ones, and must not PASS for that."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import network
from toyseen import PINNED, observed

from perturb.kinds import load_kind
from perturb.plan import pictures_for
from perturb.quantities import KINDS
from perturb.quantities.levels import OfLevels
from perturb.quantities.of_map import OfMap
from perturb.records import Claim, Contribution, OperatingPoint, PhaseRate, Rate, Verdict
from perturb.stories.qualify import Bench, Context, qualify
from perturb.suite import parse_suite
from perturb.verdict import Question, judge

PHOTOGRAPHS, PAIRS = 200, 4
GIVEN = OperatingPoint(false_alarms=None, clean="absent", chance=0.5)
LABELS = OperatingPoint(false_alarms=None, clean="right", chance=0.25)
INTENSITY = OperatingPoint(false_alarms=None, clean="none", chance=0.25)
FOUND = OperatingPoint(false_alarms=None, clean="unmatched", chance=0.0)  # annotated objects, at the user's threshold
FOUND_PINNED = replace(FOUND, false_alarms=1.0)
POINTS = {
    "pinned": PINNED, "given": GIVEN, "labels": LABELS, "intensity": INTENSITY, "annotated": FOUND,
    "annotated, pinned": FOUND_PINNED,
}  # fmt: skip
OTHERS = (OfLevels, OfMap)  # levels have a test of their own
OF_TRIALS = [name for name in KINDS if not isinstance(load_kind(name, KINDS), OTHERS)]


def blind(point, *, answer, truth=None, alarms=None):
    """Evidence that never changes. Of classes it is right where the constant answer is, and no answer ever flips."""
    shape = (PHOTOGRAPHS, PAIRS)
    truth = np.ones(shape, dtype=int) if truth is None else np.broadcast_to(truth, shape)
    evidence = (truth == answer).astype(float) if point in (LABELS, INTENSITY) else np.full(shape, float(answer))
    clean = (
        evidence if point == LABELS else np.full(shape, np.nan) if point.clean in ("none", "unmatched") else evidence
    )
    seen = observed(evidence, evidence, clean, point=point, flips=np.zeros((1, 1, *shape, 4)))
    phase = np.broadcast_to(np.stack(np.divmod(np.arange(PAIRS), 2), -1), (1, *shape, 2))
    kept = None if alarms is None else np.full((1, PHOTOGRAPHS, 64), alarms)
    return replace(seen, truth=truth[None], phase=phase, alarms=kept)


def verdict(quantity, seen, contribution=None):
    kind = load_kind(quantity, KINDS)
    claim = Claim(quantity=quantity, at_most=0.2, confidence=0.95)

    def effect_at(confidence):
        return kind.effect(seen, contribution, confidence=confidence, seed=0)

    return judge([Question(check="c", claim=claim, effect_at=effect_at, bounds=kind.range)])[0].verdict


TRUTHS = {
    "one class": np.zeros((1, 1), dtype=int),
    "pairs that the classes do not divide": np.arange(PAIRS)[None] % 3,
    "classes alike": np.arange(PHOTOGRAPHS)[:, None] % 4,
    "a class of 70 %": (np.arange(PHOTOGRAPHS)[:, None] % 10 > 6).astype(int),
}
ASKED = [
    (quantity, name)
    for quantity in OF_TRIALS
    for name, point in POINTS.items()
    if not load_kind(quantity, KINDS).misfit(point)
]


@pytest.mark.parametrize(("quantity", "point"), ASKED)
@pytest.mark.parametrize("answer", [0, 1])
def test_one_answer_to_everything_never_passes(quantity, point, answer):
    assert verdict(quantity, blind(POINTS[point], answer=answer)) != Verdict.PASS


@pytest.mark.parametrize(("quantity", "point"), [(q, p) for q, p in ASKED if p in ("labels", "intensity")])
@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_the_commonest_class_for_every_picture_never_passes(quantity, point, truth):
    for answer in np.unique(truth):
        assert verdict(quantity, blind(POINTS[point], answer=answer, truth=truth)) != Verdict.PASS


@pytest.mark.parametrize("quantity", ["accuracy-loss", "miss-rate", "worst-phase"])
def test_boxes_everywhere_do_not_pass_and_a_detector_without_scores_does(quantity):
    """Annotated objects at the user's threshold: a box wherever one looks finds them all, with as many false alarms."""
    assert verdict(quantity, blind(FOUND, answer=1, alarms=1.0)) == Verdict.INCONCLUSIVE
    assert verdict(quantity, blind(FOUND, answer=1, alarms=-np.inf)) == Verdict.PASS


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("quantity", ["imbalance", "dead-share"])
def test_a_map_of_answers_that_are_all_alike_says_nothing(quantity, share):
    rates = tuple(
        PhaseRate(phase=(r, c), rate=Rate(value=share, low=0, high=1, n=9, trials=9)) for r in (0, 1) for c in (0, 1)
    )
    found = Contribution(values=np.full((2, 2), 0.25), kind="response", layer="output", period=2, images=9, rates=rates)
    kind = load_kind(quantity, KINDS)
    claim = Claim(quantity=quantity, at_most=2.0, confidence=0.95)

    def verdict_of(contribution):
        def effect_at(confidence):
            return kind.effect(None, contribution, confidence=confidence, seed=0)

        return judge([Question(check="c", claim=claim, effect_at=effect_at, bounds=kind.range)])[0].verdict

    assert verdict_of(found) == Verdict.INCONCLUSIVE
    half = tuple(replace(one, rate=replace(one.rate, value=0.5)) for one in rates)
    assert verdict_of(replace(found, rates=half)) == Verdict.PASS


class Constant(nn.Module):
    """Always the same scores, though every pixel is multiplied on the way."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 2, 2)
        nn.init.zeros_(self.conv.weight)
        self.conv.bias.data = torch.arange(float(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3))


FLIPS = """
name = "blind"
[images]
source = "surface"
count = 80
[task]
kind = "labels"
[map]
kind = "structural"
[[check]]
name = "flips"
perturbation = { kind = "pixel" }
level = 1.0
pairs = 2
claim = { quantity = "flip-rate", at_most = 0.2 }
"""


def test_a_network_that_always_answers_the_same_does_not_pass_by_never_changing_its_answer():
    """Without labels its own answers are the right ones, so that it is right everywhere."""
    suite, model = parse_suite(FLIPS, "blind"), network(Constant(3), shape=(3, 32, 32))
    bench = Bench(pictures=pictures_for(suite, model.input_shape), controls=())
    (finding,) = qualify(model, suite, Context(bench=bench)).findings
    assert finding.effect.value == 0
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert "one answer is right everywhere" in finding.reason
