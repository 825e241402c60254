"""The design: cells, phases, and trials that depend on a crop's identity alone."""

from dataclasses import replace

import numpy as np
import pytest

from perturb.errors import InputError
from perturb.images import load_images
from perturb.locations import anywhere
from perturb.records import Images
from perturb.trials import design, identity, interior_cells, only


@pytest.fixture(scope="module")
def crops() -> Images:
    """Two crops of each built-in photograph."""
    return load_images("built-in", shape=(3, 64, 64), crops=2)


def designed(images, **changes):
    return design(images, anywhere(4), **({"size": 1, "pairs": 5, "seed": 3, "purpose": "test"} | changes))


def test_a_crops_trials_do_not_depend_on_its_position(crops):
    """Reversed, or alone, every crop has the trials that it has among all."""
    whole = designed(crops)
    order = np.arange(len(crops.pixels))[::-1]
    backward = designed(only(crops, order))
    np.testing.assert_array_equal(backward.dead, whole.dead[order])
    np.testing.assert_array_equal(backward.live, whole.live[order])
    alone = designed(only(crops, np.array([7])))
    np.testing.assert_array_equal(alone.live[0], whole.live[7])


def test_a_crops_trials_do_not_depend_on_names_but_on_content(crops):
    renamed = replace(crops, names=tuple(f"x{i}" for i in range(len(crops.names))))
    np.testing.assert_array_equal(designed(renamed).dead, designed(crops).dead)
    other = replace(crops, digests=tuple(reversed(crops.digests)))
    assert (designed(other).dead != designed(crops).dead).any()


def test_seed_purpose_photograph_and_crop_each_give_other_trials(crops):
    first = designed(crops).dead
    assert (designed(crops, seed=4).dead != first).any()
    assert (designed(crops, purpose="other").dead != first).any()
    assert (first[0] != first[1]).any()  # two crops of one photograph
    assert (first[0] != first[2]).any()


def test_identities_tell_all_crops_apart(crops):
    names = {identity(crops, i) for i in range(len(crops.pixels))}
    assert len(names) == len(crops.pixels)


def test_phases_are_taken_in_turn():
    """16 pairs on 16 phases: each crop meets every phase once, in each arm."""
    images = load_images("noise", shape=(3, 64, 64), count=6)
    trials = design(images, anywhere(4), size=1, pairs=16, seed=0, purpose="test")
    for arm in (trials.dead, trials.live):
        for places in arm:
            assert len({(r % 4, c % 4) for r, c in places}) == 16


def test_phases_serve_alike_over_many_crops():
    """One pair each on 400 crops: 16 phases at 25 each, within what chance leaves."""
    images = load_images("noise", shape=(1, 32, 32), count=400)
    trials = design(images, anywhere(4), size=1, pairs=1, seed=0, purpose="test")
    counts = np.bincount((trials.dead[:, 0] % 4) @ [4, 1], minlength=16)
    assert ((counts - 25) ** 2 / 25).sum() < 37.7  # chi-square, 15 degrees of freedom, 0.1 %


@pytest.mark.parametrize("period", [1, 2, 8, 32])
def test_pairs_lie_in_one_cell_away_from_the_border(period):
    images = load_images("noise", shape=(3, 224, 224), count=4)
    trials = design(images, anywhere(period), size=3, pairs=12, seed=0, purpose="test")
    np.testing.assert_array_equal(trials.dead // period, trials.live // period)
    assert trials.dead.min() >= 28 - period
    assert trials.dead.max() + 3 <= 224 - 28 + period


def test_interior_cells_by_hand():
    """40 pixels, period 4: the border is 5, so cells begin at 8; a 1-pixel patch in the last cell must end by 32."""
    np.testing.assert_array_equal(np.unique(interior_cells((40, 40), 4, 1)[:, 0]), [8, 12, 16, 20, 24, 28])
    np.testing.assert_array_equal(np.unique(interior_cells((40, 40), 4, 2)[:, 0]), [8, 12, 16, 20, 24])


def test_a_picture_too_small_for_a_cell():
    with pytest.raises(InputError, match="no interior cell of period 32"):
        design(load_images("noise", shape=(3, 32, 32), count=4), anywhere(32), size=1, pairs=1, seed=0, purpose="t")
