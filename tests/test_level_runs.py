"""Several levels from a suite to a report: what is measured, what is kept, what is refused, what is shown."""

import io
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from rich.console import Console
from test_levels import LEVELS, MAP, seen_at, steps
from toyruns import REPORT, a_measurement, a_run
from toys import network, plain, window
from toyseen import a_plan, experiment

from perturb.errors import UsageError
from perturb.files import encode as written
from perturb.images import load_images
from perturb.plan import curve_levels, plan
from perturb.quantities.detection import ACCURACY_LOSS
from perturb.quantities.level_table import level_table
from perturb.quantities.levels import own_level
from perturb.records import Conditions
from perturb.render import charts, curves, levels, markdown, terminal
from perturb.report import from_json
from perturb.runs import decode, encode
from perturb.stories.experiment_record import experiment_record
from perturb.stories.qualify import examine
from perturb.suite import parse_suite

CURVE = (0.1, 0.3, 1.0)
SUITE = """
name = "levels"
{tables}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
{check}
claim = {claim}
"""
LOSS = '{ quantity = "accuracy-loss", at_most = 0.1 }'


def suite_with(tables="[levels]", check="", claim=LOSS):
    return parse_suite(SUITE.format(tables=tables, check=check, claim=claim), "levels.toml")


def planned(suite):
    nothing = load_images("noise", shape=(3, 64, 64), count=4)
    return plan(suite, network(plain()), nothing)


def test_levels_are_evenly_spaced_on_a_logarithmic_axis():
    assert curve_levels(suite_with("")) == ()
    assert curve_levels(suite_with("[levels]")) == pytest.approx([2 ** (-6 + i / 2) for i in range(13)])
    own = suite_with("[levels]\nlow = 0.25\nhigh = 0.5\ncount = 3")
    assert curve_levels(own) == pytest.approx([0.25, 0.25 * 2**0.5, 0.5])
    assert planned(own)[0].experiment.curve == curve_levels(own)


def test_a_suite_with_levels_asks_something_else():
    bare, table = suite_with(""), suite_with("[levels]")
    assert bare.digest != table.digest != suite_with("[levels]\ncount = 5").digest


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ("[levels]\nlow = 0.5\nhigh = 0.25", r"\[levels\] high = 0.25: expected more than low = 0.5"),
        ("[levels]\nlow = 1.0", r"\[levels\] low = 1.0: input should be less than 1"),
        ("[levels]\ncount = 2", r"\[levels\] count = 2: input should be greater than or equal to 3"),
        ("[levels]\nlevels = 2", r"\[levels\] levels is not a key, expected one of \['low', 'high', 'count'\]"),
    ],
)
def test_levels_that_cannot_be(tables, words):
    with pytest.raises(UsageError, match=words):
        suite_with(tables)


@pytest.mark.parametrize(
    ("tables", "check", "claim", "words"),
    [
        ("", "", '{ quantity = "a90-95", at_most = 0.5 }', "'a90-95' is about several levels: add a table"),
        (
            "[levels]",
            "",
            '{ quantity = "a90", at_most = 5 }',
            "at_most = 5 of 'a90': expected a number between",
        ),
        ("[levels]", "", '{ quantity = "penalty-db", at_most = 1e308 }', "expected a number between -60 and 60"),
        (
            '[levels]\n[task]\nkind = "presence"\n[training]',
            "level = 1.0",
            LOSS,
            r"\[levels\] is for suites without \[task\]",
        ),
    ],
)
def test_what_does_not_go_with_levels_is_refused(tables, check, claim, words):
    with pytest.raises(UsageError, match=words):
        planned(suite_with(tables, check, claim))


def test_annotated_objects_have_no_levels():
    tables = '[levels]\n[images]\nsource = "folder:x"\nannotations = "x.csv"\n[evaluator]\nkind = "boxes"\n'
    suite = parse_suite(
        SUITE.format(tables=tables, check="", claim=LOSS).replace('kind = "pixel"', 'kind = "annotated"'), "levels.toml"
    )
    with pytest.raises(UsageError, match=r"\[levels\] is not for annotated objects"):
        planned(suite)


def test_the_own_level_gives_what_it_gives_alone(leaves):
    """Levels come after the check's own one, on the same trials; nothing that is read at that one changes."""
    alone, loss = experiment(window(3, padding=1), leaves, share=0.7, level=0.3, pairs=2)
    found, _ = experiment(window(3, padding=1), leaves, share=0.7, level=0.3, pairs=2, curve=CURVE)
    seen = found.measurement.seen
    assert seen.levels == (0.3, *CURVE)
    np.testing.assert_allclose(seen.evidence[:, 0], alone.measurement.seen.evidence[:, 0], rtol=1e-4)
    np.testing.assert_allclose(seen.evidence[:, 2], seen.evidence[:, 0], rtol=1e-4)
    assert ACCURACY_LOSS.effect(own_level(seen), found.contribution, confidence=0.95, seed=0) == loss
    one, many = experiment_record(alone), experiment_record(found)
    assert replace(many, levels=None) == replace(one, realised=many.realised)
    assert many.realised == pytest.approx(one.realised)
    assert one.levels is None
    assert many.levels.levels == CURVE
    assert many.levels.series.startswith("Pixel {'mode'")
    assert many.levels.side == 1


def test_a_baseline_is_compared_at_the_own_level(leaves):
    from perturb.stories.experiment import Wanted

    own, _ = experiment(window(3, padding=1), leaves, share=0.7, level=0.3, pairs=2, curve=CURVE)
    moved = Conditions(level=0.5, locations=own.measurement.conditions.locations)
    there, _ = experiment(
        window(3, padding=1),
        leaves,
        share=0.7,
        level=0.3,
        pairs=2,
        curve=CURVE,
        wanted=Wanted(conditions={"toy": moved}),
    )
    assert there.repeated.seen.levels == (0.5,)


def test_a_run_with_levels_survives_its_files():
    measured = a_measurement(np.eye(4), np.ones((4, 4)))
    seen = seen_at(steps(6, photographs=4, pairs=4), steps(2, photographs=4, pairs=4))
    measured = replace(measured, seen=replace(seen, levels=(0.5, *LEVELS), measures={"score": seen.evidence / 2}))
    run = a_run(measured)
    files = encode(run)
    again = decode(files)
    assert encode(again) == files
    back = again.measured["pixel"].seen
    assert back.levels == (0.5, *LEVELS)
    np.testing.assert_array_equal(back.evidence, seen.evidence)
    np.testing.assert_array_equal(back.measures["score"], seen.evidence / 2)
    np.testing.assert_array_equal(own_level(back).evidence, seen.evidence[:, :1])


@cache
def table_of(dead, live, *, photographs=60):
    """Everything is seen from level number `dead` on at dead places, from `live` on at live ones."""
    arms = (steps(at, photographs=photographs) for at in (dead, live))
    return replace(level_table(seen_at(*arms), MAP, seed=0), side=1, series="Box")


def a_report(**tables):
    each = REPORT.experiments[0]
    made = tuple(replace(each, name=name, levels=table) for name, table in tables.items())
    return replace(REPORT, experiments=made)


def printed(found):
    console = Console(file=io.StringIO(), width=160)
    console.print(found)
    return console.file.getvalue()


def test_a_report_with_levels_survives_json():
    found = a_report(pixel=table_of(9, 2))
    assert from_json(written(found)).experiments[0].levels == found.experiments[0].levels


def test_levels_in_words():
    """A value with what is shown of it; what is not reached does not exist; nothing infinite is written."""
    found = a_report(pixel=table_of(6, 2), never=table_of(9, 0))
    for text in (printed(terminal.report(found)), markdown.report(found)):
        assert "above 0.354, at most 0.5" in text  # a50 at dead places
        assert "does not exist, above 1" in text
        assert "at most 0.0625" in text
        assert "no level is enough at dead places [+24.1, unknown]" in text
        assert "inf" not in text.partition("map of")[0].replace("infinite", "")
    few = a_report(pixel=table_of(6, 2, photographs=20))
    said = " ".join(printed(terminal.report(few)).split())
    assert "20 photographs are few: without a miss, a90/95 takes 33, and an upper end of the penalty 46." in said


@pytest.mark.parametrize(
    ("penalties", "sentence"),
    [
        ((4, 0, 0), "From a side of 2 pixels on, the penalty is measured below 1 dB. This is not shown."),
        ((4, 0, 4), "The penalty is not below 1 dB at the largest size."),
        ((4, -3, -3), "From a side of 2 pixels on, the penalty is shown to be below 1 dB."),
        ((4, 0, -3), "From a side of 3 pixels on, the penalty is shown to be below 1 dB (measured from 2 on)."),
    ],
)
def test_the_size_from_which_the_penalty_is_below_1_db(penalties, sentence):
    """By how many levels dead places lie behind live ones, for sides 1, 2, 3; from the largest down."""
    sizes = {f"box-{i + 1}": replace(table_of(4 + n, 4), side=i + 1) for i, n in enumerate(penalties)}
    (law,) = levels.size_laws(a_report(**sizes).experiments)
    assert law.sentence == sentence
    assert [each.levels.side for each in law.series] == [1, 2, 3]


def test_sizes_of_one_series_belong_together():
    one, two = (replace(table_of(6, 2), side=side) for side in (1, 2))
    assert list(levels.size_laws(a_report(a=one, b=replace(two, series="Blob")).experiments)) == []
    assert list(levels.size_laws(a_report(a=one, b=replace(one)).experiments)) == []
    assert list(levels.size_laws(a_report(a=replace(one, series=""), b=replace(two, series="")).experiments)) == []


def test_the_chart_marks_a90_where_the_curve_has_it():
    """Marks at every level in both arms, curves where there are any, a90 within the levels that were tried."""
    found = table_of(6, 9)
    text = curves.probability_of_detection(found, "noticed")
    values = [layer["data"].get("values") or text["datasets"][layer["data"]["name"]] for layer in text["layer"]]
    marks = [row for rows in values for row in rows if "pictures" in row]
    assert {(row["places"], row["level"]) for row in marks} == set(product(("dead", "live"), LEVELS))
    reached = [row for rows in values for row in rows if "a90" in row]
    assert {row["places"] for row in reached} == {"dead"}
    assert (reached[0]["from"], reached[0]["to"]) == (LEVELS[5], LEVELS[6])
    surely = {(row["places"], row["level"]) for rows in values for row in rows if "label" in row}
    assert surely == {(arm, getattr(found, arm).surely) for arm in ("dead", "live") if getattr(found, arm).surely}
    assert "<svg" in charts.svg(text)


def test_a_suite_with_levels_is_measured_from_end_to_end():
    """A network of which three pixels of four are dead: found at live places alone, whatever the level.

    A loss is read at the check's own level alone, where nothing is found.
    """
    suite = suite_with(
        '[images]\nsource = "dead-leaves"\ncount = 24\n[levels]\nlow = 0.25\ncount = 3\n[map]\nkind = "structural"',
        "level = 0.02\npairs = 2",
        '{ quantity = "penalty-db", at_most = 3 }\n[[check]]\nname = "loss"\nperturbation = { kind = "pixel" }\n'
        f"level = 0.02\npairs = 2\nclaim = {LOSS}",
    )
    run = examine(network(window(1)), suite)
    found = run.report.experiments[0].levels
    assert found.levels == (0.25, 0.5, 1.0)
    assert max(rate.value for rate in found.dead.rates) < 0.3
    assert found.live.rates[-1].value > 0.9
    assert found.dead.a90.value is None
    assert run.report.findings[0].effect.n == run.report.images.judged.photographs
    assert decode(encode(run)).measured["pixel"].seen.levels == (0.02, 0.25, 0.5, 1.0)
    assert [finding.effect.saturated for finding in run.report.findings] == ["", "floor"]
    assert a_plan().curve == ()


@pytest.mark.parametrize(("low", "high"), [(1 / 64, 1.0), (1 / 16, 1.0), (0.125, 1.0), (1 / 32, 0.5)])
def test_levels_that_are_a_claim_but_for_rounding_are_the_claim(low, high):
    """3 dB apart, as many as fit: each second one is half of the one before."""
    table = f"[levels]\nlow = {low}\nhigh = {high}\ncount = {round(2 * np.log2(high / low)) + 1}\n"
    check = '[[check]]\nname = "c"\nperturbation = { kind = "pixel" }\nclaim = { at_most = 0.1 }\n'
    levels = curve_levels(parse_suite(f'name = "x"\n{table}{check}', "x"))
    assert levels[::2] == tuple(low * 2**n for n in range(len(levels[::2])))
