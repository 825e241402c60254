"""What a classifier is shown: at which places, with which truth."""

import numpy as np
import pytest

from perturb.images import load_images
from perturb.perturbation import Box, Noise, Pixel
from perturb.records import Trials
from perturb.tasks import Digits, Existence, Intensity, Labels, Presence
from perturb.tasks.micro import anywhere

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


@pytest.mark.parametrize(
    ("task", "truths", "asked", "unperturbed"),
    [
        (Existence(perturbation=RED, level=1.0), (0, 1), [1, 1, 1, 1], 0),
        (Intensity(perturbation=RED, level=1.0, outputs=3), (0, 1, 2), [0, 1, 2, 0], None),
        (Labels(perturbation=RED, level=1.0, outputs=9), (7,), [7, 7, 7, 7], 7),
        (Digits(canvas=(3, 32, 32)), (7,), [7, 7, 7, 7], None),
    ],
)
def test_what_each_task_teaches_and_asks(task, truths, asked, unperturbed):
    """Of a picture with label 7: its classes in lessons, those of four pairs, and without the perturbation."""
    assert task.truths(7) == truths
    assert [task.asked(7, pair) for pair in range(4)] == asked
    assert task.unperturbed(7) == unperturbed
    assert task.outputs == {"Existence": 2, "Intensity": 3, "Labels": 9, "Digits": 10}[type(task).__name__]


def test_a_level_scales_a_digit(rng):
    digit = rng.random((1, 4, 4)).astype(np.float32)
    shown = Digits(canvas=(1, 16, 16), size=4, level=0.25).trial(digit, 0, (5, 6), rng)
    np.testing.assert_allclose(shown[:, 5:9, 6:10], digit / 4)


@pytest.mark.parametrize(("shape", "size"), [((1, 3, 5), 2), ((1, 4, 4), 4)])
def test_a_patch_lies_at_every_place_where_it_fits_equally_often(shape, size, rng):
    places = [anywhere(shape, size, rng) for _ in range(8000)]
    rows, columns = shape[1] - size + 1, shape[2] - size + 1
    counts = np.zeros((rows, columns))
    np.add.at(counts, tuple(np.transpose(places)), 1)
    assert counts.sum() == 8000
    np.testing.assert_allclose(counts / 8000 * rows * columns, 1, atol=0.12)


def trials(pairs=2, *, images=2, purpose="x/judged", seed=3):
    """Dead places in row 2, live ones in row 8, a column further for each pair."""
    columns = np.broadcast_to(2 + 4 * np.arange(pairs), (images, pairs))
    dead, live = (np.stack([np.full_like(columns, row), columns], -1) for row in (2, 8))
    return Trials(dead=dead, live=live, photograph=np.arange(images), seed=seed, purpose=purpose)


def shown(*, levels=(0.2, 0.4), noise=0.02, arms=("clean", "dead", "live"), what=RED, shots=3, design=None):
    images = load_images("dead-leaves", shape=(3, 16, 16), count=2)
    task = Presence(perturbation=what, levels=levels, noise=noise)
    return images, list(task.show(images, design or trials(), arms, shots=shots))


def test_presence_shows_shots_and_retakes_of_every_image():
    images, found = shown()
    assert len(found) == len(images.pixels) == 2
    for one in found:
        assert one.shots.shape == (3, 3, 16, 16)
        assert one.retakes.shape == (2, 3, 2, 3, 16, 16)  # level, arm, pair
        assert one.realised.shape == (2, 3, 2)
        assert 0 <= min(one.shots.min(), one.retakes.min()) <= max(one.shots.max(), one.retakes.max()) <= 1


def test_retakes_of_a_pair_differ_by_the_perturbation_alone():
    """The same sensor noise in every arm and at every level; another in every pair and shot."""
    _, found = shown()
    for one in found:
        for level, arm, pair in np.ndindex(2, 3, 2):
            clean, retake = one.retakes[level, 0, pair], one.retakes[level, arm, pair]
            row = {1: 2, 2: 8}.get(arm)
            expected = [] if row is None else [[row + r, 2 + 4 * pair + c] for r in (0, 1) for c in (0, 1)]
            assert changed(retake, clean).tolist() == expected
        assert np.array_equal(one.retakes[0, 0], one.retakes[1, 0])
        pictures = [*one.retakes[0, 0], *one.shots]
        assert all((a != b).mean() > 0.5 for i, a in enumerate(pictures) for b in pictures[:i])


def test_sensor_noise_has_its_standard_deviation_and_is_clipped():
    images, found = shown(noise=0.05, shots=40)
    for picture, one in zip(images.pixels, found, strict=True):
        inside = (picture > 0.2) & (picture < 0.8)
        away = (one.shots - picture)[:, inside]
        assert away.std() == pytest.approx(0.05, rel=0.03)
        assert abs(away.mean()) < 0.002


def test_without_noise_a_shot_is_the_picture():
    images, found = shown(noise=0.0)
    for picture, one in zip(images.pixels, found, strict=True):
        assert all(np.array_equal(shot, picture) for shot in one.shots)
        assert np.array_equal(one.retakes[0, 0, 0], picture)


def test_the_realised_change_is_the_patchs_mean_ahead_of_noise():
    """`add` moves a pixel by its level, up to 1/2; `replace` by what was there; the clean arm by nothing."""
    _, found = shown(what=Pixel(), noise=0.05)
    for one in found:
        np.testing.assert_allclose(
            one.realised, [[[0, 0], [0.2, 0.2], [0.2, 0.2]], [[0, 0], [0.4, 0.4], [0.4, 0.4]]], atol=1e-6
        )
    images, (first, _) = shown(levels=(1.0,), noise=0.05)
    red = np.array([1.0, 0, 0])[:, None, None]
    assert first.realised[0, 1, 0] == pytest.approx(np.abs(red - images.pixels[0, :, 2:4, 2:4]).mean(), abs=1e-6)


def test_both_arms_and_every_level_get_the_same_texture():
    """A patch of noise is drawn once for a pair."""
    _, (one, _) = shown(what=Noise(size=2, mode="replace"), noise=0.0)
    dead, live, louder = one.retakes[0, 1, 0], one.retakes[0, 2, 0], one.retakes[1, 1, 0]
    np.testing.assert_array_equal(dead[:, 2:4, 2:4], live[:, 8:10, 2:4])
    np.testing.assert_allclose(louder[:, 2:4, 2:4], 2 * dead[:, 2:4, 2:4], atol=1e-6)
    assert not np.array_equal(one.retakes[0, 1, 1][:, 2:4, 6:8], dead[:, 2:4, 2:4])


def test_a_picture_depends_on_its_trial_alone():
    """Fewer arms, levels and shots beside it change nothing; another purpose or seed does."""
    _, whole = shown()
    _, part = shown(levels=(0.4,), arms=("live",), shots=1)
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(one.retakes[1, 2], other.retakes[0, 0])
        np.testing.assert_array_equal(one.shots[:1], other.shots)
    for changed_design in (trials(purpose="y/judged"), trials(seed=4)):
        _, other = shown(design=changed_design)
        assert not np.array_equal(other[0].shots, whole[0].shots)
        assert not np.array_equal(other[0].retakes, whole[0].retakes)
