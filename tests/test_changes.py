"""Changes by the decision rule, then by simulation: false alarms on equal runs, a planted regression, slow drift."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from test_verdict import an_effect

from perturb import changes
from perturb.changes import LOSS, Change, Changes, ChangeVerdict, Pairing, RunSummary, decide, from_json, judge, overall
from perturb.errors import InputError
from perturb.files import encode

MARGIN = 0.05
A_RUN = RunSummary(run="a", model="net", weights="0", device="cpu", timestamp="2026-01-01T00:00:00+00:00")


def a_change(value, low, high, **more):
    return an_effect(value, low, high, **more)


@pytest.mark.parametrize(
    ("effect", "verdict", "words"),
    [
        (a_change(-0.1, -0.13, -0.06), ChangeVerdict.REGRESSED, "whole interval lies below -0.05"),
        (a_change(-0.05, -0.08, -0.02), ChangeVerdict.REGRESSED, "a fall beyond 0.05 is not ruled out"),
        (a_change(-0.05, -0.11, 0.01), ChangeVerdict.INCONCLUSIVE, "room for no change and for one beyond 0.05"),
        (a_change(-0.03, -0.045, -0.01), ChangeVerdict.EQUIVALENT, "lies within 0.05"),
        (a_change(0.08, 0.04, 0.12), ChangeVerdict.IMPROVED, "a rise beyond 0.05 is not ruled out"),
        (a_change(0.08, 0.06, 0.12), ChangeVerdict.IMPROVED, "whole interval lies above 0.05"),
        (a_change(0.0, -0.05, 0.05), ChangeVerdict.EQUIVALENT, "lies within 0.05"),
        (a_change(0.0, -0.01, 0.01, saturated="floor"), ChangeVerdict.INCONCLUSIVE, "the baseline is at the floor"),
        (a_change(-0.1, -0.13, -0.06, saturated="floor"), ChangeVerdict.REGRESSED, "lower"),
    ],
)
def test_the_decision_rule(effect, verdict, words):
    found, reason = decide(effect, MARGIN)
    assert found == verdict
    assert words in reason


def test_the_same_evidence_needs_no_statistics():
    """An unchanged model with a handful of photographs is not asked for more of them."""
    handful = a_change(0.0, -0.6, 0.6)
    assert decide(handful, MARGIN)[0] == ChangeVerdict.INCONCLUSIVE
    assert decide(handful, MARGIN, identical=True)[0] == ChangeVerdict.EQUIVALENT


def twice(rng, images, pairs, *, before, after, agree=0.8, spread=0.1):
    """The same trials in two runs: pictures differ in difficulty, and `agree` is how far the runs share a trial's luck.

    Each outcome is a Gaussian evidence above the threshold of its rate; `agree` is the correlation between the runs.
    """
    shift = rng.normal(0, spread, (images, 1))
    shared = rng.standard_normal((images, pairs))
    found = []
    for rate in (before, after):
        own = rng.standard_normal((images, pairs))
        threshold = stats.norm.ppf(np.clip(rate + shift, 0.001, 0.999))
        found.append((agree**0.5 * shared + (1 - agree) ** 0.5 * own < threshold).astype(float))
    return found


def a_pairing(
    before, after, *, check="pixel", quantity="detection at dead places", against="accepted", crops=1, **more
):
    photograph = np.arange(len(before)) // crops
    return Pairing(
        check=check, quantity=quantity, against=against, before=before, after=after, photograph=photograph, **more
    )


def test_counts_and_means_of_a_change():
    before = np.array([[1, 1], [1, 0], [0, 0]] * 4, dtype=float)
    after = np.array([[1, 0], [0, 1], [1, 1]] * 4, dtype=float)
    (change,) = judge([a_pairing(before, after)], margin=MARGIN, seed=0)
    assert (change.fell, change.rose) == (4, 4)  # photographs; four lost one pair and won another
    assert (change.before, change.after) == (0.5, pytest.approx(2 / 3))
    assert change.effect.value == pytest.approx(1 / 6)
    assert (change.verdict, change.effect.n) == (ChangeVerdict.INCONCLUSIVE, 12)
    assert change.needed > 12


def test_exchanging_the_runs_exchanges_the_verdicts():
    before, after = twice(np.random.default_rng(0), 100, 4, before=0.85, after=0.6)
    (there,) = judge([a_pairing(before, after)], margin=MARGIN, seed=0)
    (back,) = judge([a_pairing(after, before)], margin=MARGIN, seed=0)
    assert (there.verdict, back.verdict) == (ChangeVerdict.REGRESSED, ChangeVerdict.IMPROVED)
    assert (there.fell, there.rose) == (back.rose, back.fell)
    assert there.effect.value == -back.effect.value


def test_the_loss_is_shown_and_not_judged():
    """A model that merely sees more at live places has not regressed, though its loss has grown."""
    rng = np.random.default_rng(0)
    dead, live, better = rng.random((3, 60, 4)) < np.array([0.3, 0.5, 0.95])[:, None, None]
    found = judge(
        [
            a_pairing(live.astype(float), better.astype(float), quantity="detection at live places"),
            a_pairing(live.astype(float) - dead, better.astype(float) - dead, quantity=LOSS, asked="nothing"),
        ],
        margin=MARGIN,
        seed=0,
    )
    assert [change.verdict for change in found] == [ChangeVerdict.IMPROVED, None]
    assert found[1].effect.low > 0
    assert overall(found) == ChangeVerdict.IMPROVED


@pytest.mark.slow
@pytest.mark.parametrize(("verdict", "change"), [(ChangeVerdict.EQUIVALENT, -0.2), (ChangeVerdict.REGRESSED, 0.0)])
def test_rare_photographs_do_not_deceive(verdict, change):
    """A share of the photographs loses everything, and the mean change lies on the verdict's boundary: 2.5 % at most.

    EQUIVALENT at a fall of the margin, 0.2. REGRESSED at no change: one in ten loses all, the others gain a ninth.
    """
    rng, found = np.random.default_rng(8), 0
    for _ in range(400):
        lost = rng.random((40, 1)) < 0.2 - (change == 0) / 10
        after = np.where(lost, 0.0, 1.0)
        before = np.ones((40, 1)) if change else np.where(lost, 1.0, 8 / 9)
        (one,) = judge([a_pairing(before, after)], margin=-change or 0.001, seed=0)
        found += one.verdict == verdict
    assert found / 400 <= 0.025 + 3 * (0.025 * 0.975 / 400) ** 0.5


@pytest.mark.slow
def test_equal_runs_are_not_told_apart():
    """250 A/A suites of two checks, four tests each: REGRESSED or IMPROVED in 5 % at most, REGRESSED in 2.5 %.

    24 photographs with two crops each; the runs come out otherwise in a seventh of the trials.
    """
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(250):
        pairings = [
            a_pairing(*twice(rng, 48, 4, before=rate, after=rate), check=check, crops=2)
            for check in ("pixel", "patch")
            for rate in (0.3, 0.85)
        ]
        found = judge(pairings, margin=MARGIN, seed=0)
        verdicts.append({change.verdict for change in found})
    alarms = sum(bool(v & {ChangeVerdict.REGRESSED, ChangeVerdict.IMPROVED}) for v in verdicts)
    assert alarms <= 12
    assert sum(ChangeVerdict.REGRESSED in v for v in verdicts) <= 6


def test_a_regression_of_5_points_is_found():
    """800 photographs, one trial on each, detection 0.85 before and 0.80 after; 8 % of the trials come out otherwise.

    A second test stands beside it. With 400 photographs the fall is found in 57 % of the runs: an interval that holds
    for every distribution asks for about twice as many as McNemar's test, which does not.
    """
    rng, found = np.random.default_rng(4), 0
    for _ in range(30):
        before, after = twice(rng, 800, 1, before=0.85, after=0.80, agree=0.95, spread=0.0)
        other = twice(rng, 800, 1, before=0.9, after=0.9, agree=0.95, spread=0.0)
        fallen, _ = judge([a_pairing(before, after), a_pairing(*other)], margin=0.02, seed=0)
        found += fallen.verdict == ChangeVerdict.REGRESSED
    assert found >= 25


@pytest.mark.parametrize(
    ("value", "error", "verdict", "confidence"),
    [(-0.21, 0.1, ChangeVerdict.INCONCLUSIVE, 0.975), (0.0, 0.025, ChangeVerdict.EQUIVALENT, 0.95)],
)
def test_two_tests_share_the_error_rate_of_a_change_alone(monkeypatch, value, error, verdict, confidence):
    """-0.21 + 0.1 z lies below 0 at 0.95, not at 0.975; 0.025 z lies within 0.05 at 0.95, not at 0.975."""

    def effect(pairing, at, seed):
        half = stats.norm.ppf((1 + at) / 2) * error
        return an_effect(value, value - half, value + half, confidence=at)

    monkeypatch.setattr(changes, "_effect", effect)
    found = judge([a_pairing(np.ones((4, 1)), np.ones((4, 1)))] * 2, margin=MARGIN, seed=0)
    assert [(one.verdict, one.effect.confidence) for one in found] == [(verdict, confidence)] * 2


def test_changes_survive_their_json():
    found = Changes(
        schema=3,
        suite="s",
        verdict=ChangeVerdict.INCONCLUSIVE,
        margin=MARGIN,
        baseline=A_RUN,
        candidate=replace(A_RUN, run="b"),
        changes=judge([a_pairing(*twice(np.random.default_rng(0), 20, 2, before=0.8, after=0.8))], margin=0.1, seed=0),
    )
    assert from_json(encode(found)) == found
    assert isinstance(found.changes[0], Change)
    with pytest.raises(InputError, match="schema: 99 is not one that this version reads"):
        from_json(encode(found).replace('"schema": 3', '"schema": 99'))
