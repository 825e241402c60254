"""Closed forms, then calibration by simulation at the sizes that the suites use."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from perturb.records import Claim, Control, Effect, Finding, Verdict
from perturb.stats.bootstrap import bca_interval, resampled_means
from perturb.stats.clusters import cluster_means, crossed_interval, mcnemar_pvalue, mean_interval
from perturb.stats.multiplicity import holm
from perturb.stats.power import clusters_to_decide, detectable
from perturb.stats.proportion import wilson
from perturb.stats.rank import spearman
from perturb.verdict import Question, decide, judge, overall


def test_cluster_means_weigh_clusters_alike():
    values = np.array([1.0, 0, 0, 1, 1])
    np.testing.assert_allclose(cluster_means(values, np.array([7, 7, 7, 9, 9])), [1 / 3, 1])


def test_t_interval_of_few_clusters_is_scipys(rng):
    means = rng.normal(size=12)
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.9)
    low, high, method = mean_interval(means, 0.9, rng=rng)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert method == "t over 12 clusters"


@pytest.mark.parametrize("distinct", [3, 40])
def test_bca_is_scipys(distinct, rng):
    """Drawn as counts (3 values) and one by one (40): the same interval to the simulation's own error."""
    values = rng.permutation(np.arange(60) % distinct / distinct) ** 3
    expected = stats.bootstrap((values,), np.mean, n_resamples=40_000, confidence_level=0.9, rng=rng)
    found = bca_interval(values, 0.9, 40_000, rng)
    assert found == pytest.approx(expected.confidence_interval, abs=0.02 * values.std())


def test_resamples_have_the_mean_and_spread_of_the_bootstrap(rng):
    for values in (rng.integers(0, 3, 100).astype(float), rng.normal(size=100)):
        found = resampled_means(values, 20_000, rng)
        assert found.mean() == pytest.approx(values.mean(), abs=5 * values.std() / 10 / 20_000**0.5)
        assert found.std() == pytest.approx(values.std() / 10, rel=0.03)


def test_all_clusters_equal_is_the_point(rng):
    assert mean_interval(np.full(9, 0.5), 0.95, rng=rng)[:2] == (0.5, 0.5)
    with pytest.raises(ValueError, match="at least 2 clusters"):
        mean_interval(np.ones(1), 0.95, rng=rng)


def test_one_pair_a_cluster_is_the_exact_mcnemar_test():
    """10 discordant one way, 2 the other: p = 2 P(X <= 2), X ~ B(12, 1/2)."""
    means = np.array([1.0] * 10 + [-1.0] * 2 + [0.0] * 20)
    assert mcnemar_pvalue(means) == pytest.approx(2 * stats.binom.cdf(2, 12, 0.5))
    assert mcnemar_pvalue(np.zeros(5)) == 1


def test_wilson_of_independent_trials_is_scipys():
    outcomes = np.array([1.0] * 30 + [0.0] * 70)
    expected = stats.binomtest(30, 100).proportion_ci(0.95, "wilson")
    assert wilson(outcomes, 100, 0.95) == pytest.approx((expected.low, expected.high), abs=2e-3)


@pytest.mark.parametrize(("seeds", "clusters", "share"), [(3, 45, 0.5), (3, 45, 0.0), (5, 20, 1.0)])
def test_crossed_interval_covers_with_few_seeds(rng, seeds, clusters, share):
    """The true mean is 0; `share` is the seeds' standard deviation beside the clusters' of 1 and a rest of 1."""
    missed = 0
    for _ in range(2000):
        table = share * rng.normal(size=(seeds, 1)) + rng.normal(size=clusters) + rng.normal(size=(seeds, clusters))
        low, high = crossed_interval(table, 0.95)
        missed += not low <= 0 <= high
    assert missed <= 130  # 5 % of 2000 and three standard errors


def test_crossed_interval_of_equal_values_is_the_point():
    assert crossed_interval(np.full((3, 4), 0.25), 0.95) == (0.25, 0.25)
    with pytest.raises(ValueError, match="2 seeds and 2 clusters"):
        crossed_interval(np.ones((1, 9)), 0.95)


@pytest.mark.parametrize("clusters", [4, 12, 40])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("correlation", [0.02, 0.2, 0.5, 0.9])
def test_wilson_covers_where_photographs_differ(clusters, share, correlation):
    """Beta-binomial trials, 32 a photograph: 95 % intervals contain the true share, less the simulation's error."""
    rng = np.random.default_rng(2)
    weight = 1 / correlation - 1
    rates = rng.beta(share * weight, (1 - share) * weight, (1000, clusters))
    found = [wilson(means, 32 * clusters, 0.95) for means in rng.binomial(32, rates) / 32]
    assert np.mean([low <= share <= high for low, high in found]) > 0.93


def test_wilson_says_how_many_would_decide():
    """With as many photographs as `clusters_to_decide` asks for, nothing missed, the interval fits."""
    for margin in (0.01, 0.05, 0.2):
        n = clusters_to_decide(margin, 0.0, 0.95)
        assert wilson(np.zeros(n), 8 * n, 0.95)[1] <= margin < wilson(np.zeros(n - 1), 8 * n, 0.95)[1]


def test_bca_does_not_hang_on_the_order_of_adding_up():
    """Sixths: means of resamples that are the mean differ from it in the last bit."""
    values = np.repeat([-2.0, -1.0, 0.0, 1.0], [1, 4, 31, 4])
    low, high = bca_interval(values, 0.95, 9999, np.random.default_rng(0))
    found = bca_interval(values / 6, 0.95, 9999, np.random.default_rng(0))
    assert found == pytest.approx((low / 6, high / 6), abs=1e-9)


def test_wilson_of_all_or_nothing_ends_at_the_bound():
    assert wilson(np.zeros(12), 48, 0.95)[0] == 0
    assert wilson(np.ones(12), 48, 0.95)[1] == 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_wilson_contains_its_share_and_stays_in_range(means):
    low, high = wilson(np.array(means), 200, 0.95)
    assert (type(low), type(high)) == (float, float)
    assert 0 <= low <= np.mean(means) + 1e-12
    assert np.mean(means) - 1e-12 <= high <= 1


def test_holm_by_intervals_is_holm():
    """Against the textbook procedure on p-values: a check is decided at c iff p <= 1 - c."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.random(5) ** 3
        used = holm([lambda c, p=p[i]: p <= 1 - c for i in range(5)], [0.95] * 5)
        decided = [p[i] <= 1 - used[i] for i in range(5)]
        order, expected = np.argsort(p), np.zeros(5, bool)
        for step, i in enumerate(order):
            if p[i] > 0.05 / (5 - step):
                break
            expected[i] = True
        np.testing.assert_array_equal(decided, expected)


@pytest.mark.parametrize("n", [5, 12, 32, 100])
def test_detectable_never_trusts_a_handful(n):
    """What n clusters may all have missed: below 0.05 where they are equal, 0.2 where they vary a little."""
    assert (1 - detectable(0.0, n, 0.95)) ** n < 0.05
    assert (1 - detectable(1e-9, n, 0.95)) ** n == pytest.approx(0.2)
    assert detectable(0.2, 100, 0.95) == pytest.approx((1.984 + 0.845) * 0.02, rel=1e-2)


def test_the_number_that_would_decide_decides(rng):
    """With that many clusters a true loss at that distance is told from the margin about 80 % of the time."""
    n = clusters_to_decide(0.1, 0.3, 0.95)
    decided = [mean_interval(rng.normal(0.1, 0.3, n), 0.95, rng=rng)[0] > 0 for _ in range(60)]
    assert 0.6 < np.mean(decided) < 0.95
    assert detectable(0.3, n, 0.95) <= 0.1 < detectable(0.3, n - 1, 0.95)
    assert clusters_to_decide(0.1, 0.3, 0.95, n + 5) == n + 6  # so many did not decide
    assert clusters_to_decide(0.0, 0.3, 0.95) is None
    assert clusters_to_decide(1e-4, 0.3, 0.95) is None


def simulated(rng, clusters, pairs, live, dead, spread):
    """Cluster means of detected(live) - detected(dead): photographs differ in difficulty by `spread` on both arms."""
    shift = rng.normal(0, spread, (clusters, 1))
    hits = [rng.random((clusters, pairs)) < np.clip(rate + shift, 0, 1) for rate in (live, dead)]
    return (hits[0].astype(float) - hits[1]).mean(1)


@pytest.mark.parametrize(
    ("clusters", "pairs", "live", "dead", "experiments", "least"),
    [(12, 8, 0.85, 0.75, 2000, 0.935), (12, 32, 0.85, 0.3, 2000, 0.93), (38, 8, 0.85, 0.75, 1000, 0.91)],
)
def test_intervals_cover(clusters, pairs, live, dead, experiments, least):
    """95 % intervals contain the true loss; `least` is 0.95 less the simulation's own error and a little."""
    rng = np.random.default_rng(1)
    truth = simulated(rng, 200_000, 4, live, dead, 0.1).mean()
    inside = 0
    for _ in range(experiments):
        low, high, _ = mean_interval(simulated(rng, clusters, pairs, live, dead, 0.1), 0.95, rng=rng)
        inside += low <= truth <= high
    assert inside / experiments >= least


@pytest.mark.parametrize(("clusters", "experiments"), [(12, 1000), (38, 200)])
def test_no_verdict_errs_beyond_its_level(clusters, experiments):
    """A true loss exactly at the margin: FAIL in at most 2.5 %, PASS in at most 2.5 %, plus simulation error."""
    rng = np.random.default_rng(2)
    truth = simulated(rng, 200_000, 4, 0.85, 0.75, 0.05).mean()
    found = []
    for _ in range(experiments):
        means = simulated(rng, clusters, 16, 0.85, 0.75, 0.05)
        low, high, method = mean_interval(means, 0.95, rng=rng)
        effect = an_effect(means.mean(), low, high, detectable=0.0, method=method, n=clusters)
        found.append(decide(Claim(quantity="accuracy-loss", at_most=truth, confidence=0.95), effect)[0])
    allowed = 0.025 + 3 * np.sqrt(0.025 * 0.975 / experiments)
    assert found.count(Verdict.FAIL) / experiments <= allowed
    assert found.count(Verdict.PASS) / experiments <= allowed


def an_effect(value, low, high, *, detectable=0.01, saturated="", method="t", n=40, pvalue=0.5):
    return Effect(
        quantity="accuracy-loss",
        version=1,
        value=value,
        low=low,
        high=high,
        n=n,
        method=method,
        confidence=0.95,
        pvalue=pvalue,
        detectable=detectable,
        spread=0.1,
        saturated=saturated,
    )


CLAIM = Claim(quantity="accuracy-loss", at_most=0.1, confidence=0.95)


@pytest.mark.parametrize(
    ("effect", "verdict", "words"),
    [
        (an_effect(0.05, 0.01, 0.1), Verdict.PASS, "whole interval lies within"),
        (an_effect(0.3, 0.11, 0.4), Verdict.FAIL, "above"),
        (an_effect(0.1, 0.05, 0.2), Verdict.INCONCLUSIVE, "contains 0.1"),
        (an_effect(0.0, 0.0, 0.0, detectable=0.3), Verdict.INCONCLUSIVE, "could have been missed"),
        (an_effect(0.0, 0.0, 0.01, saturated="floor"), Verdict.INCONCLUSIVE, "at the floor"),
        (an_effect(0.5, 0.4, 0.6, saturated="floor"), Verdict.FAIL, "above"),
    ],
)
def test_the_decision_rule(effect, verdict, words):
    found, reason = decide(CLAIM, effect)
    assert found == verdict
    assert words in reason


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_decides_nothing(bad):
    for effect in (
        an_effect(bad, 0, 0),
        an_effect(0, bad, 0),
        an_effect(0, 0, bad),
        an_effect(0, 0, 0, detectable=bad),
    ):
        with pytest.raises(ValueError, match="not finite"):
            decide(CLAIM, effect)


def test_two_checks_are_read_at_a_stricter_confidence():
    """One clear check and one near the margin: the clear one leaves, the other is read at the full level again."""
    clear = Question(check="a", claim=CLAIM, effect_at=lambda c: an_effect(0.5, 0.4, 0.6))
    near = Question(check="b", claim=CLAIM, effect_at=lambda c: an_effect(0.12, 0.12 - c / 10, 0.12 + c / 10))
    first, second = judge([clear, near])
    assert (first.verdict, second.verdict) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert second.images_needed == clusters_to_decide(0.12 - CLAIM.at_most, near.effect_at(0.95).spread, 0.95)


def test_a_value_far_above_a_small_margin_needs_few_photographs_to_fail():
    claim = Claim(quantity="accuracy-loss", at_most=0.01, confidence=0.95)
    wide = replace(an_effect(0.5, -0.1, 1.0, n=4), spread=0.4)
    assert judge([Question(check="a", claim=claim, effect_at=lambda c: wide)])[0].images_needed < 10


def test_overall_is_the_worst_and_a_failed_control_is_invalid():
    def one(verdict):
        return Finding(check="x", claim=CLAIM, effect=an_effect(0, 0, 0), verdict=verdict, reason="")

    ok = Control(name="c", expected="e", observed="o", passed=True)
    assert overall([one(Verdict.PASS), one(Verdict.INCONCLUSIVE)], [ok]) == Verdict.INCONCLUSIVE
    assert overall([one(Verdict.INCONCLUSIVE), one(Verdict.FAIL)], [ok]) == Verdict.FAIL
    broken = Control(name="c", expected="e", observed="o", passed=False)
    assert overall([one(Verdict.PASS)], [ok, broken]) == Verdict.INVALID
    assert overall([], [ok]) == Verdict.INVALID


def test_rank_correlation_covers_its_truth():
    """Spearman's rho by scipy; its 95 % interval holds the true value in at least 93 % of normal samples of 8."""
    rng = np.random.default_rng(0)
    truth, covered = 6 / np.pi * np.arcsin(0.6 / 2), 0
    for _ in range(500):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 8).T
        rho, low, high = spearman(x, y, 0.95)
        covered += low <= truth <= high
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert covered >= 0.93 * 500


def test_rank_correlation_at_its_ends():
    """Perfect agreement of a few things still leaves doubt; the whole picture ranks above every size."""
    rho, low, _ = spearman(np.array([1.0, 2, 3, np.inf]), np.array([1.0, 2, 3, 4]), 0.95)
    assert (rho, low < 0.5) == (1.0, True)
    with pytest.raises(ValueError, match="at least 4"):
        spearman(np.ones(3), np.ones(3), 0.95)
