"""Every phase in turn: what each photograph is shown, and what a claim about the worst phase makes of it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from toys import network, window
from toyseen import observed

from perturb.errors import InputError, UsageError
from perturb.phases import every_phase, pairs_for
from perturb.plan import plan
from perturb.quantities.by_phase import WORST_PHASE, losses, rates
from perturb.records import Claim, Effect, Images, Verdict
from perturb.stats.betting import betting_interval
from perturb.stats.largest import largest_interval
from perturb.suite import parse_suite
from perturb.trials import Scenes, design
from perturb.verdict import Question, judge


def crops(photographs: int, each: int, side: int = 64, **changes) -> Images:
    count = photographs * each
    given = {
        "pixels": np.zeros((count, 3, side, side), np.float32),
        "photograph": np.repeat(np.arange(photographs), each),
        "crop": np.tile(np.arange(each), photographs),
        "names": tuple(f"p{i}" for i in range(photographs)),
        "digests": tuple(f"d{i}" for i in range(photographs)),
        "source": "toy",
    }
    return Images(**given | changes)


def drawn(images: Images, period: int, pairs: int, **more):
    locations = every_phase(period)
    return design(images, locations, size=1, pairs=pairs_for(images, locations, pairs), seed=0, purpose="t", **more)


@pytest.mark.parametrize("scenes", [None, Scenes()])
@pytest.mark.parametrize("spots", [False, True])
def test_each_photograph_shows_every_phase_equally_often_over_its_crops(scenes, spots):
    at = {"spots": np.full((12, 2), 30)} if spots else {}
    trials = drawn(crops(3, 4, **at), 4, 8, scenes=scenes)
    assert np.array_equal(trials.dead % 4, trials.phase)
    for photograph in range(3):
        here = trials.phase[trials.photograph == photograph].reshape(-1, 2)
        _, count = np.unique(here, axis=0, return_counts=True)
        assert list(count) == [2] * 16


def test_a_pair_of_the_object_design_stays_in_its_cell():
    trials = drawn(crops(2, 2), 4, 8)
    assert np.array_equal(trials.dead // 4, trials.live // 4)


def test_live_places_have_any_phase_whatever_the_dead_one_is():
    trials = drawn(crops(40, 4), 4, 4)
    live = (trials.live % 4).reshape(-1, 2)
    _, count = np.unique(live, axis=0, return_counts=True)
    assert len(count) == 16
    assert count.min() > 20
    assert 10 <= (trials.live % 4 == trials.phase).all(-1).sum() <= 80


def test_a_picture_moves_by_less_than_a_period():
    trials = drawn(crops(2, 2), 4, 8, scenes=Scenes())
    for arm in (trials.dead, trials.live):
        moved = trials.scene - arm
        assert moved.min() >= 0
        assert moved.max() == 3


def test_a_part_of_the_images_is_asked_what_the_whole_asks_it():
    images = crops(3, 4)
    part = replace(images, pixels=images.pixels[4:], photograph=images.photograph[4:], crop=images.crop[4:])
    whole, alone = drawn(images, 4, 8), drawn(part, 4, 8)
    assert np.array_equal(whole.dead[4:], alone.dead)
    assert np.array_equal(whole.live[4:], alone.live)


@pytest.mark.parametrize(
    ("each", "period", "pairs", "wanted"), [(4, 4, 8, 8), (4, 8, 8, 16), (1, 4, 8, 16), (4, 2, 1, 1), (3, 4, 8, 11)]
)
def test_the_number_of_pairs_shows_each_photograph_every_phase(each, period, pairs, wanted):
    assert pairs_for(crops(2, each), every_phase(period), pairs) == wanted


def test_too_many_phases_are_refused_with_a_way_out():
    with pytest.raises(UsageError, match=r"every 32 pixels, and its 1,024 phases .* \[map\] period = 16 or 8"):
        every_phase(32)


def test_an_object_at_the_edge_cannot_move_over_it():
    with pytest.raises(InputError, match="less than a period"):
        drawn(crops(2, 4, spots=np.full((8, 2), 1)), 4, 8, scenes=Scenes())


def seen_at(dead, live, phases=2, **more):
    """An observation whose pairs visit the phases in turn."""
    found = observed(dead, live, **more)
    seeds, _, images, pairs, _ = found.evidence.shape
    phase = np.stack(np.divmod(np.arange(pairs) % phases**2, phases), -1)
    return replace(found, phase=np.broadcast_to(phase, (seeds, images, pairs, 2)))


def test_the_worst_phase_is_measured_against_any_place():
    seen = seen_at([[0, 1, 1, 1]] * 30, [[1, 1, 1, 0]] * 30)
    phases, table = losses(seen)
    assert phases.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert table[:, 0].tolist() == [0.75, -0.25, -0.25, -0.25]
    effect = WORST_PHASE.effect(seen, None, confidence=0.95, seed=0)
    assert effect.value == 0.75
    assert effect.n == 30
    assert effect.among == 4
    assert effect.where == "worst at phase (0, 0); as the largest of 4 it is somewhat too large"
    assert [rate.rate.value for rate in rates(seen)] == [0, 1, 1, 1]


def test_crops_of_a_photograph_are_one_cluster():
    seen = seen_at([[0, 1, 1, 1]] * 30, [[1, 1, 1, 1]] * 30, photograph=np.repeat(np.arange(10), 3))
    assert losses(seen)[1].shape == (4, 10)


def test_several_trainings_are_averaged():
    seen = seen_at([[[0, 1, 1, 1]] * 5, [[1, 1, 1, 1]] * 5], [[[1, 1, 1, 1]] * 5] * 2)
    assert losses(seen)[1][0].tolist() == [0.5] * 5


def test_a_photograph_that_misses_a_phase_is_refused():
    with pytest.raises(InputError, match="each of 4 phases"):
        losses(
            replace(
                seen_at([[0, 1, 1, 1]] * 2, [[1, 1, 1, 1]] * 2),
                photograph=np.array([0, 1]),
                phase=np.array([[[[0, 0], [0, 1], [1, 0], [1, 1]], [[0, 0], [0, 1], [1, 0], [1, 0]]]]),
            )
        )


def judged(seen, margin):
    def effect_at(confidence):
        return WORST_PHASE.effect(seen, None, confidence=confidence, seed=0)

    claim = Claim(quantity="worst-phase", at_most=margin, confidence=0.95)
    return judge([Question(check="c", claim=claim, effect_at=effect_at)])[0]


def test_one_bad_phase_fails_and_is_named():
    found = judged(seen_at([[1, 1, 0, 1]] * 60, [[1, 1, 1, 1]] * 60), 0.2)
    assert found.verdict == Verdict.FAIL
    assert "worst at phase (1, 0)" in found.reason


def test_every_phase_alike_passes_where_some_places_are_missed():
    rng = np.random.default_rng(0)
    dead, live = rng.random((2, 200, 16)) < 0.95
    assert judged(seen_at(dead, live), 0.2).verdict == Verdict.PASS


def test_a_model_that_is_blind_at_every_phase_does_not_pass():
    found = judged(seen_at(np.zeros((200, 4)), np.zeros((200, 4))), 0.2)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "floor" in found.reason


def test_a_fail_of_one_phase_among_many_needs_more_photographs():
    def needed(among):
        effect = Effect(value=0.5, low=0.1, high=0.9, n=5, method="betting", confidence=0.95, spread=0.2, among=among)
        claim = Claim(quantity="worst-phase", at_most=0.2, confidence=0.95)
        return judge([Question(check="c", claim=claim, effect_at=lambda confidence: effect)])[0].needed

    assert needed(64).photographs > needed(1).photographs


# Intervals of the largest mean


def test_one_mean_has_its_own_interval():
    row = np.random.default_rng(1).uniform(-1, 1, 25)
    assert largest_interval(row[None], (-1, 1), 0.95) == pytest.approx(betting_interval(row, (-1, 1), 0.95))


def test_the_lower_end_is_never_below_that_of_bonferroni():
    rng = np.random.default_rng(2)
    for _ in range(4):
        table = rng.choice([-1.0, 0.0, 1.0], (16, 40), p=[0.1, 0.5, 0.4])
        bonferroni = max(betting_interval(row, (-1, 1), 1 - 0.05 / 16)[0] for row in table)
        assert largest_interval(table, (-1, 1), 0.95)[0] >= bonferroni - 1e-9


def test_many_equal_rows_cost_nothing():
    row = np.random.default_rng(3).choice([0.0, 1.0], 30)
    table = np.tile(row, (16, 1))
    assert largest_interval(table, (-1, 1), 0.95) == pytest.approx(betting_interval(row, (-1, 1), 0.95))


def test_a_worse_outcome_never_lowers_an_end():
    rng = np.random.default_rng(4)
    table = rng.uniform(-1, 0.9, (4, 20))
    worse = table.copy()
    worse[2, 5] += 0.1
    for before, after in zip(
        largest_interval(table, (-1, 1), 0.95), largest_interval(worse, (-1, 1), 0.95), strict=True
    ):
        assert after >= before - 1e-12


def test_values_outside_the_bounds_are_refused():
    with pytest.raises(ValueError, match="must lie within"):
        largest_interval(np.full((2, 3), 2.0), (-1, 1), 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("phases", [4, 16, 64])
def test_where_the_largest_loss_is_the_claim_either_verdict_is_rare(phases):
    """One photograph in five loses everything, at one phase or at all: the true largest loss is the margin, 0.2."""
    rng = np.random.default_rng(phases)
    wrong_pass = wrong_fail = 0
    runs = 40
    for run in range(runs):
        rare = rng.random(40) < 0.2
        table = np.zeros((phases, 40))
        table[: 1 if run % 2 else phases] = rare
        low, high = largest_interval(table, (-1, 1), 0.95)
        wrong_pass += high <= 0.2 - 1e-9
        wrong_fail += low > 0.2
    assert wrong_pass <= 0.025 * runs + 4
    assert wrong_fail <= 0.025 * runs + 4


def test_what_would_fail_among_many_phases_is_a_larger_loss():
    """Each phase gets its share of the money, so one that loses alone must lose more to FAIL."""

    def told(among):
        effect = Effect(value=0.0, low=-0.1, high=0.1, n=60, method="t", confidence=0.95, spread=0.2, among=among)
        claim = Claim(quantity="worst-phase", at_most=0.2, confidence=0.95)
        (found,) = judge([Question(check="c", claim=claim, effect_at=lambda confidence: effect)])
        return float(re.search(r"a true (\S+) or more would FAIL", found.reason)[1])

    assert told(256) > told(1) + 0.03


def test_a_region_need_not_hold_every_phase():
    text = """
    name = "x"
    [region]
    brighter_than = 0.2
    [map]
    kind = "structural"
    [evaluator]
    layer = "0"
    [[check]]
    name = "c"
    perturbation = { kind = "pixel" }
    claim = { quantity = "worst-phase", at_most = 0.2 }
    """
    with pytest.raises(UsageError, match=r"x: \[\[check\]\] c: .*'worst-phase' is about every phase"):
        plan(parse_suite(text, "x"), network(window(1)), crops(2, 1))
