"""From maps to places, and perturbations at them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import network, window

from perturb.contribution import structural
from perturb.errors import InputError
from perturb.images import load_images
from perturb.locations import anywhere, below_and_above, choose, fold, patch_sum
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.records import Contribution
from perturb.trials import design


def lattice(values, period):
    return Contribution(values=np.array(values, float), kind="structural", layer="output", period=period)


def test_dead_and_live_of_one_window():
    found = choose(structural(network(window(3, padding=1))))
    assert (found.dead.tolist(), found.live.tolist(), found.balanced) == ([[0, 0]], [[1, 1]], False)


def test_a_patch_counts_what_it_covers():
    """A 2 x 2 patch covers every phase of period 2: it has no dead place."""
    assert choose(structural(network(window(3, padding=1))), size=2).balanced


def test_a_balanced_map_has_random_arms_without_overlap():
    found = choose(structural(network(window(2))))
    assert found.balanced
    assert not {tuple(p) for p in found.dead} & {tuple(p) for p in found.live}


def test_share_thresholds():
    found = below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=0.5, live_above=1.5)
    assert (found.dead.tolist(), found.live.tolist()) == ([[0, 0]], [[1, 1]])
    with pytest.raises(ValueError, match=r"`dead_below` \(=2\) must be below"):
        below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=2, live_above=1)
    with pytest.raises(ValueError, match="no phase qualifies"):
        below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=0.1, live_above=1)


@given(st.integers(0, 5), st.integers(0, 5))
def test_shifting_by_whole_periods_changes_nothing(rows, columns):
    values = np.random.default_rng(1).random((4, 4))
    tiled = np.tile(values, (8, 8))
    measured = [
        Contribution(values=np.roll(tiled, (4 * rows, 4 * columns), (0, 1)), kind="energy", layer="x", period=4),
        Contribution(values=tiled, kind="energy", layer="x", period=4),
    ]
    np.testing.assert_allclose(fold(measured[0]), fold(measured[1]))


def test_patch_sum_by_hand():
    np.testing.assert_array_equal(patch_sum(np.array([[1.0, 2], [3, 4]]), 2), np.full((2, 2), 10))


@pytest.mark.parametrize("period", [1, 2, 8, 32])
def test_pairs_lie_in_one_cell_away_from_the_border(period):
    images = load_images("noise", shape=(3, 224, 224), count=4)
    trials = design(images, anywhere(period), size=3, pairs=12, seed=0, purpose="test")
    np.testing.assert_array_equal(trials.dead // period, trials.live // period)
    assert trials.dead.min() >= 28 - period
    assert trials.dead.max() + 3 <= 224 - 28 + period


def test_phases_serve_alike():
    images = load_images("noise", shape=(3, 64, 64), count=8)
    trials = design(images, anywhere(4), size=1, pairs=4, seed=0, purpose="test")
    phases = (trials.dead % 4).reshape(-1, 2)
    _, counts = np.unique(phases, axis=0, return_counts=True)
    np.testing.assert_array_equal(counts, 2)


def test_a_picture_too_small_for_a_cell():
    with pytest.raises(InputError, match="no interior cell of period 32"):
        design(load_images("noise", shape=(3, 32, 32), count=4), anywhere(32), size=1, pairs=1, seed=0, purpose="t")


KINDS = st.sampled_from([Pixel(), Box(size=3), Noise(size=4), *[Box(mode=m) for m in ("add", "replace", "blend")]])


@given(KINDS, st.integers(0, 10), st.integers(0, 10), st.floats(0, 1), st.integers(0, 99))
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


@given(KINDS)
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
