"""Verdicts: the decision rule at its bounds, Holm's share of the error rate, how many photographs would decide."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from perturb import verdict
from perturb.records import Claim, Control, Effect, Finding, Needed, Verdict
from perturb.stats.betting import betting_interval
from perturb.stats.power import clusters_to_decide
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
    return a_question(an_effect(value, value, value, method=method, spread=0.0), check=check)


@pytest.mark.parametrize(
    ("effect", "expected", "reason"),
    [
        (an_effect(0.05, 0.01, 0.09), PASS, "the whole interval lies within 0.1; a larger value passes at most 0.025"),
        (an_effect(0.05, 0.01, 0.1), PASS, "the whole interval lies within 0.1; a larger value passes at most 0.025"),
        (an_effect(0.3, 0.11, 0.4), FAIL, "the whole interval lies above 0.1"),
        (an_effect(0.3, 0.1, 0.4), INCONCLUSIVE, "the interval contains 0.1"),
        (an_effect(0.1, 0.05, 0.2), INCONCLUSIVE, "the interval contains 0.1"),
        (an_effect(0.1, 0.1, 0.1, method="exact"), PASS, "at most 0.1"),
        (an_effect(0.1001, 0.1001, 0.1001, method="exact"), FAIL, "the whole interval lies above 0.1"),
        (an_effect(0.5, 0.4, 0.6, saturated="floor"), FAIL, "the whole interval lies above 0.1"),
    ],
)
def test_the_decision_rule_and_its_bounds(effect, expected, reason):
    """An end on the margin is within it: 0.1 is at most 0.1."""
    found, why = decide(a_claim(), effect)
    assert (found, why.removesuffix(" of the time")) == (expected, reason)


@pytest.mark.parametrize(
    ("end", "words"), [("floor", "at the floor: too little is seen"), ("ceiling", "at the ceiling: nearly everything")]
)
def test_a_saturated_detection_never_passes(end, words):
    """It is told after an interval that contains the margin."""
    found, reason = decide(a_claim(), an_effect(0.0, 0.0, 0.01, saturated=end))
    assert (found, words in reason) == (INCONCLUSIVE, True)
    assert decide(a_claim(), an_effect(0.1, 0.0, 0.2, saturated=end))[1] == "the interval contains 0.1"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_what_is_not_finite_decides_nothing(field, bad):
    with pytest.raises(ValueError, match="effect of accuracy-loss is not finite"):
        decide(a_claim(), replace(an_effect(0, 0, 0), **{field: bad}))


def test_the_largest_finite_effect_is_decided():
    """An infinite imbalance is kept as 1e308."""
    assert decide(a_claim(2), an_effect(1e308, 1e308, 1e308))[0] == FAIL


SMALL = st.integers(-20, 20)


@given(st.tuples(SMALL, SMALL, SMALL).map(sorted), SMALL, SMALL)
def test_a_wider_margin_never_makes_it_worse(ends, one, other):
    """In the order FAIL, INCONCLUSIVE, PASS; and no interval is decided both ways."""
    low, value, high = ends
    effect = an_effect(value, low, high)
    order = [FAIL, INCONCLUSIVE, PASS]
    narrow, wide = (order.index(decide(a_claim(margin), effect)[0]) for margin in sorted((one, other)))
    assert narrow <= wide


def test_no_verdict_errs_beyond_its_level():
    """A true loss exactly at the margin, few photographs of which some lose everything: FAIL and PASS in 2.5 % each."""
    rng, found = np.random.default_rng(2), []
    for _ in range(600):
        means = (rng.random((40, 1)) < 0.2).mean(1)
        low, high = betting_interval(means, (-1, 1), 0.95)
        found.append(decide(a_claim(0.2), an_effect(means.mean(), low, high, n=40))[0])
    allowed = 0.025 + 3 * np.sqrt(0.025 * 0.975 / 600)
    assert found.count(FAIL) / 600 <= allowed
    assert found.count(PASS) / 600 <= allowed
    assert INCONCLUSIVE in found


def test_two_checks_share_the_error_rate_of_fail():
    """0.3 -+ 0.1 z: above 0.1 at 0.95 (z = 1.960), not at 0.975 (z = 2.241). One alone fails, two are undecided."""
    (alone,) = judge([normal(0.3)])
    assert (alone.verdict, alone.effect.low) == (FAIL, pytest.approx(0.1040, abs=1e-4))
    for finding in judge([normal(0.3), normal(0.3)]):
        assert (finding.verdict, finding.effect.confidence) == (INCONCLUSIVE, 0.975)
        assert finding.effect.low == pytest.approx(0.0759, abs=1e-4)
        assert "above it at 0.95 alone, not at the 0.975 that several checks ask for" in finding.reason


@pytest.mark.parametrize("checks", [1, 3, 10])
def test_each_check_passes_at_its_own_level(checks):
    """-0.1 + 0.1 z is 0.096 at 0.95: it passes beside others as alone, since the suite passes only if each does."""
    for finding in judge([normal(-0.1, check=str(i)) for i in range(checks)]):
        assert (finding.verdict, finding.effect.confidence) == (PASS, 0.95)


def test_a_decided_check_frees_its_share():
    """A clear one is decided at 0.975 and leaves: the other is read at 0.95 again, where it fails."""
    clear, near = judge([normal(0.9), normal(0.3)])
    assert (clear.verdict, clear.effect.confidence) == (FAIL, 0.975)
    assert (near.verdict, near.effect.confidence) == (FAIL, 0.95)


def test_a_pass_frees_no_share():
    """Holm shares the error rate of FAIL alone: beside a clear PASS, 0.3 is read at 0.975, where it does not fail."""
    clear, near = judge([normal(-0.9), normal(0.3)])
    assert (clear.verdict, near.verdict, near.effect.confidence) == (PASS, INCONCLUSIVE, 0.975)


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
    """Claims of 0.9 and 0.98, both undecided."""
    found = judge([normal(0.1, confidence=0.9), normal(0.1, confidence=0.98)])
    assert [f.effect.confidence for f in found] == pytest.approx([0.9, 0.98])


def test_the_chance_of_any_wrong_decision_keeps_its_level(monkeypatch):
    """Five true effects exactly at their margins: any FAIL in at most 2.5 %, and a PASS of all of them as rarely."""
    for slow in ("clusters_to_decide", "least_mean_found"):  # and not asked here
        monkeypatch.setattr(verdict, slow, lambda *_, **__: None)
    rng, experiments, fails, passes = np.random.default_rng(0), 1200, 0, 0
    for values in rng.normal(0.1, 0.1, (experiments, 5)):
        verdicts = {f.verdict for f in judge([normal(value) for value in values])}
        fails, passes = fails + (FAIL in verdicts), passes + (verdicts == {PASS})
    allowed = 0.025 + 3 * np.sqrt(0.025 * 0.975 / experiments)
    assert fails / experiments <= allowed
    assert passes / experiments <= allowed


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


def test_the_photographs_to_supply_count_those_to_calibrate_on():
    """Judged are 3 of 5 supplied: 5 / 3 times as many as the judged ones that would decide. The range is one error."""
    effect = an_effect(0.0, -0.2, 0.2, spread=0.2, n=16)
    question = replace(a_question(effect), supply=5 / 3)
    (found,) = judge([question])
    by = {"spread": 0.2, "margin": 0.1, "bounds": (-1, 1), "confidence": 0.95, "have": 16}
    expected = [math.ceil(clusters_to_decide(value=v, **by) * 5 / 3) for v in (0.0, -0.05, 0.05)]
    assert found.needed == Needed(photographs=expected[0], least=expected[1], most=expected[2])
    assert found.needed.least < found.needed.photographs < found.needed.most


@pytest.mark.parametrize(
    ("effect", "margin"),
    [
        (an_effect(0.1, -1.0, 1.0), 0.1),  # exactly at the margin: no number tells
        (an_effect(-0.5, -1.0, 1.0), -1.0),  # a margin that every value exceeds or meets
        (an_effect(-0.2, -0.3, -0.1, saturated="floor"), 0.1),  # more of the same pictures do not help
        (an_effect(0.1 + 1e-5, -1.0, 1.0), 0.1),
        (an_effect(0.0, 0.0, 0.05), 0.1),  # PASS
        (an_effect(0.5, 0.4, 0.6), 0.1),  # FAIL
    ],
)
def test_where_no_number_is_told(effect, margin):
    assert judge([a_question(effect, at_most=margin)])[0].needed is None


@pytest.mark.parametrize("value", [0.09, 0.11])
def test_near_the_margin_the_range_has_no_end(value):
    """A standard error nearer it lies on the other side."""
    needed = judge([a_question(an_effect(value, -0.3, 0.3, spread=0.2, n=16))])[0].needed
    assert needed.most is None
    assert needed.least < needed.photographs


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
