"""Quantities of an observation: by hand, by symmetry, at floor and ceiling."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from toyseen import PINNED, observed

from perturb.errors import UsageError
from perturb.kinds import load_kind
from perturb.quantities import KINDS
from perturb.quantities.detection import (
    ACCURACY_LOSS,
    ACCURACY_LOSS_2AFC,
    CEILING,
    FLIP_RATE,
    FLOOR,
    FLOOR_2AFC,
    MISS_RATE,
    Paired,
    at_floor,
    at_floor_or_ceiling,
    constant_answer,
    detected,
    measured,
    saturation,
    told_apart,
)
from perturb.quantities.measures import curve, free_response, measures
from perturb.quantities.of_map import DEAD_SHARE, IMBALANCE
from perturb.quantities.statistics import by_photograph, mean_effect, rate, share_effect
from perturb.records import CLEAN_LIVE, Contribution, OperatingPoint
from perturb.stats.betting import betting_interval
from perturb.stats.proportion import wilson

LABELS = OperatingPoint(false_alarms=None, clean="right", chance=0.25)
PRESENCE = OperatingPoint(false_alarms=None, clean="absent", chance=0.5)
INTENSITY = OperatingPoint(false_alarms=None, clean="none", chance=0.25)


def effect(quantity, seen, confidence=0.95):
    return quantity.effect(seen, None, confidence=confidence, seed=0)


def test_detected_is_evidence_above_the_threshold_and_not_at_it():
    seen = observed([[0.5, 0.6]], [[0.4, 0.7]], clean=[[0.5, 9.0]])
    assert detected(seen, "dead").tolist() == [[[[0, 1]]]]
    assert detected(seen, "live").tolist() == [[[[0, 1]]]]
    assert detected(seen, "clean").tolist() == [[[[0, 1]]]]


def test_told_apart_counts_a_tie_half():
    seen = observed([[0.1, 0.2, 0.3]], [[1, 1, 1]], clean=[[0.2, 0.2, 0.2]])
    assert told_apart(seen, "dead").tolist() == [[[[0, 0.5, 1]]]]
    assert told_apart(seen, "live").tolist() == [[[[1, 1, 1]]]]


def test_the_loss_is_live_minus_dead_over_photographs():
    """Two crops of photograph 0 lose 1 and 0, photograph 1 loses 1/2: the mean over photographs is 1/2."""
    seen = observed([[0, 0], [1, 1], [0, 1]], [[1, 1], [1, 1], [1, 1]], photograph=[0, 0, 1])
    found = effect(ACCURACY_LOSS, seen)
    assert (found.value, found.n) == (0.5, 2)


def test_the_interval_of_the_loss_is_the_betting_one(rng):
    dead, live = rng.random((12, 4)), rng.random((12, 4)) + 0.3
    loss = ((live > 0.5).astype(float) - (dead > 0.5)).mean(1)
    found = effect(ACCURACY_LOSS, observed(dead, live), confidence=0.9)
    assert (found.low, found.high) == betting_interval(loss, (-1, 1), 0.9)
    assert (found.method, found.spread) == ("betting over 12 photographs", pytest.approx(loss.std(ddof=1)))


def test_a_share_has_the_interval_of_its_range():
    seen = observed([[0, 1], [0, 0], [1, 1]], [[1, 1], [1, 1], [1, 1]])
    found = effect(MISS_RATE, seen)
    assert (found.value, found.low, found.high) == (0.5, *betting_interval(np.array([0.5, 1, 0]), (0, 1), 0.95))


def test_differences_of_shares_are_limited_and_others_are_not():
    """The same numbers as a score and as a squared change: 1, 1 and 0; without bounds it is Student's, for reading."""
    three = np.zeros((1, 1, 3, 1, 3))
    three[..., 2] = [[1], [1], [0]]
    seen = observed([[0], [0], [1]], [[1], [1], [1]], score=three, squared_change=three)
    found = {m.name: m.difference for m in measures(seen, seed=0)}
    ends = stats.t.interval(0.95, 2, 2 / 3, stats.sem([1, 1, 0]))
    assert (found["squared-change"].low, found["squared-change"].high) == pytest.approx(ends)
    assert found["squared-change"].method == "t over 3 clusters"
    assert found["score"].high == found["detected"].high == betting_interval(np.array([1, 1, 0]), (-1, 1), 0.95)[1] < 1


def test_a_difference_may_have_either_sign():
    assert (ACCURACY_LOSS.range, MISS_RATE.range) == ((-1, 1), (0, 1))


@pytest.mark.parametrize("seeds", [1, 3])
def test_swapping_the_arms_flips_every_difference(rng, seeds):
    dead, live, clean = rng.normal(0.5, 1, (3, seeds, 12, 3))
    moved = rng.normal(size=(seeds, 1, 12, 3, 3))
    seen = observed(dead, live, clean, squared_change=moved)
    swapped = observed(live, dead, clean, squared_change=moved[..., [0, 2, 1]])
    for one, other in zip(measures(seen, seed=0), measures(swapped, seed=0), strict=True):
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.difference.low == pytest.approx(-other.difference.high)
        assert (one.dead, one.live, one.clean) == (other.live, other.dead, other.clean)


def test_measures_begin_with_the_share_detected(rng):
    arms = rng.random((3, 8, 2))
    pinned = observed(*arms, squared_change=np.ones((1, 1, 8, 2, 3)))
    assert [m.name for m in measures(pinned, seed=0)] == ["detected", "told-apart", "squared-change"]
    given = replace(pinned, point=PRESENCE)
    first, *others = measures(given, seed=0)
    assert [m.name for m in others] == ["squared-change"]
    assert first.clean == rate(detected(given, "clean")[:, 0], given.photograph)
    asked = measures(observed(*arms[:2], np.nan, point=INTENSITY), seed=0)[0]
    assert asked.clean is None


def test_rates_are_wilsons_over_photographs(rng):
    values = (rng.random((2, 20, 4)) > 0.3).astype(float)
    photograph = np.arange(20) // 2
    found = rate(values, photograph)
    assert (found.low, found.high) == wilson(by_photograph(values, photograph).mean(0), 160, 0.95)
    assert (found.n, found.trials) == (10, 160)


def test_the_interval_is_for_the_seeds_that_were_run():
    """One seed is always right at live places, the other never: the mean of both, and their number is told."""
    dead = np.ones((2, 6, 3))
    live = np.stack([np.ones((6, 3)), np.zeros((6, 3))])
    found = effect(ACCURACY_LOSS, observed(dead, live, point=INTENSITY, clean=np.nan))
    assert (found.value, found.low, found.high) == (-0.5, *betting_interval(np.full(6, -0.5), (-1, 1), 0.95))
    assert found.method == "betting over 6 photographs, for these 2 seeds"


def test_miss_and_flip_rates_are_of_one_arm(rng):
    seen = observed([[0, 0], [0, 1]], [[1, 1], [1, 1]])
    assert effect(MISS_RATE, seen).value == 0.75
    flips = np.zeros((1, 1, 2, 2, 3))
    flips[..., 2] = [[1, 0], [0, 0]]
    assert effect(FLIP_RATE, observed([[1, 1]] * 2, [[1, 1]] * 2, point=LABELS, flips=flips)).value == 0.25


def test_equal_shares_end_at_the_bound():
    found = share_effect(np.zeros((1, 20, 2)), np.arange(20), confidence=0.95)
    assert (found.value, found.low, found.high) == (0, 0, betting_interval(np.zeros(20), (0, 1), 0.95)[1])


def test_the_ceiling_is_of_dead_places_and_the_floor_of_live_ones():
    """Swapping the arms in either rule would change an answer here."""
    rare, often = np.zeros(100), np.ones(100)
    assert saturation(often, rare, FLOOR) == ""
    assert saturation(rare, often, FLOOR) == "floor"
    assert saturation(often, often, FLOOR) == "ceiling"
    above = np.r_[np.ones(99), 0]
    assert above.mean() > CEILING
    assert saturation(rare + 0.9, above, FLOOR) == "ceiling"
    assert saturation(above, rare + 0.9, FLOOR) == ""


@pytest.mark.parametrize(
    ("live", "dead", "expected"), [(0.49, 0, "floor"), (0.5, 0, ""), (1, 0.98, ""), (1, 0.99, "ceiling")]
)
def test_pinned_saturation_at_its_limits(live, dead, expected):
    count = 100
    seen = observed((np.arange(count) < dead * count)[:, None], (np.arange(count) < live * count)[:, None])
    assert at_floor_or_ceiling(seen) == expected
    assert effect(ACCURACY_LOSS, seen).saturated == expected


@pytest.mark.parametrize(("live", "expected"), [(0.74, "floor"), (0.76, "")])
def test_the_floor_of_a_choice_lies_half_way_from_chance_to_certainty(live, expected):
    assert FLOOR_2AFC == 0.75
    won = np.arange(100) < live * 100
    seen = observed(np.zeros((100, 1)), won[:, None], clean=np.full((100, 1), 0.5))
    assert effect(ACCURACY_LOSS_2AFC, seen).saturated == expected


def test_coins_told_from_their_twin_are_at_the_floor(rng):
    """A visible change that tells nothing is no small loss."""
    found = effect(ACCURACY_LOSS_2AFC, observed(*rng.random((3, 40, 8))))
    assert found.saturated == "floor"


def test_an_answer_that_is_always_yes_is_at_the_floor():
    """It is right wherever something is, and wrong wherever nothing is: one such training of two is enough."""
    yes, no = np.ones((1, 50, 3)), np.zeros((1, 50, 3))
    knows = observed(yes, yes, no, point=PRESENCE)
    always = observed(yes, yes, yes, point=PRESENCE)
    both = observed(np.r_[yes, yes], np.r_[yes, yes], np.r_[no, yes], point=PRESENCE)
    assert [at_floor_or_ceiling(seen) for seen in (knows, always, both)] == ["ceiling", "floor", "floor"]


def test_an_answer_that_is_always_the_same_knows_nothing_of_labels():
    """Right in a quarter of the pictures, with the perturbation and without."""
    right = (np.arange(40) % 4 == 0)[:, None] * np.ones((40, 3))
    seen = observed(right, right, right, point=LABELS, flips=np.zeros((1, 1, 40, 3, 3)))
    found = effect(FLIP_RATE, seen)
    assert (found.value, found.saturated) == (0, "floor")


@pytest.mark.parametrize(("right", "expected"), [(0.43, "floor"), (0.44, "")])
def test_the_floor_of_a_task_is_a_quarter_of_the_way_from_chance(right, expected):
    """Chance 1/4: the floor is 1/4 + 3/16 = 0.4375."""
    answers = (np.arange(100) < 100 * right)[:, None]
    assert at_floor(observed(answers, answers, np.nan, point=INTENSITY)) == expected


def test_quantities_of_the_map():
    lattice = Contribution(values=np.array([[1.0, 2], [2, 4]]), kind="structural", layer="output", period=2)
    ratio = IMBALANCE.effect(None, lattice, confidence=0.95, seed=0)
    assert (ratio.value, ratio.low, ratio.high, ratio.method) == (4, 4, 4, "exact")
    assert DEAD_SHARE.effect(None, lattice, confidence=0.95, seed=0).value == 0.25
    blind = replace(lattice, values=np.array([[0.0, 1], [1, 1]]))
    assert IMBALANCE.effect(None, blind, confidence=0.95, seed=0).value == 1e308
    measured_map = replace(lattice, kind="energy", values=np.tile(lattice.values, (8, 8)), images=5)
    found = IMBALANCE.effect(None, measured_map, confidence=0.95, seed=0)
    assert (found.method, found.n) == ("as measured", 5)


def test_a_curve_has_a_rate_for_each_level():
    low, high = observed([[0, 0]] * 4, [[0, 1]] * 4), observed([[0, 1]] * 4, [[1, 1]] * 4)
    both = replace(low, evidence=np.concatenate([low.evidence, high.evidence], 1), levels=(0.1, 0.2))
    assert [r.value for r in curve(both, "live")] == [0.5, 1]
    assert [r.value for r in curve(both, "dead")] == [0, 0.5]


def test_anybodys_paired_value():
    """Differences beyond the limit count as the limit; without one nothing can be claimed."""
    quantity = Paired(value=measured("area"), version=1, words="area lost", limit=5.0)
    area = np.zeros((1, 1, 4, 2, 3))
    area[..., 2], area[..., 1] = 7, 4
    found = effect(quantity, observed(np.ones((4, 2)), np.ones((4, 2)), area=area))
    assert (found.value, found.saturated) == (3, "")
    assert found.low < 3 < found.high <= 5
    area[..., 2] = 70
    assert effect(quantity, observed(np.ones((4, 2)), np.ones((4, 2)), area=area)).value == 5
    assert quantity.misfit(PINNED) == ""
    assert "no interval holds for a mean without bounds" in replace(quantity, limit=np.inf).misfit(PINNED)


def test_every_kind_says_what_it_is_and_where_it_fits():
    kinds = {name: load_kind(name, KINDS) for name in KINDS}
    assert all(kind.words and kind.version >= 1 and kind.range[0] < kind.range[1] for kind in kinds.values())
    fits = {
        point.clean + str(point.false_alarms): [n for n, k in kinds.items() if not k.misfit(point)]
        for point in (PINNED, PRESENCE, LABELS, INTENSITY)
    }
    levels = ["a50", "a90", "a90-95", "penalty-db"]
    of_map = ["imbalance", "dead-share", "unread-share"]
    assert fits == {
        "absent0.05": ["accuracy-loss", "accuracy-loss-2afc", "miss-rate", "worst-phase", *levels, *of_map],
        "absentNone": ["accuracy-loss", "worst-phase", *levels, *of_map],
        "rightNone": ["flip-rate", *of_map],
        "noneNone": ["accuracy-loss", "worst-phase", *of_map],
    }


def test_the_mean_effect_is_signed_and_limited():
    table = np.array([[-1.0, -1, -1, 1]])
    found = mean_effect(table, confidence=0.95, seed=0, limit=1)
    assert (found.value, found.low, found.n) == (-0.5, betting_interval(table[0], (-1, 1), 0.95)[0], 4)


def test_a_measure_that_the_evaluator_lacks_is_one_line():
    with pytest.raises(UsageError, match="measures no 'flips'"):
        FLIP_RATE.effect(observed([[1.0]], [[1.0]]), None, confidence=0.95, seed=0)


def test_clean_pictures_are_asked_at_both_places():
    """The false alarms of a pair are the mean over its two places, and each arm has its own twin."""
    seen = observed([[1.0]], [[1.0]], [[0.0]])
    evidence = seen.evidence.copy()
    evidence[..., CLEAN_LIVE] = 2
    seen = replace(seen, evidence=evidence)
    assert detected(seen, "clean").tolist() == [[[[0.5]]]]
    assert told_apart(seen, "dead").tolist() == [[[[1.0]]]]
    assert told_apart(seen, "live").tolist() == [[[[0.0]]]]


def test_the_best_constant_answer_is_that_asked_for_most_often():
    seen = observed(np.ones((4, 3)), np.ones((4, 3)), point=INTENSITY)
    seen = replace(seen, truth=np.broadcast_to([0, 1, 0], (1, 4, 3)))
    assert constant_answer(seen) == pytest.approx(2 / 3)


def test_a_constant_answer_is_at_the_floor_where_classes_are_asked_unevenly():
    """Two classes, three pairs: it is right in two of three, half-way from the chance of 1/2 to certainty and more."""
    right = np.broadcast_to([1.0, -1, 1], (30, 3))
    seen = observed(right, right, np.nan, point=INTENSITY, threshold=0.0)
    seen = replace(seen, truth=np.broadcast_to([0, 1, 0], (1, 30, 3)))
    assert at_floor(seen) == "floor"


def test_free_response_by_hand():
    """Four pictures with one alarm of 1, 2, 3 and 4: one in four pictures is above 3, two above 2."""
    alarms = np.full((1, 4, 8), -np.inf)
    alarms[0, :, 0] = [1, 2, 3, 4]
    seen = observed(np.array([[2.5], [2.5], [3.5], [1.5]]), np.array([[3.5], [3.5], [2.5], [0.5]]))
    rows = free_response(replace(seen, alarms=alarms))
    assert [row.false_alarms for row in rows] == [0.25, 0.5, 1.0]  # then there are no more
    assert [row.measured for row in rows[:2]] == [0.25, 0.5]
    assert [row.threshold for row in rows] == [3, 2, 0]
    assert [row.dead.value for row in rows] == [0.25, 0.75, 1]
    assert [row.live.value for row in rows] == [0.5, 0.75, 1]
    assert free_response(seen) == ()
