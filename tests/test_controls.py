"""Controls: networks whose answer is known find a fault of the instrument, and nothing else."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toyseen import observed

from perturb.blocks import joined
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.evaluators.own import OwnFunction
from perturb.evaluators.score import Score
from perturb.evaluators.text import Text
from perturb.images import load_images, split
from perturb.images.content import gathered
from perturb.records import CLEAN, DEAD, Images, OperatingPoint, Pictures
from perturb.stats.chances import Rule, chances, spread_like
from perturb.stories import controls, experiment, false_alarms
from perturb.stories.answer_controls import ANSWERS, prove_answers
from perturb.stories.controls import balanced_kernels, pixel_plan, prove, prove_classifier
from perturb.stories.false_alarms import keeps_its_rate
from perturb.streams import stream

NAMES = (
    "chance at strictly dead pixels",
    "a planted loss is found",
    "no loss on a balanced network",
    "no loss on a balanced network, at places of a measured map",
)


def screened(count, name) -> Images:
    """Every second column is black, as behind a colour filter; the others are bright."""
    rng = np.random.default_rng(len(name))
    pixels = rng.uniform(0.6, 0.9, (count, 1, 40, 40)).astype(np.float32)
    pixels[..., ::2] = 0
    return gathered(pixels, tuple(f"{name}-{i}" for i in range(count)), "drawn")


@pytest.fixture(scope="module")
def pictures():
    calibration, judged = split(load_images("noise", shape=(3, 32, 32), count=30), share=0.2, seed=0)
    return Pictures(calibration=calibration, judged=judged)


def test_the_controls_of_a_run(pictures):
    found = prove(pictures, seed=0)
    assert tuple(control.name for control in found) == NAMES
    assert all(control.passed for control in found), found
    assert all("by itself" in control.expected for control in found)


@pytest.mark.slow
def test_pictures_with_a_lattice_of_their_own_make_no_loss_on_a_balanced_network():
    """A pixel of every second column cannot be darkened: as they lie, the two columns of a window differ."""
    found = prove(Pictures(calibration=screened(6, "c"), judged=screened(40, "ju")), seed=3)
    assert all(control.passed for control in found), found


@pytest.mark.slow
def test_an_arm_that_is_not_looked_at_makes_the_balanced_controls_fail(pictures, monkeypatch):
    """Dead places get the evidence of the clean twin: the instrument is wrong, and it says so."""

    def wrong(parts):
        seen = joined(parts)
        evidence = seen.evidence.copy()
        evidence[..., DEAD] = evidence[..., CLEAN]
        return replace(seen, evidence=evidence)

    monkeypatch.setattr(experiment, "joined", wrong)
    assert [control.passed for control in prove(pictures, seed=0)] == [True, True, False, False]


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_pixels_of_the_balanced_window_can_be_exchanged(channels):
    """Columns are orthogonal and of equal size; to exchange rows or columns of the window reorders the products."""
    kernels = balanced_kernels(channels)
    columns = kernels.reshape(len(kernels), -1)
    torch.testing.assert_close(columns.T @ columns, len(kernels) * torch.eye(4 * channels))
    products = torch.einsum("op,oq->opq", columns, columns)
    for axis in (2, 3):
        flipped = kernels.flip(axis).reshape(len(kernels), -1)
        torch.testing.assert_close(torch.einsum("op,oq->opq", flipped, flipped), products)


def test_corners_are_moved_around_a_torus(pictures):
    """Each holds the values of its photograph, in another order; the same in each run with the seed."""
    before = pictures.judged.pixels
    first, again, other = (controls._corners(pictures.judged, 60, seed).pixels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any((1, 2, 3)).all()
    np.testing.assert_array_equal(
        np.sort(first.reshape(len(first), 3, -1)), np.sort(before.reshape(len(before), 3, -1))
    )


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 14, 14)])
def test_the_controls_of_a_classifier(shape):
    images: Images = load_images("dead-leaves", shape=shape, count=12)
    assert [control.passed for control in prove_classifier(images, seed=0)] == [True, True]


OWN = [
    Score(target=2),
    Map(radius=500.0),
    Map(target=1, radius=2.0, threshold=0.4, output="logits"),
    BoxScores(target="cat", max_area=0.5, radius=1.0),
    BoxScores(iou=0.5),
    Text(pattern="[.]"),
]


def asked(evaluator):
    return replace(pixel_plan("own", seed=0, pairs=4), evaluator=evaluator)


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", OWN, ids=repr)
def test_an_answer_of_each_kind_is_proven_with_the_evaluators_own_options(evaluator):
    planted, none = prove_answers([asked(evaluator), asked(evaluator)], seed=1)
    assert planted.passed, planted
    assert none.passed, none
    assert "by itself" in planted.expected


class Elsewhere(Score):
    """Reads nothing of the answer."""

    def evidence(self, outputs, asked, known):
        return super().evidence(outputs, asked, known) * 0


def test_an_evaluator_that_reads_nothing_fails_its_control(monkeypatch):
    monkeypatch.setitem(ANSWERS, Elsewhere, ANSWERS[Score])
    planted, _ = prove_answers([asked(Elsewhere())], seed=0)
    assert not planted.passed


def test_other_evaluators_have_no_such_control():
    """Change is proven anyway; a function of the user's is nothing that can be imitated."""
    mine = OwnFunction(function=lambda answer, row, column: 0.0)
    assert prove_answers([pixel_plan("x", seed=0, pairs=4), asked(mine)], seed=0) == ()


def alarmed(rates, *, pinned=0.05):
    """A run of photographs with these rates of false alarms, in 20 pairs each, as the control takes it."""
    clean = (np.arange(20) < np.array(rates)[:, None] * 20).astype(float)
    seen = observed(np.zeros_like(clean), np.ones_like(clean), clean)
    point = replace(seen.point, false_alarms=pinned)
    return SimpleNamespace(
        plan=replace(pixel_plan("toy", seed=0, pairs=20), point=point),
        measurement=SimpleNamespace(seen=replace(seen, point=point)),
    )


def test_false_alarms_fail_where_they_are_shown():
    """Of 40 photographs: as pinned, and at twice that, passes; at six times it is shown to be above twice."""
    kept, limit, broken = (keeps_its_rate(alarmed([rate] * 40)) for rate in (0.05, 0.1, 0.3))
    assert kept.passed
    assert limit.passed
    assert not broken.passed
    assert "0.300 [0." in broken.observed
    assert "would have caught 0.1" in kept.observed
    assert "at most 2.5% of runs" in kept.expected


def test_so_few_photographs_say_that_they_would_have_caught_a_gross_rate_alone():
    assert "would have caught 0.92 or more" in keeps_its_rate(alarmed([0.05, 0.0])).observed
    assert "would have caught no rate" in keeps_its_rate(alarmed([0.05, 0.0], pinned=0.45)).observed


def test_the_rate_that_would_have_been_caught_is_caught_so_often():
    """By simulation, with the spread that was measured: 30 photographs whose rates differ."""
    rates = np.resize([0.0, 0.05, 0.1, 0.25], 30)
    caught = float(re.search(r"caught ([0-9.]+)", keeps_its_rate(alarmed(rates)).observed)[1])
    rule = Rule(margin=0.1, passes=0.025, fails=0.025)
    like = spread_like(caught + 0.005, float(rates.std(ddof=1)), (0, 1))
    assert chances(like, 30, rule, stream(0, "caught"))[1] >= 0.78


def test_false_alarms_at_the_limit_fail_as_often_as_is_printed_at_most(monkeypatch):
    """150 runs of 24 photographs at twice the pinned rate, most of them without an alarm."""
    monkeypatch.setattr(false_alarms, "least_mean_found", lambda *_, **__: None)  # slow, and not asked here
    rng = np.random.default_rng(0)
    runs = (rng.random(24) < 0.1 for _ in range(150))
    failed = np.mean([not keeps_its_rate(alarmed(run.astype(float))).passed for run in runs])
    assert failed <= 0.025 + 3 * (0.025 / 150) ** 0.5


def test_reports_of_no_object_count_up_to_a_number():
    """Of annotated objects: 1 a picture is pinned, 2 are allowed, 8 of a picture count at most."""
    seen = alarmed([0.0] * 40)
    point = OperatingPoint(false_alarms=1.0, clean="unmatched", chance=0.0)
    for reports, passes in ((2, True), (6, False)):
        alarms = np.where(np.arange(64) < reports, 1.0, -np.inf)[None, None].repeat(40, 1)
        found = replace(seen.measurement.seen, alarms=alarms, point=point)
        run = SimpleNamespace(plan=replace(seen.plan, point=point), measurement=SimpleNamespace(seen=found))
        assert keeps_its_rate(run).passed == passes
    none = SimpleNamespace(plan=run.plan, measurement=SimpleNamespace(seen=replace(found, alarms=None)))
    assert keeps_its_rate(none) is None
