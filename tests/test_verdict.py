"""Verdicts: the decision rule at its bounds, Holm's share of the error rate, how many photographs would decide."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri
from test_stats import simulated

from perturb import verdict
from perturb.records import Claim, Control, Effect, Finding, Verdict
from perturb.stats.clusters import mean_interval
from perturb.verdict import Question, decide, judge, overall

PASS, FAIL, INCONCLUSIVE, INVALID = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.INVALID


def a_claim(at_most=0.1, confidence=0.95):
    return Claim(quantity="accuracy-loss", at_most=at_most, confidence=confidence)


def an_effect(value, low, high, **changes):
    plain = Effect(
        quantity="accuracy-loss",
        version=1,
        value=value,
        low=low,
        high=high,
        n=40,
        method="t",
        confidence=0.95,
        pvalue=0.5,
        detectable=0.01,
        spread=0.1,
    )
    return replace(plain, **changes)


def a_question(effect, *, check="x", at_most=0.1):
    """Its effect is the same at every confidence."""
    return Question(check=check, claim=a_claim(at_most), effect_at=lambda c: replace(effect, confidence=c))


def normal(value, error=0.1, *, at_most=0.1, confidence=0.95, check="x"):
    """A question with the interval of a normal estimate: value -+ z error."""

    def effect_at(c):
        half = ndtri((1 + c) / 2) * error
        return an_effect(value, value - half, value + half, confidence=c)

    return Question(check=check, claim=a_claim(at_most, confidence), effect_at=effect_at)


def exact(value, *, method="exact", check="exact"):
    return a_question(an_effect(value, value, value, method=method, detectable=0.0, spread=0.0), check=check)


@pytest.mark.parametrize(
    ("effect", "expected", "reason"),
    [
        (an_effect(0.05, 0.01, 0.09), PASS, "the whole interval lies within 0.1; 0.01 would have been seen"),
        (an_effect(0.05, 0.01, 0.1), PASS, "the whole interval lies within 0.1; 0.01 would have been seen"),
        (an_effect(0.3, 0.11, 0.4), FAIL, "the whole interval lies above 0.1"),
        (an_effect(0.3, 0.1, 0.4), INCONCLUSIVE, "the interval contains 0.1"),
        (an_effect(0.1, 0.05, 0.2), INCONCLUSIVE, "the interval contains 0.1"),
        (an_effect(0.0, 0.0, 0.0, detectable=0.3), INCONCLUSIVE, "a value of 0.3 could have been missed with n = 40"),
        (an_effect(0.0, 0, 0, detectable=0.1), PASS, "the whole interval lies within 0.1; 0.1 would have been seen"),
        (an_effect(0.1, 0.1, 0.1, detectable=0.0), PASS, "at most 0.1"),
        (an_effect(0.1001, 0.1001, 0.1001, detectable=0.0), FAIL, "the whole interval lies above 0.1"),
        (an_effect(0.5, 0.4, 0.6, saturated="floor"), FAIL, "the whole interval lies above 0.1"),
    ],
)
def test_the_decision_rule_and_its_bounds(effect, expected, reason):
    """An end on the margin is within it: 0.1 is at most 0.1."""
    assert decide(a_claim(), effect) == (expected, reason)


@pytest.mark.parametrize(
    ("end", "words"), [("floor", "at the floor: too little is seen"), ("ceiling", "at the ceiling: nearly everything")]
)
def test_a_saturated_detection_never_passes(end, words):
    """It is told ahead of what could have been missed, and after an interval that contains the margin."""
    found, reason = decide(a_claim(), an_effect(0.0, 0.0, 0.01, saturated=end, detectable=0.5))
    assert (found, words in reason) == (INCONCLUSIVE, True)
    assert decide(a_claim(), an_effect(0.1, 0.0, 0.2, saturated=end))[1] == "the interval contains 0.1"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["value", "low", "high", "detectable"])
def test_what_is_not_finite_decides_nothing(field, bad):
    with pytest.raises(ValueError, match="effect of accuracy-loss is not finite"):
        decide(a_claim(), replace(an_effect(0, 0, 0), **{field: bad}))


def test_the_largest_finite_effect_is_decided():
    """An infinite imbalance is kept as 1e308."""
    assert decide(a_claim(2), an_effect(1e308, 1e308, 1e308))[0] == FAIL


SMALL = st.integers(-20, 20)


@given(st.tuples(SMALL, SMALL, SMALL).map(sorted), SMALL, SMALL, st.integers(0, 20))
def test_a_wider_margin_never_makes_it_worse(ends, one, other, detectable):
    """In the order FAIL, INCONCLUSIVE, PASS; and no interval is decided both ways."""
    low, value, high = ends
    effect = an_effect(value, low, high, detectable=detectable)
    order = [FAIL, INCONCLUSIVE, PASS]
    narrow, wide = (order.index(decide(a_claim(margin), effect)[0]) for margin in sorted((one, other)))
    assert narrow <= wide


@given(st.tuples(SMALL, SMALL, SMALL).map(sorted), st.integers(0, 20))
def test_without_sampling_error_the_margin_alone_decides(ends, margin):
    found = decide(a_claim(margin), an_effect(ends[1], ends[0], ends[2], detectable=0))[0]
    assert (found == FAIL) == (ends[0] > margin)
    assert (found == PASS) == (ends[2] <= margin)


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
        found.append(decide(a_claim(truth), effect)[0])
    allowed = 0.025 + 3 * np.sqrt(0.025 * 0.975 / experiments)
    assert found.count(FAIL) / experiments <= allowed
    assert found.count(PASS) / experiments <= allowed


def test_two_checks_share_the_error_rate():
    """0.3 -+ 0.1 z: above 0.1 at 0.95 (z = 1.960), not at 0.975 (z = 2.241). One alone fails, two are undecided."""
    (alone,) = judge([normal(0.3)])
    assert (alone.verdict, alone.effect.low) == (FAIL, pytest.approx(0.1040, abs=1e-4))
    for finding in judge([normal(0.3), normal(0.3)]):
        assert (finding.verdict, finding.effect.confidence) == (INCONCLUSIVE, 0.975)
        assert finding.effect.low == pytest.approx(0.0759, abs=1e-4)


def test_a_decided_check_frees_its_share():
    """A clear one is decided at 0.975 and leaves: the other is read at 0.95 again, where it fails."""
    clear, near = judge([normal(0.9), normal(0.3)])
    assert (clear.verdict, clear.effect.confidence) == (FAIL, 0.975)
    assert (near.verdict, near.effect.confidence) == (FAIL, 0.95)


@pytest.mark.parametrize("method", ["exact", "as measured"])
@pytest.mark.parametrize("value", [0.05, 0.5])
def test_effects_without_sampling_error_take_no_share(method, value):
    """One beside a sampled check leaves the latter's confidence as it was, and keeps its own."""
    for others in ([exact(value, method=method)], [exact(value, method=method)] * 5):
        *maps, sampled = judge([*others, normal(0.9)])
        assert sampled.effect.confidence == 0.95
        assert {f.effect.confidence for f in maps} == {0.95}
        assert {f.verdict for f in maps} == {PASS if value < 0.1 else FAIL}


def test_each_check_keeps_its_own_level():
    """Claims of 0.9 and 0.98, both undecided: half of each error rate."""
    found = judge([normal(0.1, confidence=0.9), normal(0.1, confidence=0.98)])
    assert [f.effect.confidence for f in found] == pytest.approx([0.95, 0.99])


def test_the_chance_of_any_wrong_decision_keeps_its_level(monkeypatch):
    """Five true effects exactly at their margins: any of them decided in at most 5 %; without Holm it were 23 %."""
    monkeypatch.setattr(verdict, "clusters_to_decide", lambda *_: None)  # slow, and not asked here
    rng, experiments, wrong = np.random.default_rng(0), 1200, 0
    for values in rng.normal(0.1, 0.1, (experiments, 5)):
        wrong += any(f.verdict != INCONCLUSIVE for f in judge([normal(value) for value in values]))
    assert wrong / experiments <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / experiments)


@given(st.lists(st.floats(-0.5, 0.9), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_checks_does_not_matter(values, random):
    questions = [normal(value, check=str(i)) for i, value in enumerate(values)]
    mixed = random.sample(questions, len(questions))
    assert [f.check for f in judge(mixed)] == [q.check for q in mixed]
    assert {f.check: f for f in judge(questions)} == {f.check: f for f in judge(mixed)}


@given(st.lists(st.floats(-0.5, 0.9), min_size=2, max_size=5))
def test_a_further_check_never_widens_a_verdict(values):
    """What is decided beside others is decided alike alone."""
    for value, finding in zip(values, judge([normal(v) for v in values]), strict=True):
        assert finding.verdict in (judge([normal(value)])[0].verdict, INCONCLUSIVE)


# Photographs by G*Power 3.1 for a two-sided one-sample t test at 0.05 with power 0.8, by effect size d = distance / s.
@pytest.mark.parametrize(("d", "photographs"), [(0.3, 90), (0.5, 34), (0.8, 15)])
@pytest.mark.parametrize(
    ("value", "margin", "distance"),
    [
        (0.3, 0.1, 0.2),  # above the margin: to be told from it
        (0.1, 0.3, 0.2),  # below it
        (0.5, 0.01, 0.49),  # far above a small one
        (0.0, 0.2, 0.2),
        (-0.1, 0.2, 0.2),  # below zero: a loss as large as the margin must be seen too
        (-0.6, 0.3, 0.3),
    ],
)
def test_the_photographs_that_would_decide(value, margin, distance, d, photographs):
    effect = an_effect(value, value - 1, value + 1, spread=distance / d, n=4)
    (found,) = judge([a_question(effect, at_most=margin)])
    assert (found.verdict, found.images_needed) == (INCONCLUSIVE, photographs)


def test_more_photographs_are_needed_than_did_not_decide():
    """The formula gives 34, but 50 were there."""
    effect = an_effect(0.3, -1.0, 1.0, spread=0.4, n=50)
    assert judge([a_question(effect)])[0].images_needed == 51


def test_a_stricter_confidence_needs_more_photographs():
    """Two undecided checks are read at 0.975: (2.32 + 0.85) / sqrt(n) = 0.5 from n = 41 on."""
    wide = [normal(0.3, 0.4, check=str(i)) for i in range(2)]
    spread = [replace(q, effect_at=lambda c, q=q: replace(q.effect_at(c), spread=0.4, n=4)) for q in wide]
    assert [f.images_needed for f in judge(spread[:1])] == [34]
    assert [f.images_needed for f in judge(spread)] == [41, 41]


@pytest.mark.parametrize(
    ("effect", "margin"),
    [
        (an_effect(0.1, -1.0, 1.0), 0.1),  # exactly at the margin: no number tells
        (an_effect(-0.1, -1.0, 1.0), 0.0),  # nothing measured passes a margin of 0: it would have to see a loss of 0
        (an_effect(-0.5, -1.0, 1.0), -0.2),
        (an_effect(-0.2, -0.3, -0.1, saturated="floor"), 0.1),  # more of the same pictures do not help
        (an_effect(0.1 + 1e-5, -1.0, 1.0), 0.1),  # 800 million photographs
        (an_effect(0.0, 0.0, 0.05), 0.1),  # PASS
        (an_effect(0.5, 0.4, 0.6), 0.1),  # FAIL
    ],
)
def test_where_no_number_is_told(effect, margin):
    assert judge([a_question(effect, at_most=margin)])[0].images_needed is None


def test_the_photographs_that_would_decide_do():
    """A true loss of 0.2 with a spread of 0.4 and 34 photographs: FAIL of a claim of 0 in about 80 %."""
    rng = np.random.default_rng(3)
    means = rng.normal(0.2, 0.4, (4000, 34))
    half = stats.t.ppf(0.975, 33) * means.std(1, ddof=1) / 34**0.5
    assert (means.mean(1) - half > 0).mean() == pytest.approx(0.8, abs=0.03)


def a_finding(found):
    return Finding(check="x", claim=a_claim(), effect=an_effect(0, 0, 0), verdict=found, reason="")


def a_control(passed):
    return Control(name="c", expected="e", observed="o", passed=passed)


@pytest.mark.parametrize("verdicts", [v for n in (1, 2, 3) for v in itertools.product(Verdict, repeat=n)])
def test_overall_is_the_worst(verdicts):
    """INVALID, FAIL, INCONCLUSIVE, PASS, from the worst on, wherever it stands; a failed control is INVALID."""
    worst = min(verdicts, key=[INVALID, FAIL, INCONCLUSIVE, PASS].index)
    findings = [a_finding(found) for found in verdicts]
    assert overall(findings, [a_control(True)]) == overall(findings, []) == worst
    assert overall(findings, [a_control(True), a_control(False)]) == INVALID


def test_nothing_asked_is_invalid():
    assert overall([], [a_control(True)]) == INVALID
    assert judge([]) == []
