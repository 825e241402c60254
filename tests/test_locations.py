"""From maps to dead and live phases, and the places of trials."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import network, window

from perturb.contribution import structural
from perturb.locations import anywhere, below_and_above, choose, dead_share, fold, imbalance, patch_sum
from perturb.records import Contribution


def lattice(values, period, kind="structural"):
    return Contribution(values=np.array(values, float), kind=kind, layer="output", period=period)


def measured(phases, shape):
    """An energy map that repeats these phases over rows x columns."""
    rows, columns = shape
    repeats = (-(-rows // len(phases)), -(-columns // len(phases)))
    return lattice(np.tile(phases, repeats)[:rows, :columns], len(phases), "energy")


def arms(found):
    return [tuple(p) for p in found.dead.tolist()], [tuple(p) for p in found.live.tolist()]


def test_fold_is_each_phases_mean_in_units_of_the_map():
    """Four cells of period 2: the means 1, 2, 3, 6 over a mean of 3."""
    values = np.array([[0, 1, 2, 3], [3, 4, 3, 8], [1, 2, 1, 2], [3, 4, 3, 8]])
    np.testing.assert_allclose(fold(lattice(values, 2)), np.array([[1, 2], [3, 6]]) / 3)
    np.testing.assert_allclose(fold(lattice(values, 2), 1), [[1]])


def test_fold_to_another_period_than_a_structural_maps_own():
    """One period of 2 by 2 phases, repeated until periods of 3 are whole: every phase of 3 meets all of them."""
    np.testing.assert_allclose(fold(lattice([[1, 2], [3, 6]], 2), 3), np.ones((3, 3)))
    np.testing.assert_allclose(fold(lattice([[1, 2], [3, 6]], 2), 4), np.tile([[1, 2], [3, 6]], (2, 2)) / 3)


def test_rows_and_columns_may_repeat_after_different_numbers():
    """Phases that differ by columns alone have one mean: the noise between them chooses no place."""
    noisy = replace(measured([[1.0, 1.2], [2.8, 3.0]], (8, 8)), periods=(2, 1))
    np.testing.assert_allclose(fold(noisy), np.array([[1.1, 1.1], [2.9, 2.9]]) / 2)
    assert arms(choose(noisy, share=0.25)) == ([(0, 0), (0, 1)], [(1, 0), (1, 1)])
    np.testing.assert_allclose(fold(noisy, 1), [[1]])


@pytest.mark.parametrize(
    ("shape", "period", "cuts"),
    [
        ((32, 32), 2, (4, 4)),  # an eighth
        ((36, 32), 2, (4, 4)),  # an eighth of 36, 4.5, counts as 4 whole rows
        ((40, 32), 3, (6, 6)),  # 5 and 4 become two cells of 3
        ((8, 8), 2, (2, 2)),  # two cells remain
        ((32, 24), 8, (8, 0)),  # of 24 columns only one would remain
        ((7, 7), 2, (0, 0)),  # an eighth of it is no whole row
    ],
)
def test_fold_leaves_the_border_of_a_measured_map_out(shape, period, cuts):
    """The border as told, row by row and column by column: what is outside does not count, what is inside does."""
    phases = np.arange(1.0, period**2 + 1).reshape(period, period)
    inner = phases / phases.mean()
    clean = measured(phases, shape)
    for axis, cut in enumerate(cuts):
        for at, inside in ((cut - 1, False), (cut, True), (shape[axis] - cut, False)):
            if not 0 <= at < shape[axis]:
                continue
            values = clean.values.copy()
            np.moveaxis(values, axis, 0)[at] += 1000
            found = fold(lattice(values, period, "energy"))
            assert np.allclose(found, inner) != inside, (axis, at)


def test_a_structural_map_has_no_border():
    values = np.ones((32, 32))
    values[0, 0] = 1000
    assert fold(lattice(values, 2))[0, 0] == pytest.approx(4 * 1255 / (1255 + 3 * 256))
    assert fold(lattice(values, 2, "energy"))[0, 0] == 1


@pytest.mark.parametrize(
    ("phases", "ratio", "share"),
    [
        ([[1, 1], [1, 1]], 1, 0),
        ([[1, 3], [2, 2]], 3, 0),  # 1 is half the mean, not less
        ([[0.99, 3.01], [2, 2]], 3.01 / 0.99, 0.25),
        ([[0, 0], [0, 4]], float("inf"), 0.75),
        ([[0, 2], [2, 2]], float("inf"), 0.25),
    ],
)
def test_imbalance_and_dead_share(phases, ratio, share):
    """max/min, infinite where a phase is strictly dead; the share of phases below half the mean."""
    assert imbalance(np.array(phases, float)) == pytest.approx(ratio)
    assert dead_share(np.array(phases, float)) == share


def test_dead_share_below_another_threshold():
    phases = np.array([[1.0, 2], [3, 6]])
    assert [dead_share(phases, below) for below in (0.3, 0.4, 1.0, 1.1, 3)] == [0, 0.25, 0.5, 0.75, 1]


def test_dead_and_live_of_one_window():
    found = choose(structural(network(window(3, padding=1))))
    assert (found.dead.tolist(), found.live.tolist(), found.balanced) == ([[0, 0]], [[1, 1]], False)


def test_a_patch_counts_what_it_covers():
    """A 2 x 2 patch covers every phase of period 2: it has no dead place."""
    assert choose(structural(network(window(3, padding=1))), size=2).balanced


def test_a_balanced_map_has_random_arms_without_overlap():
    """In a cell of at least 8 x 8; the seed draws them."""
    found, again, other = (choose(structural(network(window(2))), seed=seed) for seed in (0, 0, 1))
    assert (found.balanced, found.period) == (True, 8)
    assert len(found.dead) == len(found.live) == 3  # 5 % of 64
    assert not set(arms(found)[0]) & set(arms(found)[1])
    assert arms(found) == arms(again) != arms(other)


@pytest.mark.parametrize(("period", "cell"), [(1, 8), (3, 9), (5, 10), (8, 8), (32, 32)])
def test_the_cell_of_random_arms_is_whole_periods(period, cell):
    assert choose(lattice(np.ones((period, period)), period)).period == cell


@pytest.mark.parametrize(
    ("phases", "dead", "live"),
    [
        ([[1, 2], [3, 4]], [(0, 0)], [(1, 1)]),
        ([[1, 1], [3, 4]], [(0, 0), (0, 1)], [(1, 1)]),  # equal ones stay together
        ([[1, 4], [1 + 1e-12, 4 - 1e-12]], [(0, 0), (1, 0)], [(0, 1), (1, 1)]),  # up to rounding
        ([[2, 2], [2, 0]], [(1, 1)], [(0, 0), (0, 1), (1, 0)]),
    ],
)
def test_the_least_and_the_most(phases, dead, live):
    found = choose(lattice(phases, 2))
    assert (arms(found), found.balanced, found.period) == ((dead, live), False, 2)


@pytest.mark.parametrize(("share", "count"), [(0.001, 1), (0.05, 3), (0.06, 4), (0.1, 6), (0.25, 16), (0.5, 32)])
def test_the_share_of_phases_in_an_arm(share, count):
    """Of 64 different ones: rounded, at least one."""
    found = choose(lattice(np.arange(64).reshape(8, 8), 8), share=share)
    assert [8 * r + c for r, c in arms(found)[0]] == list(range(count))
    assert [8 * r + c for r, c in arms(found)[1]] == list(range(64 - count, 64))


def test_a_value_that_both_arms_would_hold_is_in_neither():
    """0 once, 2 once and 62 times 1: three phases an arm would take the ones, from either end."""
    phases = np.ones((8, 8))
    phases[0, 0], phases[7, 7] = 0, 2
    assert arms(choose(lattice(phases, 8))) == ([(0, 0)], [(7, 7)])


@pytest.mark.parametrize("kind", ["structural", "energy"])
def test_a_lone_live_phase_leaves_all_others_dead(kind):
    """1 x 1 kernels moved by 2, three times: one pixel of 64 is seen. And the other way round: one that is not."""
    phases = np.zeros((8, 8))
    phases[0, 0] = 1
    dead, live = arms(choose(lattice(np.tile(phases, (4, 4)), 8, kind)))
    assert (live, len(dead), (0, 0) in dead) == ([(0, 0)], 63, False)
    dead, live = arms(choose(lattice(np.tile(1 - phases, (4, 4)), 8, kind)))
    assert (dead, len(live), (0, 0) in live) == ([(0, 0)], 63, False)


def test_three_strided_points_have_one_live_phase():
    points = [window(1, channels=3, seed=seed)[0] for seed in range(3)]
    found = choose(structural(network(torch.nn.Sequential(*points))))
    assert (arms(found)[1], len(found.dead)) == ([(0, 0)], 63)


@given(st.lists(st.integers(0, 3), min_size=64, max_size=64), st.sampled_from([0.05, 0.2, 0.5]), st.integers(1, 3))
def test_arms_are_never_empty_and_never_overlap(values, share, size):
    """Every dead phase contributes less than every live one, and no phase less than a dead one or more than a live."""
    phases = np.array(values, float).reshape(8, 8) + 1e-6
    found, sums = choose(lattice(phases, 8), size=size, share=share), patch_sum(fold(lattice(phases, 8)), size)
    dead, live = ([sums[place] for place in arm] for arm in arms(found))
    assert len(dead) > 0 < len(live)
    if not found.balanced:
        assert max(dead) < min(live)
        assert (min(dead), max(live)) == pytest.approx((sums.min(), sums.max()))


def test_share_thresholds():
    found = below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=0.5, live_above=1.5)
    assert (found.dead.tolist(), found.live.tolist()) == ([[0, 0]], [[1, 1]])
    with pytest.raises(ValueError, match=r"`dead_below` \(=2\) must be below `live_above` \(=1\)"):
        below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=2, live_above=1)
    with pytest.raises(ValueError, match="no phase qualifies"):
        below_and_above(lattice([[1, 2], [2, 4]], 2), dead_below=0.1, live_above=1)


def test_share_thresholds_are_not_met_by_what_equals_them():
    """Phases 0.5, 1, 1, 1.5 of the mean."""
    found = below_and_above(lattice([[1, 2], [2, 3]], 2), dead_below=1, live_above=1.2)
    assert arms(found) == ([(0, 0)], [(1, 1)])
    for thresholds in ({"dead_below": 0.5, "live_above": 1}, {"dead_below": 1, "live_above": 1.5}):
        with pytest.raises(ValueError, match=r"no phase qualifies; phases span 0.5 to 1.5"):
            below_and_above(lattice([[1, 2], [2, 3]], 2), **thresholds)
    with pytest.raises(ValueError, match="must be below"):
        below_and_above(lattice([[1, 2], [2, 3]], 2), dead_below=1, live_above=1)


def test_share_thresholds_of_a_patch_are_of_its_mean():
    """2 x 2 patches on a lattice of 3 whose middle row counts four times: the mean row is 2, covered ones 2.5 or 1."""
    found = below_and_above(lattice([[1, 1, 1], [4, 4, 4], [1, 1, 1]], 3), dead_below=0.6, live_above=1.2, size=2)
    assert arms(found) == ([(2, c) for c in range(3)], [(r, c) for r in range(2) for c in range(3)])


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
    """A patch reaches right and down from its top left; beyond the last phase follows the first."""
    np.testing.assert_array_equal(patch_sum(np.array([[1.0, 2], [3, 4]]), 2), np.full((2, 2), 10))
    found = patch_sum(np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]), 2)
    np.testing.assert_array_equal(found, [[12, 16, 14], [24, 28, 26], [18, 22, 20]])


@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 99))
def test_patch_sum_is_a_sum_over_the_patch(period, size, seed):
    phases = np.random.default_rng(seed).random((period, period))
    found = patch_sum(phases, size)
    for row, column in np.ndindex(period, period):
        covered = [phases[(row + r) % period, (column + c) % period] for r, c in np.ndindex(size, size)]
        assert found[row, column] == pytest.approx(sum(covered))


def test_a_patchs_arms_are_told_by_its_top_left():
    """One live phase, at (2, 3) of 4: a 2 x 2 patch meets it from (1, 2) on."""
    phases = np.zeros((4, 4))
    phases[2, 3] = 1
    live = arms(choose(lattice(phases, 4), size=2))[1]
    assert sorted(live) == [(1, 2), (1, 3), (2, 2), (2, 3)]


def test_anywhere_is_everywhere_in_both_arms():
    found = anywhere(3)
    assert sorted(arms(found)[0]) == sorted(arms(found)[1]) == sorted(np.ndindex(3, 3))
    assert (found.period, found.balanced) == (3, True)


def test_the_patch_of_a_flat_object_has_its_rows_and_columns():
    """A lattice of rows alone, 0 to 3: a patch of 1 x 9 tells them apart nine times, one of 4 x 4 not at all."""
    rows = np.repeat(np.arange(4.0)[:, None], 4, 1)
    np.testing.assert_array_equal(patch_sum(rows, (1, 9)), 9 * rows)
    np.testing.assert_array_equal(patch_sum(rows, (2, 1)), rows + np.roll(rows, -1, 0))
    np.testing.assert_array_equal(patch_sum(rows, 4), np.full((4, 4), 24))
