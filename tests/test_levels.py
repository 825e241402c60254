"""Detection against level: fitted curves, bounds of a50 and a90, the penalty of dead places, claims."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta
from toyseen import PINNED

from perturb.quantities import KINDS
from perturb.quantities.level_table import level_table
from perturb.quantities.levels import A50, A90, A90_95, PENALTY_DB, OfLevels, answers, curve_of, own_level
from perturb.quantities.of_map import LARGEST
from perturb.records import Claim, Contribution, Observation, Verdict
from perturb.stats.betting import betting_interval
from perturb.stats.detection_curve import fit_curve, level_of, probability
from perturb.stats.levels import bounds, clusters_needed, reversals, rises
from perturb.verdict import Question, judge

LEVELS = tuple(float(level) for level in np.geomspace(1 / 16, 1, 9))
DOSES = np.array([1.0, 2, 4, 8, 16, 32])
MAP = Contribution(values=np.ones((2, 2)) / 4, kind="structural", layer="0", period=2)


def seen_at(dead, live, *, own=None, clean=0.0, levels=LEVELS):
    """Detection by [level, photograph, pair], 1 or 0; `own` is that at the check's own level, else nothing is seen."""
    dead, live = (np.asarray(arm, dtype=float) for arm in (dead, live))
    own = np.zeros((1, *dead.shape[1:])) if own is None else np.asarray(own)[None]
    arms = [np.concatenate([own, arm]) for arm in (dead, live)]
    blank = np.broadcast_to(np.asarray(clean, dtype=float), arms[0].shape)
    evidence = np.stack([blank, *arms, blank], -1)[None]
    images = dead.shape[1]
    return Observation(
        evidence=evidence,
        realised=np.ones_like(evidence),
        threshold=np.full((1, images), 0.5),
        measures={},
        levels=(0.3, *levels),
        photograph=np.arange(images),
        point=PINNED,
        truth=np.ones((1, *dead.shape[1:]), dtype=int),
    )


def steps(at, *, photographs=60, pairs=2):
    """Everything is detected from level number `at` on, nothing below."""
    seen = np.zeros((len(LEVELS), photographs, pairs))
    seen[at:] = 1
    return seen


def effect(quantity, seen, confidence=0.95):
    return quantity.effect(seen, MAP, confidence=confidence, seed=0)


def verdict(name, quantity, seen, at_most):
    claim = Claim(quantity=name, at_most=at_most, confidence=0.95)
    question = Question(
        check=name, claim=claim, effect_at=lambda c: effect(quantity, seen, c), bounds=quantity.range, supply=2
    )
    (found,) = judge([question])
    return found


@pytest.mark.parametrize(
    ("dead", "at"),
    [((0, 2, 6, 10, 12, 16), (2.091450, 3.303997, 4.516545))],
)
def test_the_curve_of_the_tobacco_budworm(dead, at):
    """Female moths, 20 at each dose, on log2 of the dose: Venables and Ripley (2002), section 7.2."""
    curve = fit_curve(DOSES, np.array(dead) / 20, np.full(6, 20.0), 0.0, lapses=(0.0,))
    found = [math.log2(level_of(curve, share)) for share in (0.25, 0.5, 0.75)]
    np.testing.assert_allclose(found, at, atol=1.1e-6)


def test_guesses_and_lapses_bound_the_curve():
    """The level of a share is where the curve has it; beyond guess and 1 - lapse there is none."""
    levels = np.geomspace(0.01, 1, 25)
    truth = fit_curve(levels, 0.1 + 0.85 / (1 + (0.1 / levels) ** 3), np.full(25, 1e5), 0.1)
    assert (truth.guess, truth.lapse) == (0.1, 0.05)
    np.testing.assert_allclose([truth.slope, -truth.intercept / truth.slope], [3, math.log(0.1)], rtol=1e-4)
    np.testing.assert_allclose(probability(truth, np.array([level_of(truth, 0.9)])), 0.9)
    assert level_of(truth, 0.1) is None
    assert level_of(truth, 0.96) is None
    assert level_of(replace(truth, slope=-1.0), 0.5) is None


def test_a_curve_needs_two_levels():
    with pytest.raises(ValueError, match="at least 2"):
        fit_curve(np.array([0.5]), np.array([0.5]), np.array([9.0]), 0.0)


def test_bounds_are_those_of_the_betting_interval():
    """A level counts as detected where its interval lies at the share or above, and as missed where below."""
    rng = np.random.default_rng(0)
    table = rng.binomial(8, np.linspace(0.3, 0.99, 9)[:, None], (9, 60)) / 8
    for share in (0.5, 0.9):
        ends = [betting_interval(row, (0, 1), 0.9) for row in table]
        low, high = bounds(LEVELS, table, share, 0.05)
        below = next((i for i, (_, top) in enumerate(ends) if top >= share), 9)
        above = 9 - next((i for i, (bottom, _) in enumerate(ends[::-1]) if bottom < share), 9)
        assert (low, high) == ((0.0, *LEVELS)[below], (*LEVELS, math.inf)[above])
        assert 0 < low < high <= 1


def test_a_level_above_that_is_not_shown_ends_the_sequence():
    """From the top down, until the first that fails: what lies below is not looked at. From the bottom up alike."""
    table = np.ones((9, 60))
    table[4, :20] = 0
    assert bounds(LEVELS, table, 0.9, 0.05) == (0.0, LEVELS[5])
    assert bounds(LEVELS, 1 - table, 0.5, 0.05) == (LEVELS[3], math.inf)
    table[-1, :20] = 0
    assert bounds(LEVELS, table, 0.9, 0.05)[1] == math.inf


@pytest.mark.parametrize(
    ("share", "error", "bets", "exact"), [(0.9, 0.05, 33, 29), (0.9, 0.0125, 46, 42), (0.5, 0.05, 5, 5)]
)
def test_how_many_photographs_without_a_miss_are_enough(share, error, bets, exact):
    """The exact rule for one trial each is 29 of 29 for a90/95 (MIL-HDBK-1823A); bets, which hedge, take 33."""
    assert clusters_needed(share, error) == bets
    assert math.ceil(math.log(error) / math.log(share)) == exact
    for count, high in ((bets, LEVELS[0]), (bets - 1, math.inf)):
        assert bounds(LEVELS, np.ones((9, count)), share, error)[1] == high


def test_bets_never_show_what_the_exact_interval_does_not():
    """One trial on each photograph: Clopper and Pearson (1934) are then exact, and a90/95 by bets is never lower."""
    shown = 0
    for n in range(29, 120):
        for missed in range(8):
            table = np.ones((1, n))
            table[0, :missed] = 0
            by_bets = bounds((0.5,), table, 0.9, 0.05)[1] == 0.5
            exact = beta.ppf(0.05, n - missed, missed + 1) >= 0.9
            assert exact or not by_bets
            shown += by_bets
    assert shown > 100


def simulated(rng, chances, *, runs, photographs, trials, alike):
    """Detection by [run, level, photograph]: beta-binomial, one place of each photograph in the distribution."""
    if alike == 0:
        drawn = np.broadcast_to(chances[:, None], (runs, len(chances), photographs))
    else:
        weight = (1 - alike) / alike
        drawn = rng.beta(chances * weight, (1 - chances) * weight, (runs, photographs, len(chances))).swapaxes(1, 2)
    return rng.binomial(trials, drawn) / trials


BLIND = 0.05


@pytest.mark.parametrize("kind", ["alike", "differ", "some are blind"])
def test_a90_95_is_below_the_true_a90_one_time_in_twenty(kind):
    """1,000 runs, 80 photographs: 5 % and three standard errors. The true a90 lies just above a tested level."""
    rng, runs = np.random.default_rng(0), 1000
    levels = np.array(LEVELS)
    if kind == "some are blind":
        chances = np.where(levels > 0.2, 0.899 / 0.95, 0.3)
        table = simulated(rng, chances, runs=runs, photographs=80, trials=8, alike=0.0)
        table *= rng.random((runs, 1, 80)) >= BLIND
    else:
        chances = np.where(levels > 0.2, 0.899, 0.3)
        table = simulated(rng, chances, runs=runs, photographs=80, trials=8, alike=0.3 * (kind == "differ"))
    wrong = np.isfinite(bounds(LEVELS, table, 0.9, 0.05)[1]).mean()
    assert wrong <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_photographs_that_are_detected_do_show_a90_95():
    """The bound is of use: 80 photographs with 8 trials, of which 99 % are detected from 0.25 on, show it."""
    rng = np.random.default_rng(0)
    table = simulated(rng, np.where(np.array(LEVELS) > 0.2, 0.99, 0.3), runs=300, photographs=80, trials=8, alike=0.1)
    low, high = bounds(LEVELS, table, 0.9, 0.05)
    assert (high == LEVELS[4]).mean() > 0.8
    assert (low == LEVELS[3]).mean() > 0.99


def test_the_penalty_lies_in_its_interval():
    """500 runs in which dead places need twice the level; each end takes one end of either arm."""
    rng, runs, truth = np.random.default_rng(0), 500, 20 * math.log10(2)
    levels = np.array(LEVELS)
    arms = [1 / (1 + 9 ** (-np.log(levels / half) / math.log(2))) for half in (0.25, 0.125)]  # a90: 0.5, 0.25
    tables = [simulated(rng, arm, runs=runs, photographs=100, trials=8, alike=0.1) for arm in arms]
    (dead_low, dead_high), (live_low, live_high) = (bounds(LEVELS, table, 0.9, 0.0125) for table in tables)
    with np.errstate(divide="ignore"):
        low, high = 20 * np.log10(dead_low / live_high), 20 * np.log10(dead_high / live_low)
    inside = ((low <= truth) & (truth <= high)).mean()
    assert inside >= 0.95 - 3 * (0.05 * 0.95 / runs) ** 0.5
    assert np.isfinite(high).mean() > 0.5


def test_detection_that_does_not_depend_on_the_level_has_no_a90():
    rng = np.random.default_rng(0)
    seen = seen_at(*rng.binomial(1, 0.6, (2, 9, 60, 4)), clean=0)
    table = level_table(seen, MAP, seed=0)
    assert table.dead.fit is None
    assert table.dead.a90.value is None
    assert table.dead.surely is None
    assert table.warnings == ()
    assert table.penalty.saturated == "floor"


def test_a_rise_is_shown_from_the_lowest_to_the_highest_level():
    assert rises(np.array([[0.0] * 6, [1.0] * 6]), 0.05)
    assert not rises(np.array([[0.0] * 4, [1.0] * 4]), 0.05)
    assert not rises(np.array([[1.0] * 60, [0.0] * 60]), 0.05)


def test_everything_detected_everywhere_is_at_or_below_the_lowest_level():
    """No curve can be fitted, but the bound stands; the penalty says nothing."""
    seen = seen_at(np.ones((9, 60, 2)), np.ones((9, 60, 2)))
    found = level_table(seen, MAP, seed=0)
    assert found.dead.fit is None
    assert (found.dead.a90.low, found.dead.a90.value, found.dead.a90.high) == (0, LEVELS[0], LEVELS[0])
    assert found.penalty.saturated == "ceiling"
    assert (found.penalty.low, found.penalty.high) == (-LARGEST, LARGEST)
    assert verdict("a90-95", A90_95, seen, LEVELS[0]).verdict == Verdict.PASS
    assert verdict("penalty-db", PENALTY_DB, seen, 60).verdict == Verdict.INCONCLUSIVE


def test_a_step_has_its_penalty_between_two_pairs_of_levels():
    """Dead places see from level 6 on, live ones from level 2 on, 3 dB apart: 12 dB, give or take a step of each."""
    found = effect(PENALTY_DB, seen_at(steps(6), steps(2)))
    step = 20 * math.log10(LEVELS[1] / LEVELS[0])
    np.testing.assert_allclose([found.low, found.high], [3 * step, 5 * step])
    assert found.value == pytest.approx(4 * step, abs=0.1 * step)
    assert (found.n, found.confidence, found.saturated) == (60, 0.95, "")


@pytest.mark.parametrize(
    ("name", "quantity", "limit"), [("a50", A50, LEVELS[6]), ("a90", A90, LEVELS[6]), ("a90-95", A90_95, LEVELS[6])]
)
def test_a_claim_about_a_level_is_decided_by_its_interval(name, quantity, limit):
    """Everything is seen from level 6 on: at most that passes; less than level 5, where nothing is seen, fails."""
    seen = seen_at(steps(6), steps(2))
    assert verdict(name, quantity, seen, limit).verdict == Verdict.PASS
    short = verdict(name, quantity, seen, LEVELS[6] - 1e-9)
    assert (short.verdict, short.needed) == (Verdict.INCONCLUSIVE, None)
    assert verdict(name, quantity, seen, LEVELS[5]).verdict == Verdict.INCONCLUSIVE
    assert verdict(name, quantity, seen, LEVELS[5] - 1e-9).verdict == Verdict.FAIL


def test_a90_95_is_one_sided():
    """33 photographs show it at 0.95; a two-sided a90 takes 40. Its value is the bound."""
    seen = seen_at(steps(6, photographs=33), steps(2, photographs=33))
    bound, both = effect(A90_95, seen), effect(A90, seen)
    assert (bound.value, bound.low, bound.high, bound.confidence) == pytest.approx(
        (LEVELS[6], LEVELS[5], LEVELS[6], 0.9)
    )
    assert both.high == LARGEST
    assert "0.05 of the time" in verdict("a90-95", A90_95, seen, 0.9).reason


def test_what_is_not_shown_never_passes():
    """Too few photographs, or a share that is never reached: no upper end, which JSON holds as 1e308."""
    few = seen_at(steps(6, photographs=20), steps(2, photographs=20))
    never = seen_at(np.zeros((9, 60, 2)), steps(2))
    for seen in (few, never):
        for name in ("a90", "a90-95", "penalty-db"):
            quantity = {"a90": A90, "a90-95": A90_95, "penalty-db": PENALTY_DB}[name]
            assert effect(quantity, seen).high == LARGEST
            assert verdict(name, quantity, seen, max(quantity.margins)).verdict != Verdict.PASS
    assert effect(PENALTY_DB, never).value == LARGEST
    assert verdict("penalty-db", PENALTY_DB, never, 3).verdict == Verdict.FAIL
    assert verdict("penalty-db", PENALTY_DB, few, 3).needed is None


def test_the_arms_share_the_error_of_the_penalty():
    """Each end of either arm has a quarter of the error: 46 photographs without a miss give an upper end, 45 do not."""
    few, enough = (seen_at(steps(6, photographs=n), steps(2, photographs=n)) for n in (45, 46))
    assert effect(PENALTY_DB, few).high == LARGEST
    assert effect(PENALTY_DB, enough).high < LARGEST


def test_a_level_beyond_those_tried_is_not_reached():
    """0.78 is detected at the highest level: the curve would reach 9 of 10 above it, where nothing is tried."""
    shares = 1 / (1 + (0.65 / np.array(LEVELS)) ** 3)
    seen = np.broadcast_to(np.arange(100) < np.round(100 * shares)[:, None, None], (9, 60, 100))
    found = level_table(seen_at(seen, seen), MAP, seed=0).dead
    assert level_of(found.fit, 0.9) > 1
    assert found.a90.value is None
    assert found.a50.value == pytest.approx(0.65, rel=0.02)


def test_dead_places_that_beat_live_ones_have_a_negative_penalty():
    found = effect(PENALTY_DB, seen_at(steps(2), steps(6)))
    assert found.high < 0
    unseen = effect(PENALTY_DB, seen_at(steps(2), np.zeros((9, 60, 2))))
    assert (unseen.value, unseen.saturated) == (-LARGEST, "floor")


def test_a_value_outside_the_interval_is_moved_into_it():
    """A curve with two steps is no logistic one: the bound assumes none, so it is kept, and the record says so."""
    dead = steps(8)
    dead[2:8, :, 0] = 1  # one of two pairs from level 2 on, both at the highest alone
    found = level_table(seen_at(dead, steps(2)), MAP, seed=0).dead
    assert found.a90.low <= found.a90.value <= found.a90.high
    assert found.a90.low == LEVELS[7]
    assert found.a90.moved == (level_of(found.fit, 0.9) is None or level_of(found.fit, 0.9) < LEVELS[7])


def test_a_fall_of_detection_is_told():
    """Less at a higher level contradicts the assumption; noise does not."""
    dead = steps(2)
    dead[5, :30] = 0
    (told,) = level_table(seen_at(dead, steps(2)), MAP, seed=0).warnings
    assert "at dead places less is detected at level 0.354 than at 0.125 (0.50 and 1.00)" in told
    assert reversals(np.array([[1.0, 0.0] * 30, [0.0, 0.9] * 30]), 0.05) == []
    assert reversals(np.array([[1.0] * 60, [0.0] * 60]), 0.05) == [(0, 1)]


def test_pairs_of_levels_share_one_error():
    """Six photographs show a fall between two levels, not one among the 36 pairs of nine levels; twelve do."""
    fall = np.array([[1.0], [0.0]])
    nine = np.concatenate([fall, np.ones((7, 1))])
    assert reversals(fall.repeat(6, 1), 0.05) == [(0, 1)]
    assert reversals(nine.repeat(6, 1), 0.05) == []
    assert reversals(nine.repeat(12, 1), 0.05) == [(0, 1)]


def test_false_alarms_are_the_guesses():
    """Those of the clean twins, at the own level: detection of a tenth at the lowest level is no detection."""
    rng = np.random.default_rng(1)
    clean = np.broadcast_to(rng.random((60, 4)) < 0.1, (10, 60, 4))
    arms = np.maximum(np.repeat(steps(5), 2, 2), clean[:9])
    arm = answers(seen_at(arms, arms, clean=clean), "dead")
    assert arm.guess == pytest.approx(clean[0].mean())
    assert curve_of(arm).guess == arm.guess
    assert curve_of(replace(arm, guess=1.0)) is None


def test_the_own_level_is_kept_apart():
    """What is read at one level does not see the others, and the curve does not see that one."""
    seen = seen_at(steps(6), steps(2), own=np.ones((60, 2)))
    assert own_level(seen).levels == (0.3,)
    assert own_level(seen).evidence.shape[1] == 1
    assert answers(seen, "dead").levels == LEVELS
    np.testing.assert_array_equal(answers(seen, "dead").shares, [0] * 6 + [1] * 3)


def test_levels_are_of_what_is_to_be_found():
    from perturb.kinds import load_kind

    for name, at in KINDS.items():
        quantity = load_kind(name, KINDS)
        if isinstance(quantity, OfLevels):
            assert at.startswith("perturb.quantities.levels:")
            assert quantity.misfit(PINNED) == ""
            assert "to be found" in quantity.misfit(replace(PINNED, clean="right"))


@pytest.mark.parametrize("name", ["a50", "a90", "a90-95", "penalty-db"])
def test_what_says_yes_to_every_picture_has_no_level(name):
    """Found at every level, with and without the object: that is no detection, whatever was claimed."""
    yes = np.ones((len(LEVELS), 60, 2))
    always = seen_at(yes, yes, own=yes[0], clean=1.0)
    quantity = {"a50": A50, "a90": A90, "a90-95": A90_95, "penalty-db": PENALTY_DB}[name]
    assert verdict(name, quantity, always, 3 if name == "penalty-db" else 1).verdict == Verdict.INCONCLUSIVE
    sound = seen_at(yes, yes, own=yes[0])
    if name != "penalty-db":
        assert verdict(name, quantity, sound, 1).verdict == Verdict.PASS


def test_a_share_that_false_alarms_reach_is_no_detection():
    """6 of 10 clean pictures are reported: half of the objects are "found" at levels at which nothing is seen."""
    alarms = np.arange(5) < 3
    table = np.broadcast_to(alarms, (len(LEVELS), 60, 5)).astype(float).copy()
    table[-1] = 1
    noisy = seen_at(table, table, own=table[0], clean=alarms)
    assert verdict("a50", A50, noisy, 1).verdict == Verdict.INCONCLUSIVE
    assert verdict("a90", A90, noisy, 1).verdict == Verdict.PASS
