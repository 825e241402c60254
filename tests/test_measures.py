"""Measures at a place: closed forms, censoring, symmetry; then classifiers whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import network, window

from perturb import measures
from perturb.locations import anywhere
from perturb.measures import VALUES, accuracy_loss, by_photograph, flip_rate, measure
from perturb.perturbation import Box, Pixel
from perturb.records import Responses
from perturb.responses import flipping, respond, together
from perturb.stats.clusters import crossed_interval
from perturb.tasks import Existence, Labels
from perturb.trials import design


def responses(rng, *, seeds=1, images=12, pairs=3, outputs=4):
    shape = (seeds, images, pairs)
    return Responses(
        clean=rng.normal(size=(seeds, images, outputs)),
        dead=rng.normal(size=(*shape, outputs)),
        live=rng.normal(size=(*shape, outputs)),
        truth=rng.integers(outputs, size=shape),
        clean_truth=None,
        realised_dead=np.ones(shape),
        realised_live=np.ones(shape),
        photograph=np.arange(images) // 2,
        flipped_dead=np.where(rng.random(shape) < 0.5, np.inf, rng.random(shape)),
        flipped_live=rng.random(shape),
    )


def test_values_are_their_formulas(rng):
    found = responses(rng)
    y, changed, t = found.clean[0, 5], found.live[0, 5, 1], found.truth[0, 5, 1]
    expected = {
        "accuracy": float(changed.argmax() == t),
        "score": np.exp(changed[t]) / np.exp(changed).sum(),
        "flips": float(changed.argmax() != y.argmax()),
        "target-drop": y[t] - changed[t],
        "squared-change": ((changed - y) ** 2).sum() / 4,
        "absolute-change": np.abs(changed - y).sum() / 4,
        "rectified-drop": np.maximum(y - changed, 0).sum() / 4,
        "flipping-amplitude": found.flipped_live[0, 5, 1],
        "unflipped": 0.0,
    }
    assert {name: value(found, "live")[0, 5, 1] for name, value in VALUES.items()} == pytest.approx(expected)


def test_a_search_without_a_flip_counts_as_the_bound(rng):
    found = responses(rng)
    amplitude, censored = VALUES["flipping-amplitude"](found, "dead"), VALUES["unflipped"](found, "dead")
    np.testing.assert_array_equal(censored == 1, np.isinf(found.flipped_dead))
    assert (amplitude[censored == 1] == found.bound).all()


@pytest.mark.parametrize("seeds", [1, 3])
def test_swapping_the_arms_flips_every_difference(rng, seeds):
    found = responses(rng, seeds=seeds)
    swapped = replace(
        found, dead=found.live, live=found.dead, flipped_dead=found.flipped_live, flipped_live=found.flipped_dead
    )
    for one, other in zip(measure(found, seed=0), measure(swapped, seed=0), strict=True):
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.difference.low == pytest.approx(-other.difference.high)
        assert (one.dead, one.live) == (other.live, other.dead)
        assert one.difference.n == 6


def test_without_a_search_its_measures_are_left_out(rng):
    found = replace(responses(rng), flipped_dead=None, flipped_live=None)
    assert [m.name for m in measure(found, seed=0)] == list(VALUES)[:-2]


def test_seeds_widen_the_interval(rng):
    """One seed is always right at live places, the other never: no interval over photographs alone would say so."""
    found = responses(rng, seeds=2, outputs=2)
    found = replace(found, truth=np.zeros_like(found.truth), dead=np.zeros_like(found.dead), live=found.live.copy())
    found.live[0, ..., 0], found.live[0, ..., 1] = 1, 0
    found.live[1, ..., 0], found.live[1, ..., 1] = 0, 1
    effect = accuracy_loss(found, None, confidence=0.95, seed=0)
    assert effect.value == -0.5
    assert effect.high - effect.low > 2
    assert effect.method == "t over 6 clusters crossed with 2 seeds"


def test_floor_and_ceiling(rng):
    found = responses(rng, images=200)
    assert accuracy_loss(found, None, confidence=0.95, seed=0).saturated == "floor"
    sure = np.eye(4)[found.truth]
    known = replace(found, dead=sure, live=sure)
    assert accuracy_loss(known, None, confidence=0.95, seed=0).saturated == "ceiling"


def test_one_training_that_learnt_nothing_is_the_floor(rng):
    """It always says "there", and so is right wherever something is."""
    truth = np.ones((2, 50, 3), dtype=int)
    says = np.eye(2)[truth]
    clean = np.stack([np.tile([1.0, 0.0], (50, 1)), np.tile([0.0, 1.0], (50, 1))])
    found = replace(
        responses(rng, images=50),
        clean=clean,
        dead=says,
        live=says,
        truth=truth,
        clean_truth=np.zeros((2, 50), dtype=int),
    )
    assert accuracy_loss(found, None, confidence=0.95, seed=0).saturated == "floor"
    learnt = replace(found, clean=clean[[0, 0]])
    assert accuracy_loss(learnt, None, confidence=0.95, seed=0).saturated == "ceiling"


def test_flip_rate_is_that_of_live_places(rng):
    found = responses(rng)
    effect = flip_rate(found, None, confidence=0.95, seed=0)
    assert effect.value == pytest.approx(measures.flips(found, "live").mean())
    assert 0 <= effect.low < effect.value < effect.high <= 1


def test_a_classifier_that_never_changes_its_answer_knows_nothing(rng):
    found = responses(rng, images=50)
    always = np.broadcast_to([1.0, 0, 0, 0], found.live.shape)
    clean_truth = rng.integers(4, size=(1, 50))
    found = replace(found, clean=always[:, :, 0], dead=always, live=always, clean_truth=clean_truth)
    effect = flip_rate(found, None, confidence=0.95, seed=0)
    assert (effect.value, effect.saturated) == (0, "floor")


def test_the_power_of_several_seeds_is_not_that_of_a_clipped_interval(rng):
    """Rare flips: the interval reaches below 0, and is shown from 0 on."""
    found = replace(responses(rng, seeds=3, images=60), photograph=np.arange(60))
    found = replace(found, live=np.repeat(found.clean[:, :, None], 3, 2))
    found.live[0, :4, 0] *= -1
    effect = flip_rate(found, None, confidence=0.95, seed=0)
    low, high = crossed_interval(by_photograph(measures.flips(found, "live"), found), 0.95)
    assert low < 0 == effect.low
    assert effect.high == pytest.approx(high)
    assert effect.detectable > effect.high - effect.value


def brightest(pictures):
    """Two scores: 1/2, and the brightest value at even rows and columns."""
    seen = pictures[:, :, ::2, ::2].amax((1, 2, 3))
    return torch.stack([torch.full_like(seen, 0.5), seen], 1)


def test_the_smallest_flipping_amplitude_is_found_and_failures_are_infinite():
    """A grey of 0.2 flips at 0.3 more, where it is seen at all."""
    picture = np.full((3, 16, 16), 0.2, dtype=np.float32)
    found = flipping(brightest, picture, np.array([[4, 4], [5, 5], [4, 6]]), 1, 1.0)
    assert found[[0, 2]] == pytest.approx([0.3, 0.3], abs=0.02)
    assert (found[[0, 2]] > 0.3).all()
    assert found[1] == np.inf
    assert flipping(brightest, picture, np.array([[4, 4]]), 1, 0.25)[0] == np.inf


def test_the_search_goes_both_ways():
    """Everything is at the top: only taking away can flip."""
    found = flipping(lambda p: -brightest(1 - p), np.ones((1, 8, 8), np.float32), np.array([[2, 2]]), 1, 1.0)
    assert found[0] == pytest.approx(0.5, abs=0.03)


def test_a_classifier_that_sees_even_pixels_only(leaves):
    dim = replace(leaves, pixels=leaves.pixels * 0.4)
    task = Existence(perturbation=Box(size=1, mode="replace"), level=1.0)
    places = replace(anywhere(2), dead=np.array([[1, 1]]), live=np.array([[0, 0]]))
    trials = design(dim, places, size=1, pairs=4, seed=0, purpose="test")
    labels = np.zeros(len(dim.pixels), dtype=int)
    found = respond(lambda clean: brightest, task, dim, labels, trials, bound=1.0, tick=lambda done, note="": None)
    by_name = {m.name: m for m in measure(found, seed=0)}
    assert (by_name["accuracy"].dead.value, by_name["accuracy"].live.value) == (0, 1)
    assert by_name["squared-change"].dead.value == 0 < by_name["squared-change"].live.low
    assert (by_name["unflipped"].dead.value, by_name["unflipped"].live.value) == (1, 0)
    assert by_name["flipping-amplitude"].difference.pvalue < 1e-6
    assert (found.clean_truth == 0).all()
    assert accuracy_loss(found, None, confidence=0.95, seed=0).value == 1


def test_own_answers_stand_for_missing_labels(leaves):
    model = network(window(2))
    few = replace(leaves, pixels=leaves.pixels[:6], photograph=leaves.photograph[:6])
    trials = design(few, anywhere(2), size=1, pairs=3, seed=0, purpose="test")
    task = Labels(perturbation=Pixel(), level=0.25, outputs=0)
    found = respond(lambda clean: model.measure, task, few, None, trials, bound=None, tick=lambda done, note="": None)
    np.testing.assert_array_equal(found.truth, found.clean.argmax(-1)[..., None].repeat(3, -1))
    np.testing.assert_array_equal(measures.accuracy(found, "live"), 1 - measures.flips(found, "live"))
    both = together([found, found])
    assert both.dead.shape == (2, *found.dead.shape[1:])


def test_power_counts_the_seeds(rng):
    """The interval of several seeds is that of its spread: nothing smaller is said to have been seen."""
    found = responses(rng, seeds=3, images=40)
    effect = accuracy_loss(found, None, confidence=0.95, seed=0)
    half = (effect.high - effect.low) / 2
    assert effect.detectable > half
    assert effect.spread == pytest.approx(half * 20**0.5 / 2.093, rel=1e-3)
