"""Small things put into a picture, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perturb.kinds import load_kind
from perturb.perturbations import KINDS as BY_NAME
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.perturbations.print import Print

ANY = st.sampled_from([Pixel(), Box(size=3), Noise(size=4), *[Box(mode=m) for m in ("add", "replace", "blend")]])


@given(ANY, st.integers(0, 10), st.integers(0, 10), st.floats(0, 1), st.integers(0, 99))
def test_only_the_patch_changes_and_the_range_is_kept(kind, row, column, level, seed):
    picture = np.random.default_rng(seed).random((3, 16, 16), dtype=np.float32)
    before = picture.copy()
    changed = kind.apply(picture, (row, column), level, np.random.default_rng(0))
    np.testing.assert_array_equal(picture, before)
    assert 0 <= changed.min() <= changed.max() <= 1
    changed[:, row : row + kind.size, column : column + kind.size] = before[
        :, row : row + kind.size, column : column + kind.size
    ]
    np.testing.assert_array_equal(changed, before)


@given(ANY)
def test_level_zero_is_the_identity(kind):
    picture = np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)
    np.testing.assert_array_equal(kind.apply(picture, (4, 4), 0.0, np.random.default_rng(0)), picture)


@given(st.floats(0.01, 0.5), st.integers(0, 99))
def test_adding_up_to_a_half_is_never_clipped(level, seed):
    picture = np.random.default_rng(seed).random((3, 4, 4), dtype=np.float32)
    change = Pixel().apply(picture, (1, 1), level, np.random.default_rng(0)) - picture
    np.testing.assert_allclose(np.abs(change[:, 1, 1]), level, rtol=1e-4)


def test_the_papers_red_box():
    red = Box(size=1, mode="replace", colour=(1, 0, 0)).apply(np.full((3, 4, 4), 0.5, np.float32), (2, 1), 1.0, None)
    assert red[:, 2, 1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(("place", "level"), [((15, 0), 0.5), ((-1, 0), 0.5), ((0, 0), 1.5), ((0, 0), float("nan"))])
def test_places_and_levels_are_checked(place, level):
    with pytest.raises(ValueError, match=r"`place`|`level`"):
        Box(size=2).apply(np.zeros((3, 16, 16), np.float32), place, level, np.random.default_rng(0))


def of(*channels, side=4):
    """A flat picture with these values in its channels."""
    return np.stack([np.full((side, side), value, np.float32) for value in channels])


def put(what, picture, level=0.25, place=(1, 2)):
    return what.apply(picture, place, level, np.random.default_rng(0))[:, place[0], place[1]]


@pytest.mark.parametrize(
    ("mode", "channels", "level", "expected"),
    [
        ("add", (0.2, 0.2, 0.2), 0.25, (0.45, 0.45, 0.45)),
        ("add", (0.8, 0.8, 0.8), 0.25, (0.55, 0.55, 0.55)),  # away from the nearer bound
        ("add", (0.2, 0.8, 0.5), 0.25, (0.45, 0.55, 0.75)),  # each channel by itself; 1/2 goes up
        ("add", (0.0, 0.5, 1.0), 1.0, (1.0, 1.0, 0.0)),  # clipped
        ("replace", (0.2, 0.8, 0.5), 0.25, (0.25, 0.25, 0.25)),
        ("blend", (0.2, 0.8, 0.5), 0.25, (0.4, 0.85, 0.625)),
        ("blend", (0.2, 0.8, 0.5), 1.0, (1.0, 1.0, 1.0)),
    ],
)
def test_modes_by_hand(mode, channels, level, expected):
    """x + l c or x - l c; l c; (1 - l) x + l c, with c = 1."""
    assert put(Pixel(mode=mode), of(*channels), level) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("add", (0.45, 0.2, 0.325)), ("replace", (0.25, 0.0, 0.125)), ("blend", (0.4, 0.15, 0.275))],
)
def test_a_colour_is_given_channel_by_channel(mode, expected):
    """Colour (1, 0, 1/2) at level 1/4 on 0.2."""
    assert put(Box(size=2, mode=mode, colour=(1, 0, 0.5)), of(0.2, 0.2, 0.2)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_pictures_than_rgb_take_the_colours_mean(channels):
    found = put(Box(size=2, mode="replace", colour=(1, 0, 0.5)), of(*[0.2] * channels), 1.0)
    assert found == pytest.approx([0.5] * channels)


def test_the_nearer_bound_is_that_of_the_patchs_mean():
    """Three dark pixels and a bright one: all four are raised, and the bright one clipped."""
    picture = of(0.1, side=2)
    picture[0, 1, 1] = 0.9
    found = Box(size=2).apply(picture, (0, 0), 0.25, np.random.default_rng(0))
    assert found[0].ravel() == pytest.approx([0.35, 0.35, 0.35, 1.0])


@pytest.mark.parametrize(("mode", "low"), [("add", -1.0), ("replace", 0.0), ("blend", 0.0)])
def test_noise_is_uniform_and_drawn_from_the_generator_given(mode, low):
    """64 x 64 pixels at level 1/2: from low/2 to 1/2 about their middle; another generator gives another texture."""
    picture = of(0.0 if mode != "add" else 0.5, side=64)
    one, same, other = (
        Noise(size=64, mode=mode).apply(picture, (0, 0), 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    change = one - (picture if mode == "add" else 0)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (change.min(), change.max()) == pytest.approx((low / 2, 0.5), abs=0.001)
    assert change.mean() == pytest.approx((low + 1) / 4, abs=0.02)
    assert np.abs(np.corrcoef(change[0, :-1].ravel(), change[0, 1:].ravel())[0, 1]) < 0.06


def test_each_channel_has_noise_of_its_own():
    found = Noise(size=4, mode="replace").apply(of(0, 0, 0), (0, 0), 1.0, np.random.default_rng(0))
    assert len(np.unique(found)) == 48


@given(ANY, st.floats(0, 1))
def test_the_patch_fits_into_the_last_corner_and_no_further(kind, level):
    picture, last = of(0.3, 0.3, 0.3, side=8), 8 - kind.size
    assert kind.apply(picture, (last, last), level, np.random.default_rng(0)).shape == (3, 8, 8)
    for place in ((last + 1, last), (last, last + 1)):
        with pytest.raises(ValueError, match=rf"`place` .* with size {kind.size} leaves the 8 x 8 picture"):
            kind.apply(picture, place, level, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [Box, Noise])
@pytest.mark.parametrize(
    ("given", "words"),
    [({"size": 0}, r"`size` \(=0\) must be at least 1"), ({"mode": "sub"}, r"`mode` \(='sub'\) must be add, replace")],
)
def test_sizes_and_modes_are_checked(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind(**given)


def test_a_pixel_is_a_box_of_one():
    kinds = {name: load_kind(name, BY_NAME) for name in ("pixel", "box", "noise")}
    assert (Pixel().size, kinds) == (1, {"pixel": Pixel, "box": Box, "noise": Noise})
    picture = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    np.testing.assert_array_equal(put(Pixel(), picture), put(Box(size=1), picture))


def test_small_print_is_darker_where_its_ink_is():
    """Five digits of 3 x 5 pixels, one apart: 5 x 19, by the level where there is ink, and as below elsewhere."""
    put, picture = Print(), np.full((3, 20, 40), 0.9, dtype=np.float32)
    assert (put.extent, put.size) == ((5, 19), 19)
    changed = put.apply(picture, (4, 6), 0.25, np.random.default_rng(0))
    assert set(np.unique((picture - changed).round(6))) == {0, 0.25}
    rows, columns = np.nonzero((changed != picture).any(0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 8, 6, 24)
    other = put.apply(picture, (4, 6), 0.25, np.random.default_rng(1))
    assert (other != changed).any()
    with pytest.raises(ValueError, match="a word of 5 x 19 leaves"):
        put.apply(picture, (4, 22), 0.25, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("given", "words"),
    [({"digits": 0}, "must be 1 to 100"), ({"font_size": 2}, "3 to 1000"), ({"font": "none.ttf"}, "cannot be read")],
)
def test_print_checks_what_it_is_given(given, words):
    with pytest.raises(ValueError, match=words):
        Print(**given)
