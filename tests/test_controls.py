"""Controls: networks whose answer is known find a fault of the instrument, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from perturb.blocks import joined
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.evaluators.own import OwnFunction
from perturb.evaluators.score import Score
from perturb.evaluators.text import Text
from perturb.images import load_images, split
from perturb.images.content import gathered
from perturb.records import CLEAN, DEAD, Images, Pictures
from perturb.stories import controls, experiment
from perturb.stories.answer_controls import ANSWERS, prove_answers
from perturb.stories.controls import balanced_kernels, pixel_plan, prove, prove_classifier

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
    assert all("of itself" in control.expected for control in found)


def test_pictures_with_a_lattice_of_their_own_make_no_loss_on_a_balanced_network():
    """A pixel of every second column cannot be darkened: as they lie, the two columns of a window differ."""
    found = prove(Pictures(calibration=screened(6, "c"), judged=screened(40, "ju")), seed=3)
    assert all(control.passed for control in found), found


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


@pytest.mark.parametrize("evaluator", OWN, ids=repr)
def test_an_answer_of_each_kind_is_proven_with_the_evaluators_own_options(evaluator):
    planted, none = prove_answers([asked(evaluator), asked(evaluator)], seed=1)
    assert planted.passed, planted
    assert none.passed, none
    assert "of itself" in planted.expected


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
