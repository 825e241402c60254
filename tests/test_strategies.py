"""Strategies draw what they say, and shrink to the simplest."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import network, window

from perturb import counterexample, strategies
from perturb.contribution import structural
from perturb.errors import InputError
from perturb.locations import choose
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.records import Locations

SHAPE = (3, 64, 64)
ABOUT = counterexample.About(aim="missed", check="pixel", model="net", suite={}, weights_digest="0")
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLACES = choose(structural(network(window(3, padding=1))))
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
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
    kept, about = counterexample.from_json(counterexample.to_json(drawn, ABOUT))
    np.testing.assert_array_equal(kept.picture, drawn.picture)
    assert (repr(kept), about) == (repr(drawn), ABOUT)


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
    with pytest.raises(InputError, match=r"^`counterexample\.json`: .*(not JSON|schema|is missing|got a list)"):
        counterexample.from_json(text)


def test_a_case_beyond_its_picture_is_refused():
    good = counterexample.Case(
        picture=np.zeros(SHAPE, np.float32), perturbation=Pixel(), level=0.5, dead=(8, 8), live=(9, 9)
    )
    data = json.loads(counterexample.to_json(good, ABOUT)) | {"schema": 2}  # of which no digest is asked
    del data["digest"]
    text = json.dumps(data, indent=2)
    for old, new, words in (
        ('"level": 0.5', '"level": NaN', "level: expected a finite number, got NaN"),
        ("8,\n", "99,\n", "not a case"),
        ('"kind": "pixel"', '"kind": "os:system"', r"perturbation\.kind: expected one of"),
        ('"size": 1', '"size": 2', r"perturbation\.size: expected 1, got 2"),
        ('"mode": "add"', '"mode": "melt"', r"perturbation\.mode: expected 'add', "),
    ):
        with pytest.raises(InputError, match=words):
            counterexample.from_json(text.replace(old, new))


@given(strategies.flat_pictures((2, 4, 5)))
def test_a_flat_picture_is_one_whole_grey(picture):
    assert (picture.shape, picture.dtype, np.ptp(picture)) == ((2, 4, 5), np.float32, 0)
    assert 0 <= picture[0, 0, 0] <= 1
    assert picture[0, 0, 0] * 255 == pytest.approx(round(float(picture[0, 0, 0]) * 255), abs=1e-4)


@pytest.mark.parametrize("grey", [0, 255])
def test_black_and_white_are_drawn(grey):
    found = hypothesis.find(strategies.flat_pictures((1, 2, 2)), lambda p: p[0, 0, 0] * 255 == grey)
    assert (found == grey / 255).all()


@FEW
@given(strategies.pictures((3, 16, 24)))
def test_pictures_are_eight_bits_of_their_shape(picture):
    """As a camera gives them, so that a file keeps them whole."""
    assert (picture.shape, picture.dtype) == ((3, 16, 24), np.float32)
    np.testing.assert_allclose(picture * 255, (picture * 255).round(), atol=1e-4)
    assert picture.min() >= 0
    assert picture.max() <= 1


@pytest.mark.parametrize(
    ("least", "most", "ends"), [(1 / 255, 1.0, (1, 255)), (0.0, 0.5, (1, 128)), (0.1, 0.2, (26, 51))]
)
def test_levels_are_whole_greys_between_their_bounds(least, most, ends):
    """Never 0, which would change nothing; the smallest is the simplest, and both ends are drawn."""
    drawn = strategies.levels(least, most)
    assert round(hypothesis.find(drawn, lambda _: True) * 255, 9) == ends[0]
    assert round(hypothesis.find(drawn, lambda level: level * 255 >= ends[1] - 1e-9) * 255, 9) == ends[1]


@given(strategies.levels(0.1, 0.2))
def test_levels_stay_within_their_bounds(level):
    assert 26 <= round(level * 255, 9) <= 51


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), strategies.perturbations(n))))
def test_perturbations_are_no_larger_than_asked(drawn):
    largest, what = drawn
    assert 1 <= what.size <= largest
    assert isinstance(what, Pixel) == (what.size == 1)


@given(st.data())
def test_places_have_the_phases_of_their_arms(data):
    """In one cell, and a patch at either stays away from the border by an eighth of the picture."""
    locations = Locations(dead=np.array([[0, 3], [2, 1]]), live=np.array([[1, 1], [3, 0]]), period=4, balanced=False)
    dead, live = data.draw(strategies.places(locations, (3, 32, 48), size=2))
    assert (dead[0] % 4, dead[1] % 4) in {(0, 3), (2, 1)}
    assert (live[0] % 4, live[1] % 4) in {(1, 1), (3, 0)}
    assert (dead[0] // 4, dead[1] // 4) == (live[0] // 4, live[1] // 4)
    for row, column in (dead, live):
        assert 4 <= row <= 28 - 2
        assert 8 <= column <= 42 - 2


def test_every_phase_is_drawn():
    locations = Locations(dead=np.array([[0, 3], [2, 1]]), live=np.array([[1, 1], [3, 0]]), period=4, balanced=False)
    for number, arm in enumerate((locations.dead, locations.live)):
        for row, column in arm:
            found = hypothesis.find(
                strategies.places(locations, (3, 32, 32)),
                lambda pair, at=(number, row, column): (pair[at[0]][0] % 4, pair[at[0]][1] % 4) == at[1:],
            )
            assert (found[number][0] // 4, found[number][1] // 4) == (1, 1)  # in the first interior cell


@FEW
@given(
    strategies.cases(
        PLACES, SHAPE, picture=strategies.flat_pictures(SHAPE), perturbation=st.just(Box(size=3, mode="blend"))
    )
)
def test_a_case_is_made_of_what_is_given(drawn):
    assert drawn.perturbation == Box(size=3, mode="blend")
    assert np.ptp(drawn.picture) == 0
