"""What a classifier is shown: at which places, with which truth."""

import numpy as np
import pytest

from perturb.perturbation import Box
from perturb.tasks import Digits, Existence, Intensity, Labels

GREY = np.full((3, 16, 16), 0.5, dtype=np.float32)
RED = Box(size=2, mode="replace", colour=(1.0, 0.0, 0.0))


def changed(picture, without=GREY):
    """(row, column) of every pixel that differs."""
    return np.argwhere((picture != without).any(0))


@pytest.mark.parametrize(
    "task",
    [
        Existence(perturbation=RED, level=1.0),
        Intensity(perturbation=RED, level=1.0, outputs=3),
        Labels(perturbation=RED, level=1.0, outputs=5),
    ],
)
def test_a_trial_differs_at_its_place_alone(task, rng):
    shown = task.trial(GREY, task.asked(1, 0), (3, 5), rng)
    assert changed(shown).tolist() == [[3, 5], [3, 6], [4, 5], [4, 6]]
    assert changed(task.trial(GREY, task.asked(1, 0), None, rng)).size == 0


def test_existence_shows_each_picture_without_and_with_the_papers_red_box(rng):
    task = Existence(perturbation=RED, level=1.0)
    assert task.truths(7) == (0, 1)
    assert task.lesson(GREY, 0, rng) is GREY
    shown = task.lesson(GREY, 1, rng)
    assert len(changed(shown)) == 4
    row, column = changed(shown)[0]
    assert shown[:, row, column].tolist() == [1, 0, 0]


def test_lessons_lie_anywhere(rng):
    """Every place at which the whole box is inside is met, and no other."""
    task = Existence(perturbation=RED, level=1.0)
    places = {tuple(changed(task.lesson(GREY, 1, rng))[0]) for _ in range(4000)}
    assert places == {(r, c) for r in range(15) for c in range(15)}


def test_intensities_rise_in_equal_steps_and_take_turns(rng):
    task = Intensity(perturbation=RED, level=1.0, outputs=4)
    reds = [task.trial(GREY, k, (0, 0), rng)[0, 0, 0] for k in range(4)]
    assert reds == pytest.approx([0.25, 0.5, 0.75, 1])
    assert [task.asked(0, pair) for pair in range(6)] == [0, 1, 2, 3, 0, 1]
    assert task.unperturbed(0) is None


def test_a_digit_lies_on_black_in_all_channels(rng):
    digit = rng.random((3, 14, 14)).astype(np.float32)
    task = Digits(canvas=(3, 64, 64), size=14)
    shown = task.trial(digit, 3, (20, 31), rng)
    np.testing.assert_array_equal(shown[:, 20:34, 31:45], digit)
    assert shown.sum() == pytest.approx(digit.sum())
    assert task.truths(3) == (3,)
    assert not task.trial(digit, 3, None, rng).any()


def test_labels_are_taught_without_the_perturbation(rng):
    task = Labels(perturbation=RED, level=1.0, outputs=5)
    assert task.lesson(GREY, 2, rng) is GREY
    assert (task.truths(2), task.asked(2, 9), task.unperturbed(2)) == ((2,), 2, 2)
