"""A baseline and what is held against it."""

from dataclasses import replace

import numpy as np
import pytest
from test_changes import twice
from toyruns import a_measurement, a_run

from perturb import runs
from perturb.baseline import SuiteKey, accept, compare, conditions, decided, from_json
from perturb.changes import ChangeVerdict
from perturb.errors import InputError
from perturb.files import encode
from perturb.records import Measurements

FULL = np.ones((300, 2))


def detecting(rate, *, live=0.9, seed=0, **conditions):
    """Trials of which a share is detected; the more detected ones hold the fewer, so every difference is one way."""
    luck = np.random.default_rng(seed).random((2, 300, 2))
    return a_measurement(luck[0] < rate, luck[1] < live, **conditions)


def verdicts(found):
    return {(change.quantity, change.against): change.verdict for change in found.changes}


def test_a_run_against_itself_is_equivalent():
    run = a_run(detecting(0.8))
    found = compare(accept(run, "one"), run, "one")
    assert found.verdict == ChangeVerdict.EQUIVALENT
    assert {change.fell + change.rose for change in found.changes} == {0}
    assert "the very same evidence" in found.changes[0].reason


def test_a_fall_at_dead_places_is_a_regression_whatever_live_places_do():
    before, after = a_run(detecting(0.8, live=0.8)), a_run(detecting(0.7, live=0.95))
    found = compare(accept(before, "one"), after, "two")
    assert found.verdict == ChangeVerdict.REGRESSED
    assert verdicts(found) == {
        ("detection at dead places", "accepted"): ChangeVerdict.REGRESSED,
        ("detection at live places", "accepted"): ChangeVerdict.IMPROVED,
        ("loss", "accepted"): None,
    }
    assert (found.baseline.run, found.candidate.run) == ("one", "two")


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (a_run(detecting(0.8, level=0.25)), "pixel: levels 0.5 and 0.25; measure the candidate with --baseline"),
        (a_run(detecting(0.8, row=1)), "pixel: dead and live places; measure"),
        (a_run(detecting(0.8), pictures="others"), "judged pictures: their pixels differ"),
        (a_run(detecting(0.8), verdict="INVALID"), "the candidate's run is INVALID"),
        (a_run(a_measurement(FULL[:, :1], FULL[:, :1])), "pixel: 2 pairs an image with 1 seeds, and 1 with 1"),
        (replace(a_run(), measured={}), "pixel: not measured"),
    ],
)
def test_unlike_runs_are_incomparable_and_say_why(candidate, words):
    found = compare(accept(a_run(detecting(0.8)), "one"), candidate, "two")
    assert found.verdict == ChangeVerdict.INCOMPARABLE
    assert words in found.differs[0]
    assert found.changes == ()


@pytest.mark.parametrize(("before", "after"), [(300, 120), (120, 300)])
def test_a_run_that_stopped_early_is_compared_on_the_photographs_that_both_judged(before, after):
    def run(rate, photographs):
        luck = np.random.default_rng(0).random((2, 300, 2))[:, :photographs]
        return a_run(a_measurement(luck[0] < rate, luck[1] < 0.9))

    baseline = accept(run(0.8, before), "one")
    found = compare(baseline, run(0.8, after), "two")
    assert (found.verdict, found.changes[0].effect.n) == (ChangeVerdict.EQUIVALENT, 120)
    assert "the very same evidence" in found.changes[0].reason
    found = compare(baseline, run(0.5, after), "two")
    assert (found.verdict, found.changes[0].effect.n) == (ChangeVerdict.REGRESSED, 120)
    kept = accept(run(0.79, after), "two", before=baseline).experiments["pixel"]
    assert {arm.images for arm in kept.accepted.values()} == {after}
    assert kept.best["dead"].run == "one"
    assert kept.best["dead"].images == 120


def test_a_change_is_decided_or_not():
    baseline = accept(a_run(detecting(0.8)), "one")

    def seen(one):
        return Measurements(measured={"pixel": one}, repeated={}, own={})

    assert decided(baseline, seen(detecting(0.8)))
    assert decided(baseline, seen(detecting(0.5)))
    assert not decided(baseline, seen(a_measurement(FULL[:4], FULL[:4])))


def test_a_run_whose_trials_do_not_pair_waits_for_no_change():
    """Other places, or another number of pairs: INCOMPARABLE, after however many photographs."""
    baseline = accept(a_run(detecting(0.8)), "one")
    for one in (detecting(0.8, row=1), a_measurement(np.ones((4, 3)), np.ones((4, 3)))):
        assert decided(baseline, Measurements(measured={"pixel": one}, repeated={}, own={}))
    two = replace(baseline, experiments={"pixel": baseline.experiments["pixel"], "box": baseline.experiments["pixel"]})
    both = {"pixel": a_measurement(FULL[:4], FULL[:4]), "box": detecting(0.8, row=1)}  # the first alone is undecided
    assert decided(two, Measurements(measured=both, repeated={}, own={}))


def test_each_model_is_judged_at_its_own_places():
    """A new lattice: the old dead places are seen again, and the new ones are as dead as the old ones were."""
    baseline = accept(a_run(detecting(0.6)), "one")
    moved = a_run(detecting(0.6, level=0.1, row=1), repeated=detecting(0.9), own=detecting(0.6, row=1))
    found = compare(baseline, moved, "two")
    assert verdicts(found) == {
        ("detection at dead places", "accepted"): None,
        ("detection at live places", "accepted"): None,
        ("detection at each model's own dead places", "accepted"): ChangeVerdict.EQUIVALENT,
        ("detection at each model's own live places", "accepted"): ChangeVerdict.EQUIVALENT,
        ("loss", "accepted"): None,
    }
    assert found.verdict == ChangeVerdict.EQUIVALENT
    assert found.warnings == (
        "pixel: the two maps have 0 of 1 dead phases in common, so each model is judged at its own places",
    )
    deader = a_run(detecting(0.6, row=1), repeated=detecting(0.9), own=detecting(0.4, row=1))
    assert compare(baseline, deader, "two").verdict == ChangeVerdict.REGRESSED
    mended = a_run(detecting(0.6, row=1), repeated=detecting(0.9), own=detecting(0.9, row=1))
    assert compare(baseline, mended, "two").verdict == ChangeVerdict.IMPROVED
    fallen = a_run(detecting(0.6, row=1), repeated=detecting(0.4), own=detecting(0.6, row=1))
    assert compare(baseline, fallen, "two").verdict == ChangeVerdict.REGRESSED


def test_places_of_its_own_are_accepted_with_a_run():
    """A third model with the lattice of the second is compared with it at their places."""
    first = accept(a_run(detecting(0.6)), "one")
    moved = a_run(detecting(0.6, level=0.1, row=1), repeated=detecting(0.9), own=detecting(0.6, row=1))
    second = accept(moved, "two", before=first)
    assert second.experiments["pixel"].own["dead"].rate == pytest.approx(0.6, abs=0.05)
    assert from_json(encode(second)) == second
    back = compare(second, a_run(detecting(0.6)), "back")  # its map chooses the first places again
    assert verdicts(back)["detection at each model's own dead places", "accepted"] == ChangeVerdict.EQUIVALENT
    deader = a_run(detecting(0.6, row=1), repeated=detecting(0.9), own=detecting(0.4, row=1))
    assert compare(second, moved, "again").verdict == ChangeVerdict.EQUIVALENT
    found = compare(second, deader, "three")
    assert found.verdict == ChangeVerdict.REGRESSED
    assert verdicts(found)["detection at each model's own dead places", "accepted"] == ChangeVerdict.REGRESSED


def test_what_limits_a_comparison_is_said():
    flat = a_measurement(FULL, FULL)
    (place,) = flat.conditions.locations
    flat = replace(flat, conditions=replace(flat.conditions, locations=(replace(place, balanced=True),)))
    other = a_run(a_measurement(FULL, FULL))
    report = replace(other.report, model=replace(other.report.model, reference="another"))
    found = compare(accept(a_run(flat), "one"), replace(other, report=report), "two")
    assert found.verdict == ChangeVerdict.EQUIVALENT
    network, lattice = found.warnings
    assert network.endswith("another network: its places say little of `another`")
    assert lattice == "pixel: the baseline's map is flat: its places are random, and show no lattice of the candidate"


def test_other_suites_are_incomparable():
    baseline = accept(a_run(detecting(0.8)), "one")
    other = replace(baseline, suite=SuiteKey(name="other", digest="0" * 64))
    found = compare(other, a_run(detecting(0.8)), "two")
    assert (found.verdict, found.differs[0][:27]) == (ChangeVerdict.INCOMPARABLE, "suites: other 000000000000 ")


def test_a_baseline_without_trials_is_an_error():
    baseline = accept(a_run(detecting(0.8)), "one")
    past = baseline.experiments["pixel"]
    none = {arm: replace(kept, images=0) for arm, kept in past.accepted.items()}
    for experiments in ({"pixel": replace(past, accepted=none)}, {"pixel": replace(past, pairs=0)}, {}):
        with pytest.raises(InputError, match="holds no trials"):
            compare(replace(baseline, experiments=experiments), a_run(detecting(0.8)), "two")


def test_bits_and_phases_are_checked_when_the_file_is_read():
    baseline = accept(a_run(detecting(0.8)), "one")
    text, bits = encode(baseline), baseline.experiments["pixel"].accepted["dead"].detected
    for broken, words in (
        (text.replace(bits, bits[:40]), "1 x 300 x 2 trials do not fit 30 bytes"),
        (text.replace(bits, bits[:41]), "base64"),
        (text.replace('"0,0"', '"0,0 1"'), 'dead_phases: expected "row,column'),
        (text.replace('"live": {', '"other": {', 1), "accepted: expected .'dead', 'live'., got .'dead', 'other'."),
    ):
        with pytest.raises(InputError, match=words):
            from_json(broken)


def test_what_was_measured_at_the_baselines_conditions_is_compared():
    """The candidate's own places and level are others; its repetition at the baseline's is what pairs."""
    baseline = accept(a_run(detecting(0.8)), "one")
    own = detecting(0.2, level=0.1, row=1)
    found = compare(baseline, a_run(own, repeated=detecting(0.8)), "two")
    assert found.verdict == ChangeVerdict.EQUIVALENT
    asked = conditions(baseline)["pixel"]
    assert (asked.level, asked.locations[0].dead.tolist(), asked.locations[0].period) == (0.5, [[0, 0]], 2)
    accepted = accept(a_run(own, repeated=detecting(0.79)), "two", before=baseline)
    assert conditions(accepted)["pixel"].level == 0.5
    assert accepted.experiments["pixel"].best["dead"].run == "one"
    assert accepted.experiments["pixel"].accepted["dead"].run == "two"


def test_a_baseline_begins_anew_where_nothing_pairs():
    accepted = accept(a_run(detecting(0.2, level=0.1)), "two", before=accept(a_run(detecting(0.8)), "one"))
    assert {arm.run for arm in accepted.experiments["pixel"].best.values()} == {"two"}


def test_slow_drift_is_seen_against_the_best():
    """Steps of two points, each accepted and each within the margin: before long the best is out of reach."""
    baseline = accept(a_run(detecting(0.9)), "0")
    for step, rate in enumerate((0.88, 0.86, 0.84, 0.82, 0.8, 0.78, 0.76), start=1):
        run = a_run(detecting(rate))
        found = verdicts(compare(baseline, run, str(step)))
        assert found["detection at dead places", "accepted"] == ChangeVerdict.EQUIVALENT
        assert baseline.experiments["pixel"].best["dead"].run == "0"
        if found.get(("detection at dead places", "best")) == ChangeVerdict.REGRESSED:
            break
        baseline = accept(run, str(step), before=baseline)
    assert 2 <= step <= 5


def test_who_accepts_a_regression_has_decided():
    """The best begins anew from it, at the same places and level: it is not held up for ever."""
    worse = a_run(detecting(0.6))
    baseline = accept(worse, "worse", before=accept(a_run(detecting(0.9)), "one"))
    tracked = baseline.experiments["pixel"]
    assert ({arm.run for arm in tracked.best.values()}, tracked.runs, tracked.level) == ({"worse"}, 1, 0.5)
    assert compare(baseline, worse, "again").verdict == ChangeVerdict.EQUIVALENT


@pytest.mark.slow
def test_the_best_of_many_equal_runs_raises_no_alarm():
    """Ten runs equal but for luck, each accepted: the best is best by luck, and an eleventh is not blamed for it.

    In 20 histories at most 3 alarms: P(X > 3) < 1 % for X ~ B(20, 0.025).
    """
    rng, live, alarms = np.random.default_rng(0), np.ones((25, 2)), 0
    for _ in range(20):
        runs = [a_run(a_measurement(twice(rng, 25, 2, before=0.8, after=0.8)[0], live)) for _ in range(11)]
        baseline = None
        for run in runs[:-1]:
            baseline = accept(run, "accepted", before=baseline)
        found = verdicts(compare(baseline, runs[-1], "new"))
        alarms += found.get(("detection at dead places", "best")) == ChangeVerdict.REGRESSED
    assert baseline.experiments["pixel"].runs == 10
    assert alarms <= 3


def test_an_invalid_run_is_no_baseline():
    with pytest.raises(InputError, match="its instrument failed"):
        accept(a_run(verdict="INVALID"), "one")


def test_the_file_survives_and_is_small():
    """300 photographs with 2 trials: 27 bytes of digests each, and a bit for each trial and arm."""
    baseline = accept(a_run(detecting(0.8)), "0" * 64, margin=0.02)
    text = encode(baseline)
    assert from_json(text) == baseline
    assert len(text) < 300 * 27 + 3000
    for broken in ("", "[]", "{}", text.replace('"schema": 4', '"schema": 5'), text.replace('"margin"', '"margins"')):
        with pytest.raises(InputError, match=r"^`baseline\.json`: [^\n]+$"):
            from_json(broken)


@pytest.mark.slow
def test_a_million_trials_are_accepted_and_read_again(rng):
    """20,000 photographs, 25 pairs and two arms: within the limits of what is read."""
    run = a_run(a_measurement(*rng.random((2, 20_000, 25))))
    again = runs.decode(runs.encode(run))
    np.testing.assert_array_equal(again.measured["pixel"].seen.evidence, run.measured["pixel"].seen.evidence)
    text = encode(accept(run, "one"))
    assert len(text) < 5_000_000
    assert from_json(text).experiments["pixel"].accepted["dead"].images == 20_000
