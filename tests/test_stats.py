"""Closed forms and published values, then calibration by simulation at the sizes that the suites use."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special, stats

from perturb.stats.betting import BETS, SHARES, betting_interval, counts_exclude
from perturb.stats.bootstrap import bca_interval, resampled_means
from perturb.stats.chances import (
    Rule,
    chances,
    clusters_to_pass,
    difference_of,
    everything_or_nothing,
    share_of,
    spread_like,
)
from perturb.stats.clusters import cluster_means, mean_interval, spread
from perturb.stats.multiplicity import holm
from perturb.stats.power import clusters_to_decide, least_mean_found
from perturb.stats.proportion import wilson
from perturb.stats.rank import spearman
from perturb.streams import stream


def test_cluster_means_weigh_clusters_alike():
    """In ascending order of the clusters' numbers, whatever the order of the trials."""
    values = np.array([1.0, 0, 0, 1, 1])
    np.testing.assert_allclose(cluster_means(values, np.array([7, 7, 7, 9, 9])), [1 / 3, 1])
    np.testing.assert_allclose(cluster_means(values, np.array([9, 2, 9, 2, 2])), [2 / 3, 1 / 2])


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1)), min_size=1, max_size=30))
def test_cluster_means_are_each_clusters_mean(trials):
    groups: dict[int, list[float]] = {}
    for cluster, value in trials:
        groups.setdefault(cluster, []).append(value)
    found = cluster_means(np.array([v for _, v in trials]), np.array([c for c, _ in trials]))
    np.testing.assert_allclose(found, [np.mean(groups[c]) for c in sorted(groups)], atol=1e-12)


def test_spread_is_that_of_a_sample():
    """Divided by n - 1; 0 where all are equal, although the sum of 0.1 rounds."""
    assert spread(np.array([0.0, 1.0])) == pytest.approx(0.5**0.5)
    assert spread(np.array([2.0, 4, 4, 4, 5, 5, 7, 9])) == pytest.approx((32 / 7) ** 0.5)
    assert np.full(3, 0.1).std(ddof=1) > 0
    assert spread(np.full(3, 0.1)) == 0
    assert spread(np.ones(1)) == 0


def test_t_interval_of_few_clusters_is_scipys(rng):
    means = rng.normal(size=12)
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.9)
    low, high, method = mean_interval(means, 0.9, rng=rng)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert method == "t over 12 clusters"


@pytest.mark.parametrize(("clusters", "method"), [(2, "t"), (29, "t"), (30, "BCa bootstrap"), (90, "BCa bootstrap")])
def test_the_bootstrap_begins_at_thirty_clusters(clusters, method, rng):
    assert mean_interval(rng.normal(size=clusters), 0.9, rng=rng)[2] == f"{method} over {clusters} clusters"


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=29), st.floats(-3, 3), st.floats(0.1, 10))
def test_an_interval_moves_and_scales_with_its_values(values, shift, scale):
    means = np.array(values)
    assume(np.ptp(means) > 1e-3)
    low, high, _ = mean_interval(means, 0.95, rng=np.random.default_rng(0))
    found = mean_interval(shift + scale * means, 0.95, rng=np.random.default_rng(0))[:2]
    assert found == pytest.approx((shift + scale * low, shift + scale * high), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "ones", "ends"),
    [(100, 5, (2, 10)), (100, 10, (6, 16)), (60, 6, (3, 11))],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_bca_of_two_values_is_exact(n, ones, ends, mirrored):
    """Resampled means of 0 and 1 are binomial, so the whole interval is known, and its ends are counts.

    The accelerated quantiles are computed here from binomial probabilities. Without acceleration or without the
    correction of bias an end is another count.
    """
    counts, share = np.arange(n + 1), ones / n
    below, up_to = (stats.binom.cdf(ones - one, n, share) for one in (1, 0))
    bias, pull = special.ndtri((below + up_to) / 2), (1 - 2 * share) / (6 * (n * share * (1 - share)) ** 0.5)
    expected = []
    for z in (-1.6449, 1.6449):
        quantile = stats.norm.cdf(bias + (bias + z) / (1 - pull * (bias + z)))
        expected.append(int(counts[stats.binom.cdf(counts, n, share) >= quantile][0]))
    assert tuple(expected) == ends
    values = np.repeat([0.0, 1.0], [n - ones, ones])
    found = bca_interval(1 - values if mirrored else values, 0.9, 100_000, np.random.default_rng(0))
    if mirrored:
        found = (1 - found[1], 1 - found[0])
    assert np.multiply(found, n) == pytest.approx(ends)


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


# Newcombe (1998), Statistics in Medicine 17, table I, method 3
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_of_independent_trials_is_newcombes_table(right, n, low, high):
    """A trial each: the clusters' variance costs them (n - 1/2) / (n + 1/2), which is less than one of them."""
    outcomes = np.repeat([1.0, 0.0], [right, n - right])
    found = wilson(outcomes, n, 0.95)
    assert found == pytest.approx((low, high), abs=0.25 / n)
    assert wilson(1 - outcomes, n, 0.95) == pytest.approx((1 - found[1], 1 - found[0]))


@pytest.mark.parametrize(("right", "n"), [(1, 12), (6, 12), (30, 100), (99, 100)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_wilson_inverts_the_score_test(right, n, confidence):
    """At either end the standardised distance from the share is the normal quantile."""
    share, effective = right / n, n * (n - 0.5) / (n + 0.5)
    for end in wilson(np.repeat([1.0, 0.0], [right, n - right]), n, confidence):
        z = abs(share - end) / (end * (1 - end) / effective) ** 0.5
        assert 2 * stats.norm.cdf(z) - 1 == pytest.approx(confidence)


def test_wilson_never_takes_clusters_for_more_than_their_trials():
    """Ten photographs with one hit in two trials each: as like as can be, they are still 20 trials."""
    expected = stats.binomtest(10, 20).proportion_ci(0.95, "wilson")
    assert wilson(np.full(10, 0.5), 20, 0.95) == pytest.approx((expected.low, expected.high))


def test_wilson_counts_clusters_that_agree_within_as_single_trials():
    """A thousand trials each do not help where a photograph is either all 0 or all 1."""
    means = np.repeat([0.0, 1.0], [6, 6])
    assert wilson(means, 12_000, 0.95) == wilson(means, 12, 0.95)


@pytest.mark.slow
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


def read_at(pvalues, confidences):
    """Confidences that Holm gives to checks which are decided at c iff p <= 1 - c."""
    return holm([lambda c, p=p: p <= 1 - c + 1e-12 for p in pvalues], confidences)


@pytest.mark.parametrize(
    ("pvalues", "used"),
    [
        ([], []),
        ([0.05], [0.95]),
        ([0.01, 0.04, 0.03, 0.005], [0.9875, 0.975, 0.975, 0.9875]),  # 1 and 4 leave at 1/80, 2 and 3 stop at 1/40
        ([0.03, 0.04], [0.975, 0.975]),  # neither: Hochberg's step-up would decide both
        ([0.02, 0.04], [0.975, 0.95]),  # both: Bonferroni would decide one
        ([0.04, 0.02], [0.95, 0.975]),
        ([0.05 / 3, 0.025, 0.05], [1 - 0.05 / 3, 0.975, 0.95]),  # one leaves a round, each at its bound
        ([0.05, 0.025, 0.0167], [1 - 0.05 / 3] * 3),  # the smallest just misses: all stop
    ],
)
def test_holm_step_by_step(pvalues, used):
    """At 0.05: the smallest of m against 0.05 / m, the next against 0.05 / (m - 1), until one is not decided."""
    assert read_at(pvalues, [0.95] * len(pvalues)) == pytest.approx(used)


def test_holm_divides_each_checks_own_error():
    assert read_at([1.0, 1.0], [0.9, 0.98]) == pytest.approx([0.95, 0.99])


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=6), st.randoms())
def test_holm_does_not_hang_on_the_order_of_the_checks(pvalues, random):
    order = random.sample(range(len(pvalues)), len(pvalues))
    used = read_at(pvalues, [0.95] * len(pvalues))
    assert read_at([pvalues[i] for i in order], [0.95] * len(pvalues)) == [used[i] for i in order]


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


def equal_values_to_decide(claim, error):
    """All values equal: the largest bet has half the money, and the others help only by what they add."""
    return math.log(1 / error) / math.log(1 + claim / (1 - claim))


@pytest.mark.parametrize(("claim", "exact", "found"), [(0.2, 17, 19), (0.1, 36, 40), (0.05, 72, 81)])
def test_equal_photographs_need_few_more_than_the_exact_rule(claim, exact, found):
    """No loss anywhere: (1 + claim / (1 - claim))^n reaches 40 at n = 17, 36, 72; spread bets ask for 2, 4, 9 more."""
    assert math.ceil(equal_values_to_decide(claim, 0.025)) == exact
    within = [betting_interval(np.zeros(n), (-1, 1), 0.95)[1] <= claim for n in (found - 1, found)]
    assert within == [False, True]


def test_a_betting_interval_by_hand():
    """Each end is where the money won is 1 / error; of one bet alone it is a product of factors."""
    values = np.array([0.2, 0.5, 0.9, 0.4])
    low, high = betting_interval(values, (0, 1), 0.8)
    for x, m in ((values, high), (1 - values, 1 - low)):
        money = sum(share * np.prod(1 + bet * (m - x) / (1 - m)) for bet, share in zip(BETS, SHARES, strict=True))
        assert money == pytest.approx(10, rel=1e-6)
    assert (BETS[-1], SHARES[-1], SHARES.sum()) == (1, 0.5, pytest.approx(1))
    np.testing.assert_allclose(BETS[:-1], np.sin(np.pi / 2 * (np.arange(24) + 0.5) / 24) ** 2)  # the arcsine law


def test_two_that_agree_decide_nothing():
    low, high = betting_interval(np.zeros(2), (-1, 1), 0.95)
    assert low < -0.7
    assert high > 0.7


@pytest.mark.slow
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=20), st.integers(0, 19), st.integers(1, 16), st.randoms())
def test_no_worse_value_tightens_a_betting_interval(values, at, by, random):
    """A larger loss never lowers an end; neither the order nor the units matter."""
    before = np.array(values) / 8
    after = before.copy()
    after[at % len(values)] = min(1.0, after[at % len(values)] + by / 8)
    one, other = (betting_interval(x, (-1, 1), 0.95) for x in (before, after))
    assert other[0] >= one[0] - 1e-12
    assert other[1] >= one[1] - 1e-12
    assert -1 <= one[0] <= before.mean() <= one[1] <= 1
    mixed = np.array(random.sample(list(before), len(before)))
    assert betting_interval(mixed, (-1, 1), 0.95) == pytest.approx(one)
    assert betting_interval(5 + 3 * before, (2, 8), 0.95) == pytest.approx((5 + 3 * one[0], 5 + 3 * one[1]))


@pytest.mark.parametrize("values", [[], [0.0, 1.1], [-0.1], [math.nan]])
def test_values_beyond_their_bounds_are_refused(values):
    with pytest.raises(ValueError, match="must lie within"):
        betting_interval(np.array(values), (0, 1), 0.95)


def outcomes(kind, mean, shape, rng):
    """Losses of photographs with this mean."""
    up, down = (1 + mean) / 2, (1 - mean) / 2
    if kind == "rare":
        return (rng.random(shape) < mean).astype(float)
    if kind == "one pair":
        return (rng.random(shape) < up).astype(float) - (rng.random(shape) < down)
    if kind == "equal":
        return np.full(shape, mean)
    live, dead = (rng.binomial(8, rng.beta(3 * share, 3 * (1 - share), shape)) / 8 for share in (up, down))
    return live - dead


@pytest.mark.parametrize("kind", ["rare", "one pair", "beta-binomial", "equal"])
@pytest.mark.parametrize("claim", [0.05, 0.2])
def test_a_claim_at_its_boundary_passes_at_most_as_often_as_it_says(kind, claim):
    """Looked at after each of 120 photographs, 2,000 runs: false PASS in 2.5 % at most, plus simulation error.

    Student's t lets 5 to 19 % pass where a share of the photographs loses everything, at one look.
    """
    losses = outcomes(kind, claim, (2000, 120), np.random.default_rng(5))
    x, m = (losses + 1) / 2, (claim + 1) / 2
    with np.errstate(divide="ignore"):
        money = sum(
            share * np.exp(np.log1p(np.maximum(-1, bet * (m - x) / (1 - m))).cumsum(1))
            for bet, share in zip(BETS, SHARES, strict=True)
        )
    passed = (money >= 40).any(1)
    assert passed.mean() <= 0.025 + 3 * (0.025 * 0.975 / 2000) ** 0.5
    some = np.flatnonzero(passed)[:5]
    for run in some:  # the interval says the same as the money
        n = int(np.argmax(money[run] >= 40)) + 1
        assert betting_interval(losses[run, :n], (-1, 1), 0.95)[1] <= claim + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rare", "one pair", "beta-binomial", "equal"])
@pytest.mark.parametrize("n", [2, 8, 40])
def test_betting_intervals_cover(kind, n):
    rng, mean = np.random.default_rng(6), 0.2
    ends = np.array([betting_interval(x, (-1, 1), 0.95) for x in outcomes(kind, mean, (200, n), rng)])
    assert ((ends[:, 0] <= mean + 1e-9) & (mean - 1e-9 <= ends[:, 1])).mean() >= 0.95 - 3 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("value", "margin"), [(0.0, 0.2), (0.5, 0.2), (-0.1, 0.1)])
@pytest.mark.parametrize("between", [0.0, 0.2, 0.4])
def test_the_number_that_would_decide_decides(value, margin, between):
    """So many with that mean and spread are decided in about half of all runs, three times as many surely."""
    n = clusters_to_decide(value, between, margin, (-1, 1), 0.95, have=1)
    rng, decided = np.random.default_rng(7), []
    for count in (n, 3 * n):
        weight = between and (1 - value**2) / between**2 - 1
        found = []
        for _ in range(60):
            x = (
                2 * rng.beta((1 + value) / 2 * weight, (1 - value) / 2 * weight, count) - 1
                if weight
                else np.full(count, value)
            )
            low, high = betting_interval(x, (-1, 1), 0.95)
            found.append(low > margin or high <= margin)
        decided.append(np.mean(found))
    assert decided[0] >= 0.3
    assert decided[1] >= 0.9


def test_the_number_that_would_decide_at_its_ends():
    """More than there are; none at the margin, none beyond the bounds, none from a million on; two values at most."""
    assert clusters_to_decide(0.0, 0.0, 0.2, (-1, 1), 0.95, have=50) == 51
    assert clusters_to_decide(0.2, 0.3, 0.2, (-1, 1), 0.95, have=50) is None
    assert clusters_to_decide(0.0, 0.3, 1.0, (-1, 1), 0.95, have=50) is None
    assert clusters_to_decide(0.2 + 1e-5, 0.3, 0.2, (-1, 1), 0.95, have=50) is None
    assert clusters_to_decide(0.5, 0.9, 0.2, (-1, 1), 0.95, have=1) > clusters_to_decide(
        0.5, 0.5, 0.2, (-1, 1), 0.95, have=1
    )


def simulated(rng, clusters, pairs, live, dead, spread):
    """Cluster means of detected(live) - detected(dead): photographs differ in difficulty by `spread` on both arms."""
    shift = rng.normal(0, spread, (clusters, 1))
    hits = [rng.random((clusters, pairs)) < np.clip(rate + shift, 0, 1) for rate in (live, dead)]
    return (hits[0].astype(float) - hits[1]).mean(1)


@pytest.mark.slow
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


def test_rank_correlations_variance_by_hand():
    """d^2 = 4 over 5 things: rho = 1 - 24/120 = 0.8, variance (1 + 0.32) / 2, tanh(atanh 0.8 -+ 1.96 sqrt 0.66)."""
    first, second = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    assert spearman(first, second, 0.95) == pytest.approx((0.8, -0.45712, 0.99084), abs=1e-5)
    assert spearman(first, -second, 0.95) == pytest.approx((-0.8, -0.99084, 0.45712), abs=1e-5)


def test_rank_correlation_of_one_value_says_nothing():
    rho, low, high = spearman(np.ones(6), np.arange(6.0), 0.95)
    assert (np.isnan(rho), low, high) == (True, -1, 1)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=4, max_size=12))
def test_ranks_with_ties_are_scipys_and_only_ranks_count(pairs):
    first, second = np.array(pairs, dtype=float).T
    assume(np.ptp(first) > 0 and np.ptp(second) > 0)
    rho, low, high = spearman(first, second, 0.9)
    assert rho == pytest.approx(stats.spearmanr(first, second).statistic)
    assert -1 < low < high < 1
    assert spearman(np.exp(first), second**3, 0.9) == (rho, low, high)
    assert spearman(second, first, 0.9) == pytest.approx((rho, low, high))


@pytest.mark.parametrize(("margin", "needed"), [(0.2, 19), (0.1, 40), (0.05, 81)])
def test_so_many_clusters_without_a_loss_pass(margin, needed):
    """The figures of docs/decisions.md, by the counted bets."""
    rule = Rule(margin=margin, passes=0.025, fails=0.025)
    none = everything_or_nothing(0.0, (-1, 1))
    assert clusters_to_pass(none, rule, 0.8, lambda: stream(0, "test")) == needed


def test_counted_bets_decide_as_the_interval_does():
    """Samples as counts of their values; the margin and the true mean are such that both answers occur."""
    clusters = difference_of(4, 0.85, 0.1, 0.3)
    counts = stream(0, "counted").multinomial(40, clusters.shares, size=60)
    scaled = (clusters.values + 1) / 2
    below = counts_exclude(scaled, counts, (0.25 + 1) / 2, 0.025)
    above = counts_exclude(1 - scaled, counts, (1 - 0.0) / 2, 0.025)
    for count, low_enough, high_enough in zip(counts, below, above, strict=True):
        low, high = betting_interval(np.repeat(clusters.values, count), (-1, 1), 0.95)
        assert (high <= 0.25) == low_enough
        assert (low > 0.0) == high_enough
    assert 0.1 < below.mean() < 0.95
    assert 0.02 < above.mean() < 0.95
    assert counts_exclude(scaled, counts, 1.0, 0.025).all()


@pytest.mark.parametrize("correlation", [0.0, 0.05, 0.4])
def test_simulated_clusters_have_the_mean_and_the_spread_that_they_are_said_to_have(correlation):
    """Beta-binomial: p (1 - p) (correlation + (1 - correlation) / trials); of a difference the two arms' sum."""
    trials, live, loss = 8, 0.85, 0.2
    found = difference_of(trials, live, loss, correlation)
    variances = [p * (1 - p) * (correlation + (1 - correlation) / trials) for p in (live, live - loss)]
    assert found.shares.sum() == pytest.approx(1)
    assert found.values @ found.shares == pytest.approx(loss)
    assert (found.values - loss) ** 2 @ found.shares == pytest.approx(sum(variances))
    share = share_of(trials, live, correlation)
    assert (share.values - live) ** 2 @ share.shares == pytest.approx(variances[0])
    assert share_of(3, 1.0, correlation).shares.tolist() == [0, 0, 0, 1]
    like = spread_like(0.1, 0.2, (-1, 1))
    assert like.values @ like.shares == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("clusters", [difference_of(8, 0.85, 0.2, 0.3), everything_or_nothing(0.2, (-1, 1))])
def test_a_claim_at_its_boundary_passes_and_fails_no_more_often_than_allowed(clusters):
    """FAIL at half the error, as beside another check."""
    for n in (12, 20, 80, 400):
        passes, fails = chances(clusters, n, Rule(margin=0.2, passes=0.025, fails=0.0125), stream(n, "boundary"))
        assert passes <= 0.025 + 3 * (0.025 / 2000) ** 0.5
        assert fails <= 0.0125 + 3 * (0.0125 / 2000) ** 0.5


def test_pass_and_fail_are_told_by_their_own_error():
    """Twice the loss fails less often at a smaller error, and passes alike."""
    often, rarely = (
        chances(difference_of(8, 0.85, 0.4, 0.1), 40, Rule(margin=0.2, passes=0.2, fails=error), stream(0, "errors"))
        for error in (0.2, 1e-4)
    )
    assert often[0] == rarely[0]
    assert often[1] > rarely[1] + 0.2


@pytest.mark.parametrize(("n", "spread", "margin", "bounds"), [
    (12, 0.2, 0.1, (-1, 1)),
    (90, 0.5, 0.1, (-1, 1)),
    (12, 0.05, 0.1, (0, 1)),
    (60, 0.1, 0.2, (-1, 1)),
])  # fmt: skip
def test_the_least_mean_that_is_found_is_found_so_often(n, spread, margin, bounds):
    """By simulation: at least as often as said, and a mean that is 0.04 smaller is not."""
    least = least_mean_found(spread, margin, bounds, 0.025, have=n, power=0.8)
    rule = Rule(margin=margin, passes=0.025, fails=0.025)

    def fails(mean):
        return chances(spread_like(mean, spread, bounds), n, rule, stream(0, "found"))[1]

    assert fails(least) >= 0.8
    assert fails(least - 0.04) < 0.8


def test_so_few_clusters_find_no_mean():
    assert least_mean_found(0.1, 0.1, (-1, 1), 0.025, have=4, power=0.8) is None
    assert least_mean_found(0.1, 1.0, (0, 1), 0.025, have=400, power=0.8) is None
