"""Strategies shrink to the simplest; relations hold where they must and fail where they should."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn
from toys import network, plain, window

from perturb import case, relations, strategies
from perturb.contribution import structural
from perturb.detectors import Reference
from perturb.errors import InputError
from perturb.locations import choose
from perturb.perturbation import Box, Noise, Pixel

SHAPE = (3, 64, 64)
PLACES = choose(structural(network(window(3, padding=1))))
MODEL = network(plain())
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_simplest_case():
    """One pixel on flat grey, the smallest level, the first phases of the first interior cell."""
    found = hypothesis.find(strategies.cases(PLACES, SHAPE), lambda _: True)
    assert (found.picture == np.float32(127 / 255)).all()
    assert (found.perturbation, found.level, found.dead, found.live) == (Pixel(), 1 / 255, (8, 8), (9, 9))


@FEW
@given(strategies.cases(PLACES, SHAPE))
def test_cases_fit_their_picture_and_survive_their_file(drawn):
    changed = drawn.perturbation.apply(drawn.picture, drawn.dead, drawn.level, np.random.default_rng(0))
    assert changed.shape == drawn.picture.shape
    assert (drawn.dead[0] // 2, drawn.dead[1] // 2) == (drawn.live[0] // 2, drawn.live[1] // 2)
    kept, about = case.from_json(case.to_json(drawn, {"aim": "missed"}))
    np.testing.assert_array_equal(kept.picture, drawn.picture)
    assert (repr(kept), about) == (repr(drawn), {"aim": "missed"})


def test_photographs_and_patches_are_drawn():
    photograph = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    found = hypothesis.find(strategies.pictures(SHAPE, photographs=[photograph]), lambda p: p.std() > 0.28)
    np.testing.assert_allclose(found, photograph, atol=0.5 / 255)
    for kind in (Box(size=3), Noise(size=2)):
        assert hypothesis.find(strategies.perturbations(), lambda p, kind=kind: p == kind) == kind


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"schema": 9}', '{"schema": 1, "picture": "x"}'],
)
def test_a_file_that_is_no_case(text):
    with pytest.raises(InputError, match=r"not a case|case schema 9"):
        case.from_json(text)


def test_a_case_beyond_its_picture_is_refused():
    good = case.Case(picture=np.zeros(SHAPE, np.float32), perturbation=Pixel(), level=0.5, dead=(8, 8), live=(9, 9))
    text = case.to_json(good, {})
    for old, new in (('"level": 0.5', '"level": NaN'), ("8,\n", "99,\n"), ('"kind": "pixel"', '"kind": "os:system"')):
        with pytest.raises(InputError, match="not a case"):
            case.from_json(text.replace(old, new))


@FEW
@given(strategies.cases(PLACES, SHAPE))
def test_relations_hold_for_a_network(drawn):
    assert relations.level_zero(MODEL, drawn).passed
    assert relations.batches(MODEL, np.stack([drawn.picture, 1 - drawn.picture])).passed
    assert relations.shift(MODEL, Reference(layer="0"), drawn, 4).passed


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
    seen_once = case.Case(picture=pictures[0], perturbation=Pixel(), level=1.0, dead=(16, 17), live=(16, 17))
    assert not relations.shift(network(Striped()), Reference(layer=""), seen_once, 16).passed
    with pytest.raises(InputError, match="at least 2"):
        relations.batches(MODEL, pictures[:1])
