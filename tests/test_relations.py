"""Metamorphic relations: they hold where they must, and fail where they should."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn
from toys import network, plain, window

from perturb import relations, strategies
from perturb.contribution import structural
from perturb.counterexample import Case
from perturb.errors import InputError
from perturb.evaluators.change import ChangeDetector
from perturb.locations import choose
from perturb.perturbations.patches import Box, Pixel

SHAPE = (3, 64, 64)
PLACES = choose(structural(network(window(3, padding=1))))
MODEL = network(plain())
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(strategies.cases(PLACES, SHAPE))
def test_relations_hold_for_a_network(drawn):
    assert relations.level_zero(MODEL, drawn).passed
    assert relations.batches(MODEL, np.stack([drawn.picture, 1 - drawn.picture])).passed
    assert relations.shift(MODEL, ChangeDetector(layer="0"), drawn, 4).passed


def test_a_mirror_permutes_the_phases():
    pictures = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    assert relations.flip(MODEL, pictures, "3").passed


class Meddling(nn.Module):
    """Centres each picture on its batch's mean, of three and more: loading tries two."""

    def forward(self, x):
        return x - x.mean(0, keepdim=True) if len(x) > 2 else x


class Striped(nn.Module):
    """Sees only the left half of its input."""

    def forward(self, x):
        return torch.cat([x[..., : x.shape[3] // 4], 0 * x[..., x.shape[3] // 4 :]], 3)


def test_relations_fail_where_they_should():
    pictures = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
    told = relations.batches(network(Meddling()), pictures)
    assert not told.passed
    assert float(told.observed) > 0.1
    seen_once = Case(picture=pictures[0], perturbation=Pixel(), level=1.0, dead=(16, 17), live=(16, 17))
    assert not relations.shift(network(Striped()), ChangeDetector(layer=""), seen_once, 16).passed
    with pytest.raises(InputError, match="at least 2"):
        relations.batches(MODEL, pictures[:1])


def a_case(pictures, *, place=(16, 17), what=None, seed=0):
    return Case(picture=pictures[0], perturbation=what or Pixel(), level=1.0, dead=place, live=place, seed=seed)


def awake(module):
    """A network that begins to depend on its batch after it was loaded: loading refuses it otherwise."""
    model = network(module)
    model.module.awake = True
    return model


class Restless(nn.Module):
    """Gives something else each time that it is asked, and within a batch."""

    awake = False

    def forward(self, x):
        return x + self.awake * torch.arange(len(x), dtype=x.dtype).view(-1, 1, 1, 1)


def test_level_zero_tells_by_how_much_it_failed():
    """The second picture of the batch is 1 more than the first, whatever was put into it."""
    pictures = np.zeros((1, *SHAPE), np.float32)
    told = relations.level_zero(awake(Restless()), a_case(pictures))
    assert (told.passed, told.observed) == (False, "a change of 1")
    told = relations.level_zero(MODEL, a_case(pictures, what=Box(size=3)), layer="3")
    assert (told.passed, told.observed) == (True, "a change of 0")
    assert (told.name, told.expected) == ("level 0 changes nothing", "the same output, bit for bit")


class Late(nn.Module):
    """Depends on the batch by a known amount: `share` of the largest output is added where there is company."""

    def __init__(self, share):
        super().__init__()
        self.share, self.awake = share, False

    def forward(self, x):
        return x + self.awake * self.share * float(len(x) > 1)


@pytest.mark.parametrize(("share", "passed"), [(0.0, True), (0.9e-4, True), (1.2e-4, False), (0.5, False)])
def test_a_batchs_size_is_measured_against_the_largest_output(share, passed):
    """Pictures of 1: an output of 1 alone and 1 + share in company."""
    told = relations.batches(awake(Late(share)), np.ones((3, *SHAPE), np.float32))
    assert told.passed == passed
    assert float(told.observed) == pytest.approx(share / (1 + share), abs=2e-6, rel=5e-3)
    assert relations.batches(awake(Late(share)), np.ones((3, *SHAPE), np.float32), tolerance=1.0).passed


def test_a_batchs_order_is_tried():
    """The output hangs on the number in the batch: alone every picture is the first."""
    pictures = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    told = relations.batches(awake(Restless()), pictures)
    assert not told.passed
    assert told.name == "batch order and size change nothing"


def test_an_output_of_zeros_is_no_failure():
    assert relations.batches(awake(Late(0.0)), np.zeros((2, *SHAPE), np.float32)).passed


def test_a_shift_tells_the_evidence_at_both_places():
    """A network that sees one pixel of four: moved by its period nothing changes, moved by one pixel all does."""
    pictures = np.full((1, *SHAPE), 0.3, np.float32)
    model, seen = network(window(1)), a_case(pictures, place=(16, 16))
    told = relations.shift(model, ChangeDetector(layer="0"), seen, 2)
    assert told.passed
    before, after = (float(word) for word in told.observed.removeprefix("evidence / threshold ").split(", shifted "))
    assert min(before, after) > 1
    assert not relations.shift(model, ChangeDetector(layer="0"), seen, 1).passed


def test_a_shift_is_seeded_by_its_case():
    pictures = np.full((1, *SHAPE), 0.3, np.float32)
    one, same, other = (
        relations.shift(MODEL, ChangeDetector(layer="0"), a_case(pictures, seed=seed), 4).observed for seed in (0, 0, 1)
    )
    assert one == same != other


def test_a_place_beyond_the_picture_is_refused():
    with pytest.raises(ValueError, match="leaves the"):
        relations.shift(MODEL, ChangeDetector(layer="0"), a_case(np.zeros((1, *SHAPE), np.float32), place=(80, 80)), 4)


@pytest.mark.parametrize("layer", ["output", "0", "3"])
def test_a_mirror_permutes_the_phases_of_every_layer(layer):
    pictures = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    told = relations.flip(MODEL, pictures, layer)
    assert told.passed
    assert float(told.observed) < 1e-5


def test_a_wrapper_that_mirrors_nothing_is_caught(monkeypatch):
    """The instrument is what it tries: with a mirror that does not turn, the phases stay where they were."""
    monkeypatch.setattr(relations, "_Mirror", nn.Identity)
    told = relations.flip(network(window(1)), np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32), "0")
    assert not told.passed
    assert told.name == "a mirror permutes the phases"
