"""Tasks: which pictures show a class, and what is right."""

from dataclasses import replace

import numpy as np
import pytest

from perturb.perturbations.digit import Digit
from perturb.perturbations.patches import Box, Pixel
from perturb.protocols import TaskSetting
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Digits, Intensity, Presence, anywhere

SETTING = TaskSetting(shape=(1, 20, 20), steps=4, labels=7)
RED = Box(size=2, mode="replace", colour=(1, 0, 0))


@pytest.mark.parametrize(
    ("kind", "put", "outputs", "clean"),
    [
        (Presence, Pixel(), 2, "absent"),
        (Intensity, Pixel(), 4, "none"),
        (Labels, Pixel(), 7, "right"),
        (Digits, Digit(size=6), 10, "none"),
    ],
)
def test_what_a_task_takes_from_its_setting(kind, put, outputs, clean):
    task = kind.prepare(put, 0.5, SETTING)
    assert (task.outputs, task.clean, task.level, task.size) == (outputs, clean, 0.5, put.size)
    assert replace(task, level=0.25).level == 0.25


def test_presence_teaches_both_answers_and_asks_for_the_second(rng):
    task = Presence(perturbation=RED, level=1.0)
    picture = np.full((3, 8, 8), 0.5, np.float32)
    assert (task.truths(5), task.asked(5, 3)) == ((0, 1), 1)
    np.testing.assert_array_equal(task.lesson(picture, 0, rng), picture)
    changed = task.lesson(picture, 1, rng) != picture
    assert changed.any(0).sum() == 4
    np.testing.assert_array_equal(task.show(picture, 1, None, rng), picture)


def test_intensity_has_equal_steps(rng):
    task = Intensity(perturbation=replace(RED, size=1), level=0.8, outputs=4)
    picture = np.zeros((3, 8, 8), np.float32)
    assert task.truths(0) == (0, 1, 2, 3)
    assert [task.asked(0, pair) for pair in range(6)] == [0, 1, 2, 3, 0, 1]
    shown = [task.show(picture, k, (2, 3), rng)[0, 2, 3] for k in range(4)]
    assert shown == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_a_digit_lies_on_black_at_its_place(rng):
    task = Digits(perturbation=Digit(size=3), level=0.5, canvas=(1, 10, 10))
    digit = np.ones((1, 3, 3), np.float32)
    shown = task.show(digit, 7, (4, 6), rng)
    assert shown.sum() == pytest.approx(4.5)
    assert (shown[:, 4:7, 6:9] == 0.5).all()
    assert not task.show(digit, 7, None, rng).any()
    assert (task.truths(7), task.asked(7, 0)) == ((7,), 7)


def test_labels_are_learnt_without_the_perturbation(rng):
    task = Labels(perturbation=RED, level=1.0, outputs=3)
    picture = np.full((3, 8, 8), 0.5, np.float32)
    assert task.lesson(picture, 2, rng) is picture
    assert (task.show(picture, 2, (0, 0), rng)[0, :2, :2] == 1).all()
    assert (task.truths(2), task.asked(2, 1)) == ((2,), 2)


def test_anywhere_is_uniform_and_inside(rng):
    places = np.array([anywhere((3, 6, 5), 2, rng) for _ in range(2000)])
    assert (places.min(0).tolist(), places.max(0).tolist()) == ([0, 0], [4, 3])
    counts = np.bincount(places @ [4, 1], minlength=20)
    assert ((counts - 100) ** 2 / 100).sum() < 43.8  # chi-square, 19 degrees of freedom, 0.1 %
