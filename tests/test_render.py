"""What people read and look at, piece by piece: words, numbers, curves, colours, pictures, pages."""

import base64
import hashlib
import io
import json
import re
import zlib
from dataclasses import replace
from html import escape, unescape
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from jinja2 import UndefinedError
from PIL import Image
from rich.console import Console
from torch import nn
from toyruns import REPORT
from toys import network

from perturb.changes import Change, Changes, ChangeVerdict, RunSummary
from perturb.comparisons import Consistency, Correlation, Field, Shift, Treated
from perturb.counterexample import Case
from perturb.history import Entry, Point, Series
from perturb.perturbations.patches import Pixel
from perturb.records import (
    ChangedLayer,
    Contribution,
    Effect,
    GaussianFit,
    Measure,
    Needed,
    Rate,
    ReceptiveField,
    Remedy,
    Training,
    Verdict,
)
from perturb.render import (
    charts,
    diagnosis,
    embed,
    headline,
    html,
    markdown,
    model_index,
    notebook,
    page,
    published_charts,
    remedy,
    rf,
    run_list,
    search,
    shift,
    terminal,
    trend,
)
from perturb.render.colour import paint
from perturb.render.environment import code, environment, unmarked
from perturb.render.picture import GAP, SIDE, TOP, picture
from perturb.stories.report_parts import describe

FINDING, EXPERIMENT = REPORT.findings[0], REPORT.experiments[0]


def printed(what, width=160):
    """Lines of the terminal, without colour and trailing blanks."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(what)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def found_with(*verdicts, quantity="accuracy-loss", verdict=None):
    """The kept report with a finding for each verdict, named a, b, ..."""
    claim = replace(FINDING.claim, quantity=quantity)
    findings = tuple(
        replace(FINDING, check=name, verdict=one, claim=claim) for name, one in zip("abcd", verdicts, strict=False)
    )
    return replace(REPORT, findings=findings, verdict=verdict or verdicts[0])


def a_rate(value, low, high):
    return Rate(value=value, low=low, high=high, n=12, trials=96)


# words


def test_the_finding_that_a_verdict_hangs_on():
    """The worst; of equal ones the first."""
    found = found_with(Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.FAIL)
    assert headline.decisive(found).check == "c"
    assert headline.decisive(found_with(Verdict.PASS, Verdict.PASS)).check == "a"


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.PASS, "Accuracy lost at dead places stays within the claim (0.35 of 0.1)"),
        (Verdict.FAIL, "Accuracy lost at dead places exceeds the claim: 0.35, at most 0.1 was claimed"),
        (Verdict.INCONCLUSIVE, "Not decided: too little evidence either way"),
        (Verdict.INVALID, "The instrument failed, so nothing is decided"),
    ],
)
def test_a_verdict_in_words(verdict, told):
    assert headline.title(found_with(verdict)) == told


def a_change(verdict, before, after, check="speck"):
    """A test of a comparison; only the words of its numbers matter here."""
    effect = replace(FINDING.effect, value=after - before, low=after - before - 0.1, high=after - before + 0.1)
    return Change(
        check=check,
        quantity="detection at dead places",
        against="accepted",
        before=before,
        after=after,
        effect=effect,
        fell=9,
        rose=1,
        verdict=verdict,
        reason="as planted",
    )


def since_baseline(verdict, *changes, differs=()):
    run = RunSummary(run="0" * 64, model="toy", weights="", device="cpu", timestamp="2026-11-27T10:00:00")
    return Changes(
        schema=2,
        suite="toy",
        verdict=verdict,
        margin=0.1,
        baseline=run,
        candidate=run,
        changes=changes,
        differs=differs,
    )


FELL = since_baseline(
    ChangeVerdict.REGRESSED,
    a_change(ChangeVerdict.REGRESSED, 0.9, 0.7, "small"),
    a_change(ChangeVerdict.REGRESSED, 0.94, 0.34),
    a_change(ChangeVerdict.EQUIVALENT, 0.1, 0.1, "none"),
)
ROSE = since_baseline(ChangeVerdict.IMPROVED, a_change(ChangeVerdict.IMPROVED, 0.34, 0.94))
OPEN = since_baseline(ChangeVerdict.INCONCLUSIVE, a_change(ChangeVerdict.INCONCLUSIVE, 0.5, 0.4))
ALIKE = since_baseline(ChangeVerdict.EQUIVALENT, a_change(ChangeVerdict.EQUIVALENT, 0.5, 0.5))
OTHER = since_baseline(ChangeVerdict.INCOMPARABLE, differs=("the map is of another layer",))
WITHIN = "Accuracy lost at dead places stays within the claim (0.35 of 0.1)"
EXCEEDS = "Accuracy lost at dead places exceeds the claim: 0.35, at most 0.1 was claimed"
WORSE = "REGRESSED since 27 November 2026: speck, detection at dead places -0.60 (0.94 -> 0.34)"


@pytest.mark.parametrize(
    ("verdict", "since", "shown", "told"),
    [
        (Verdict.PASS, None, "PASS", WITHIN),
        (Verdict.PASS, ALIKE, "PASS", WITHIN),
        (Verdict.PASS, FELL, "REGRESSED", f"{WORSE}. {WITHIN}"),
        (Verdict.FAIL, FELL, "FAIL", f"{EXCEEDS}. {WORSE}"),
        (
            Verdict.FAIL,
            ROSE,
            "FAIL",
            f"{EXCEEDS}. IMPROVED since 27 November 2026: speck, detection at dead places +0.60 (0.34 -> 0.94)",
        ),
        (
            Verdict.PASS,
            OPEN,
            "INCONCLUSIVE",
            f"Whether it changed since 27 November 2026 is not decided. {WITHIN}",
        ),
        (
            Verdict.FAIL,
            OTHER,
            "INCOMPARABLE",
            f"The baseline of 27 November 2026 cannot be compared: the map is of another layer. {EXCEEDS}",
        ),
        (
            Verdict.INVALID,
            FELL,
            "INVALID",
            "The instrument failed, so nothing is decided",
        ),
    ],
)
def test_the_worse_of_claim_and_change_leads(verdict, since, shown, told):
    """On the terminal, in report.md and in report.html: the same word and the same sentence."""
    found = found_with(verdict)
    assert headline.title(found, since) == told
    assert printed(terminal.report(found, since))[0].split()[0] == shown
    lines = markdown.report(found, since).splitlines()
    assert lines[0].startswith(f"# {shown}: ")
    assert lines[2] == unmarked(told) + "."
    page_text = html.report(found, since=since)
    assert f"<title>{shown}: " in page_text
    assert f"<h1>{escape(told)}</h1>" in page_text
    assert f'class="verdict {shown}"' in page_text


def test_no_name_marks_anything_up_in_a_sentence_of_markdown():
    assert unmarked("a *b* `c` [d](e) <f> | g_h\n# i") == "a \\*b\\* \\`c\\` \\[d\\](e) \\<f\\> \\| g\\_h # i"


def test_a_quantity_without_words_goes_by_its_name():
    assert headline.quantity(FINDING.effect) == "accuracy lost at dead places"
    assert headline.quantity(replace(FINDING.effect, words="", quantity="my.module:OWN")) == "my.module:OWN"


def test_numbers_of_an_earlier_version_are_marked():
    assert headline.outdated(REPORT).startswith(
        "Measured by an earlier version of accuracy-loss, which drew other trials"
    )
    effects = [replace(f, effect=replace(f.effect, version=2)) for f in REPORT.findings]
    assert headline.outdated(replace(REPORT, findings=tuple(effects))) == ""
    foreign = replace(FINDING, effect=replace(FINDING.effect, quantity="my.module:OWN", version=0))
    assert headline.outdated(replace(REPORT, findings=(foreign,))) == ""


# numbers


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0.00"), (-0.126, "-0.13"), (99.99, "99.99"), (100, "100"), (12345.6, "1.23e+04"), (1e308, "infinite")],
)
def test_numbers(value, told):
    assert terminal.number(value) == told


def test_rates_and_scaled_numbers():
    found = a_rate(0.12345, 0.0009, 0.5)
    assert terminal.rate(found) == "0.12 [0.00, 0.50]"
    assert terminal.scaled(found) == "0.12 [0.0009, 0.5]"
    assert terminal.scaled(replace(FINDING.effect, value=1234.5, low=-3e-7, high=2e4)) == "1.2e+03 [-3e-07, 2e+04]"


def test_a_training_in_words():
    went = Training(seed=3, epochs=20, best_epoch=17, lessons=56, accuracy=0.9375, loss=0.01234, seconds=61.7)
    told = "20 epochs of 56 lessons in 62 s, the best 17; accuracy on validation 0.938, last loss 0.0123"
    assert terminal.trained(went) == told


@pytest.mark.parametrize(
    ("untrained", "treated", "told"),
    [
        (False, None, "net.py:three"),
        (True, None, "net.py:three (untrained, normalisation settled on calibration pictures)"),
        (False, Remedy(kind="padding", weights="kept", changed=()), "net.py:three (remedy padding, weights kept)"),
        (
            True,
            Remedy(kind="pool", weights="fresh", changed=()),
            "net.py:three (untrained, normalisation settled on calibration pictures; remedy pool, weights fresh)",
        ),
    ],
)
def test_a_model_in_words(untrained, treated, told):
    assert terminal.describe(replace(REPORT.model, untrained=untrained, remedy=treated)) == told


@pytest.mark.parametrize(("norm", "told"), [(nn.BatchNorm2d(4), True), (nn.GroupNorm(2, 4), False)])
def test_normalisation_is_said_to_be_settled_only_where_there_is_some(norm, told):
    bare = network(nn.Sequential(nn.Conv2d(3, 4, 3), norm))
    found = describe(bare, None, taught=False)
    assert found.settled is told
    words = terminal.describe(replace(found, untrained=True))
    assert words.startswith("toy (untrained")
    assert ("settled" in words) is told


@pytest.mark.parametrize(
    ("share", "told"), [(0.004, ""), (0.126, " Clipping took away 0% of pixel at dead and 13% at live places.")]
)
def test_clipping_above_one_percent_is_told(share, told):
    found = terminal.moved([replace(EXPERIMENT, clipped={"dead": 0.004, "live": share}), EXPERIMENT])
    assert found.partition("a live one nearby.")[2] == told


def test_a_finding_in_the_terminal():
    assert printed(terminal.finding(FINDING)) == [
        "INCONCLUSIVE pixel: accuracy-loss 0.35 [0.06, 0.64] (97.5 %), claimed at most 0.1",
        "             the interval contains 0.1; t over 10 clusters",
    ]
    needed = Needed(photographs=110, least=60, most=300)
    for most, told in (
        (300, "about 110 photographs to supply would decide (60 to 300)"),
        (None, "the estimate lies near the claim: 60 photographs to supply would decide at best, perhaps many more"),
    ):
        lines = printed(terminal.finding(replace(FINDING, needed=replace(needed, most=most))))
        assert lines[2].strip() == told
    point = replace(FINDING.effect, low=0.35, high=0.35, method="exact")
    sure = replace(FINDING, effect=point, verdict=Verdict.FAIL, reason="at most 0.1")
    assert printed(terminal.finding(sure)) == [
        "FAIL         pixel: accuracy-loss 0.35, claimed at most 0.1",
        "             at most 0.1; exact",
    ]


def test_a_failed_control_is_told_in_place_of_how_many_passed():
    text = printed(terminal.report(REPORT))
    assert text[-1] == "Controls: all 5 passed."
    broken = replace(REPORT.controls[0], passed=False)
    text = printed(terminal.report(replace(REPORT, controls=(broken, *REPORT.controls[1:]))))
    assert text[-1] == f"INVALID: {broken.name}: expected {broken.expected}; got {broken.observed}"


def test_which_checks_are_balanced_is_told_where_not_all_are():
    first, *others = (replace(e, balanced=False) for e in REPORT.experiments)
    text = " ".join(printed(terminal.report(replace(REPORT, experiments=(replace(first, balanced=True), *others)))))
    assert f"balanced ({first.name}): no dead arm" in text
    every = tuple(replace(e, balanced=True) for e in REPORT.experiments)
    assert "balanced: no dead arm" in " ".join(printed(terminal.report(replace(REPORT, experiments=every))))


def test_a_suite_without_a_description_is_its_name():
    bare = replace(REPORT, suite=replace(REPORT.suite, description=""))
    assert terminal.headline(bare).plain.split("\n")[1] == bare.suite.name
    assert f"\n`{bare.suite.name}`\n" in markdown.report(bare)


def test_detection_by_arm_in_the_terminal():
    head, pixel, box = printed(terminal.rates(REPORT.experiments))
    assert head.split("  ")[0] == "check"
    assert re.split(r"  +", pixel) == [
        "pixel",
        "0.107 (sought)",
        "0.45 [0.31, 0.60]",
        "0.80 [0.65, 0.90]",
        "false alarms 0.12 [0.05, 0.27]",
        "10 (40)",
    ]
    assert box.startswith("box    0.067 (sought)")
    assert "sought" not in printed(terminal.rates([replace(EXPERIMENT, calibrated=False)]))[1]


# diagnosis


def test_the_text_under_a_failing_check():
    assert diagnosis.diagnosis(REPORT, "pixel").splitlines() == [
        "INCONCLUSIVE: net.py:three: accuracy-loss 0.35 [0.06, 0.64], claimed at most 0.1",
        "  the interval contains 0.1; n = 10 photographs, t over 10 clusters",
        "  Pixel(size=1, mode='add', colour=(1.0, 1.0, 1.0)) at level 0.107: noticed 45% of the time at dead places, "
        "80% at live ones (40 pairs)",
        "  worst: dead-leaves-15, judged crop 9: missed at (22, 30) (evidence 2.75, seen above 4.07), "
        "seen at (23, 31) (6.74)",
        "  blindest phase: (0, 0) of period 2, 0.64 of the mean contribution (energy map of 0); liveliest: (1, 1), 1.4",
        "  made by: 0 (Conv2d 3 x 3, stride 2)",
        "  again: perturb qualify net.py:three --suite kept.perturb.toml",
    ]


def test_a_claim_of_the_map_has_no_photographs():
    """A reason and a method; no experiment is told, and no interval of a point."""
    effect = replace(FINDING.effect, quantity="imbalance", value=1e308, low=1e308, high=1e308, spread=0.0)
    finding = replace(FINDING, check="shape", effect=replace(effect, method="exact"))
    lines = diagnosis.diagnosis(replace(REPORT, findings=(finding,)), "shape").splitlines()
    assert lines[:2] == [
        "INCONCLUSIVE: net.py:three: imbalance infinite, claimed at most 0.1",
        "  the interval contains 0.1; exact",
    ]
    assert lines[2].startswith("  blindest phase")


def test_a_check_that_shares_the_only_experiment():
    """Two checks of one perturbation: both tell the same numbers. With two experiments, neither is guessed."""
    other = replace(FINDING, check="other")
    shared = replace(REPORT, findings=(FINDING, other), experiments=(EXPERIMENT,))
    assert "noticed 45% of the time" in diagnosis.diagnosis(shared, "other")
    assert "of the time" not in diagnosis.diagnosis(replace(REPORT, findings=(other,)), "other")
    quiet = replace(
        shared, experiments=(replace(EXPERIMENT, worst=None),), provenance=replace(REPORT.provenance, command="")
    )
    assert not re.search("worst:|again:", diagnosis.diagnosis(quiet, "other"))
    with pytest.raises(StopIteration):
        diagnosis.diagnosis(REPORT, "none")


# model index, Markdown, templates


def test_the_model_index_as_a_reader_of_yaml_sees_it():
    (model,) = yaml.safe_load(model_index.model_index([REPORT]))["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"type": "dead-leaves", "name": "kept: 10 photographs, 10 crops"}
    assert result["metrics"][1] == {
        "type": "accuracy-loss",
        "name": "box: accuracy-loss, claimed at most 0.1, INCONCLUSIVE",
        "value": -0.05,
        "args": {
            "low": pytest.approx(-0.18425, abs=1e-5),
            "high": pytest.approx(0.08425, abs=1e-5),
            "confidence": 0.975,
        },
    }
    assert [m["name"] for m in yaml.safe_load(model_index.model_index([REPORT] * 2))["model-index"]] == [
        "net.py:three"
    ] * 2


def test_markdown_begins_with_the_verdict_and_holds_every_interval():
    text = markdown.report(REPORT)
    assert re.match(r"# .*INCONCLUSIVE", text)
    for number in ("0.35 | [0.06, 0.64] (97.5 %)", "-0.05 | [-0.18, 0.08]", "0.45 [0.31, 0.60]", "0.80 [0.65, 0.90]"):
        assert number in text
    assert "&" not in text  # nothing is escaped as HTML


@pytest.mark.parametrize(
    ("text", "span"), [("a", "`a`"), ("a`b|c\nd", "`a'b¦c d`"), (3, "`3`"), ("<b>", "`<b>`"), ("", "``")]
)
def test_a_code_span_that_no_name_breaks_out_of(text, span):
    assert code(text) == span


def test_a_template_knows_no_undefined_name_and_escapes_in_pages_alone():
    for markup, shown in ((True, "&lt;b&gt;"), (False, "<b>")):
        made = environment(markup=markup)
        assert made.from_string("{{ x }}").render(x="<b>") == shown
        with pytest.raises(UndefinedError):
            made.from_string("{{ y }}").render(x=1)
    assert made.from_string("{{ 0.666 | percent }}").render() == "67%"


# history in the terminal


def an_entry(run="0123456789abcdef", verdict="PASS"):
    return Entry(
        run=run,
        timestamp="2026-03-01T08:09:10+00:00",
        suite="smoke",
        suite_digest="d",
        model="net",
        verdict=verdict,
        findings=(),
    )


def a_series(*values, at_most=0.1, suite="smoke", verdict="FAIL"):
    points = tuple(
        Point(
            run="r",
            timestamp="2026-03-01T08:09:10+00:00",
            check="pixel",
            quantity="accuracy-loss",
            value=v,
            low=v - 0.1,
            high=v + 0.1,
            n=12,
            at_most=at_most,
            verdict=verdict,
        )
        for v in values
    )
    return Series(suite=suite, suite_digest="d", model="net", check="pixel", points=points)


def test_a_line_for_each_run():
    head, one, two = printed(run_list.listing([an_entry(), an_entry("f" * 64, "FAIL")]))
    assert head.split() == ["run", "when", "verdict", "suite", "model"]
    assert one.split() == ["0123456789ab", "2026-03-01", "08:09", "PASS", "smoke", "net"]
    assert two.split()[0] == "f" * 12


def test_an_empty_history_says_how_to_fill_it():
    told = ["No runs kept yet: `perturb qualify` keeps each of its own."]
    assert printed(run_list.listing([])) == printed(run_list.trends([])) == told


@pytest.mark.parametrize(
    ("values", "at_most", "curve"),
    [
        ((0.0, 0.7), 0.1, "▁█"),
        ((0.1, 0.2, 0.4, 0.7), 0.1, "▂▃▅█"),
        ((0.1, 0.1), 0.7, "▂▂"),  # the claim is the top
        ((-0.5, 0.7), 0.1, "▁█"),  # below zero is the bottom
        ((0.0, 0.0), 0.0, "▁▁"),
        ((9.0, *[1.0] * 24), 1.0, "█" * 24),  # only the newest 24
    ],
)
def test_a_curve_from_zero_to_the_largest_value_or_claim(values, at_most, curve):
    """Eight heights: the value's share of the top, rounded."""
    _, row = printed(run_list.trends([a_series(*values, at_most=at_most)]))
    assert row.split()[1] == curve


def test_trends_are_grouped_by_suite_and_model():
    lines = printed(run_list.trends([a_series(0.25), a_series(0.5, 0.25), a_series(0.5, suite="other")]))
    assert [lines[0], lines[3]] == ["smoke: net", "other: net"]
    assert lines[2].endswith("0.25 [0.15, 0.35]  claimed at most 0.1; runs: 2")


# charts


def a_line(model="torchvision:resnet18", built="as built", losses=(0.3, 0.5), low=0.2, high=0.6):
    return published_charts.Line(
        model=model,
        remedy=built,
        files=("a", "b"),
        level=0.1,
        dead=0.2,
        live=0.6,
        losses=losses,
        low=low,
        high=high,
        photographs=12,
        verdicts=("FAIL", "FAIL"),
    )


def shapes(text, kind):
    root = ElementTree.fromstring(text)
    return root, [e.attrib | {"text": e.text} for e in root if e.tag.endswith(kind)]


def x_of(loss):
    """The axis runs from -0.4 at 250 to 1 at 730 pixels."""
    return pytest.approx(250 + 480 * (loss + 0.4) / 1.4, abs=0.06)


def test_each_loss_stands_at_its_place():
    """Small dots are seeds, the large one their mean, the thick line the interval; red as built, blue changed."""
    text = published_charts.losses([a_line(), a_line(built="padding", losses=(0.0,), low=-0.1, high=0.1)])
    root, dots = shapes(text, "circle")
    assert root.attrib["viewBox"] == "0 0 760 112"
    assert [(float(d["cx"]), d["cy"], float(d["r"]), d["fill"]) for d in dots] == [
        (x_of(0.3), "24", 2.5, published_charts.RED),
        (x_of(0.5), "24", 2.5, published_charts.RED),
        (x_of(0.4), "24", 5, published_charts.RED),
        (x_of(0.0), "50", 2.5, published_charts.BLUE),
        (x_of(0.0), "50", 5, published_charts.BLUE),
    ]
    thick = [line for line in shapes(text, "line")[1] if line["stroke-width"] == "2"]
    assert [(float(line["x1"]), float(line["x2"])) for line in thick] == [
        (x_of(0.2), x_of(0.6)),
        (x_of(-0.1), x_of(0.1)),
    ]
    told = [t["text"] for t in shapes(text, "text")[1]]
    assert "resnet18, as built" in told
    assert "resnet18, padding" in told
    assert told[:8] == ["-0.4", "-0.2", "+0.0", "+0.2", "+0.4", "+0.6", "+0.8", "+1.0"]


def test_what_lies_beyond_the_axis_is_drawn_at_its_end():
    dots = shapes(published_charts.losses([a_line(losses=(-0.9, 1.0))]), "circle")[1]
    assert [float(d["cx"]) for d in dots[:2]] == [250, 730]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("torchvision:resnet18", "resnet18"),
        ("timm:resnet18.a1@pretrained", "resnet18.a1@pretrained"),
        ("examples/efficientnet_lite0.py:build", "efficientnet_lite0.py:build"),
    ],
)
def test_a_reference_without_where_it_is_from(model, name):
    assert published_charts.short(model) == name


def test_accuracy_against_the_length_of_training():
    """10, 100 and 1000 epochs lie evenly on the axis; a point for each arm at its share, with its interval."""
    went = Training(seed=0, epochs=10, best_epoch=1, lessons=1, accuracy=1.0, loss=0.0, seconds=0.0)
    measures = (Measure(name="detected", dead=a_rate(0.25, 0.0, 0.5), live=a_rate(1.0, 0.75, 1.0)),)
    trained = [replace(EXPERIMENT, measures=measures, training=(replace(went, epochs=n),)) for n in (10, 100, 1000)]
    text = published_charts.lengths(replace(REPORT, experiments=tuple(trained)))
    dots = shapes(text, "circle")[1]
    assert [(d["fill"], float(d["cy"])) for d in dots] == [(published_charts.RED, 185.0)] * 3 + [
        (published_charts.BLUE, 20.0)
    ] * 3
    xs = [float(d["cx"]) for d in dots[:3]]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    spans = [(float(e["y1"]), float(e["y2"])) for e in shapes(text, "line")[1] if e["stroke-width"] == "2"]
    assert spans == [(240.0, 130.0)] * 3 + [(75.0, 20.0)] * 3


def test_a_chart_of_intervals_holds_their_numbers():
    """Vega reads what the finding says; the margin's band begins at the axis's end."""
    spec = charts.intervals([charts.interval(f, f.check) for f in REPORT.findings], "loss")
    (values,) = spec["datasets"].values()
    assert [(v["label"], v["estimate"], v["claimed at most"], v["verdict"]) for v in values] == [
        ("pixel", 0.35, 0.1, "INCONCLUSIVE"),
        ("box", -0.05, 0.1, "INCONCLUSIVE"),
    ]
    assert (values[0]["from"], values[0]["to"]) == (FINDING.effect.low, FINDING.effect.high)
    assert json.loads(json.dumps(spec)) == spec


def test_a_course_has_a_chart_unless_all_of_it_is_infinite():
    assert [(c.check, c.chart is None) for c in trend.courses([trend.Kept(report=REPORT)])] == [
        ("pixel", False),
        ("box", False),
    ]
    endless = replace(FINDING, effect=replace(FINDING.effect, value=1e308, low=1e308, high=1e308))
    (course,) = trend.courses([trend.Kept(report=replace(REPORT, findings=(endless,)))])
    assert (course.chart, course.newest) == (None, (endless,))


def test_a_failed_instrument_makes_every_point_of_its_run_invalid():
    (course,) = trend.courses([trend.Kept(report=found_with(Verdict.PASS, verdict=Verdict.INVALID))])
    assert course.newest[0].verdict == Verdict.INVALID


# colours and pictures


def test_the_colours_are_viridis():
    """matplotlib's own table: the nine anchors are in it, and straight lines between them stay close."""
    for count, apart in ((9, 4), (256, 20)):
        share = np.linspace(0, 1, count)[None]
        assert np.abs(paint(share, 0.0, 1.0) - mpl.colormaps["viridis"](share)[..., :3] * 255).max() < apart
    assert np.diff(paint(share, 0.0, 1.0)[0] @ [0.299, 0.587, 0.114]).min() > -0.51  # brighter and brighter


def test_beyond_the_bounds_are_the_ends():
    found = paint(np.array([[-5.0, 2.0, 4.0, 99.0]]), 2.0, 4.0)
    assert found[0].tolist() == [[68, 1, 84], [68, 1, 84], [253, 231, 37], [253, 231, 37]]
    assert paint(np.array([[3.0]]), 2.0, 4.0)[0, 0].tolist() == [33, 144, 141]
    assert paint(np.array([[3.0]]), 3.0, 3.0)[0, 0].tolist() == [33, 144, 141]


def test_a_map_and_one_period_of_it_as_a_picture():
    """Left the map from 0 to its 99.5th percentile, right the lattice from 0 to its brightest phase."""
    phases = np.array([[0.0, 1.0], [1.0, 2.0]])
    sheet = picture(np.tile(phases, (4, 4)), phases, title="t", subtitle="s")
    pixels = np.asarray(sheet)
    assert pixels.shape == (TOP + SIDE + 64 + GAP, 2 * SIDE + 3 * GAP, 3)
    dead, middle, live = (paint(np.array([[v]]), 0.0, 2.0)[0, 0].tolist() for v in (0, 1, 2))
    cell = SIDE // 8
    for row, column, colour in ((0, 0, dead), (0, 1, middle), (1, 1, live), (6, 6, dead), (7, 7, live)):
        at = (TOP + cell * row + cell // 2, GAP + cell * column + cell // 2)
        assert pixels[at].tolist() == colour
    left, half = SIDE + 2 * GAP, SIDE // 2
    for row, column, colour in ((0, 0, dead), (1, 0, middle), (1, 1, live)):
        assert pixels[TOP + half * row + 9, left + half * column + 9].tolist() == colour


def test_numbers_are_written_on_phases_as_far_as_there_is_room():
    """Light on dark and dark on bright; none on a lattice of 32."""
    flat = np.full((4, 4), 1.0)
    for count, written in ((4, True), (16, True), (32, False)):
        phases = np.full((count, count), 1.0)
        panel = np.asarray(picture(flat, phases, title="", subtitle=""))[TOP : TOP + SIDE, SIDE + 2 * GAP :][:, :SIDE]
        assert (len(np.unique(panel.reshape(-1, 3), axis=0)) > 1) == written
    ink = np.asarray(picture(flat, np.array([[0.0, 2.0], [2.0, 2.0]]), title="", subtitle=""))
    panel = ink[TOP : TOP + SIDE, SIDE + 2 * GAP :]
    assert [255, 255, 255] in panel[: SIDE // 2, : SIDE // 2].reshape(-1, 3).tolist()
    assert [30, 30, 34] in panel[SIDE // 2 : SIDE, : SIDE // 2].reshape(-1, 3).tolist()


def opened(address, kind):
    head, _, data = address.partition(",")
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_embedded_png_is_exact(channels, rng):
    pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(opened(embed.png(pixels), "png")).reshape(5, 7, channels), pixels)


@pytest.mark.parametrize(("shape", "size"), [((640, 320), (160, 320)), ((100, 50), (50, 100))])
def test_an_embedded_photograph_is_small(shape, size):
    """At most 320 pixels a side, never enlarged, in its own proportions."""
    assert opened(embed.jpeg(np.zeros((*shape, 3), np.uint8)), "jpeg").size == size


def test_a_packed_map_is_16_bit_shares_of_its_largest():
    values = np.array([[0.0, 0.5, 2.0], [1.0, 1e-6, 1.5]])
    shares = np.frombuffer(zlib.decompress(base64.b64decode(embed.packed(values))), "<u2").reshape(2, 3)
    np.testing.assert_allclose(shares / 65535 * 2, values, atol=2 / 65535)
    assert shares[0].tolist() == [0, 16384, 65535]


# pages and notebooks


def test_a_pages_policy_names_its_own_scripts_and_style_and_nothing_else():
    """SHA-256 of each, as a browser computes it from the page."""
    text = trend.trend([trend.Kept(report=REPORT)])
    policy = unescape(re.search(r'http-equiv="?Content-Security-Policy"? content="([^"]*)"', text)[1])
    allowed = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
    assert (allowed["default-src"], allowed["img-src"]) == (["'none'"], ["data:"])

    def digest(inside):
        return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"

    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert [digest(script) for script in scripts] == allowed["script-src"]
    assert [digest(style) for style in re.findall(r"<style>(.*?)</style>", text, re.DOTALL)] == allowed["style-src"]


def test_nothing_is_the_known_hash_of_nothing():
    assert page._hash("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


def test_a_map_in_a_notebook():
    """One period, enlarged without blurring; its numbers beside it."""
    values = np.tile([[1.0, 2.0], [2.0, 5.0]], (8, 8))
    text = notebook.contribution(Contribution(values=values / 160, kind="energy", layer="a&b", period=2, images=6))
    assert "energy map of <code>a&amp;b</code>, 6 pictures: one 2 × 2 period, liveliest / deadest phase 5;" in text
    drawn = opened(re.search(r'src="([^"]*)"', text)[1], "png").convert("RGB")
    assert drawn.size == (192, 192)
    phases = np.array([[1.0, 2.0], [2.0, 5.0]]) / 2.5
    quarters = np.asarray(drawn).reshape(2, 96, 2, 96, 3).swapaxes(1, 2)
    for at in np.ndindex(2, 2):
        assert np.ptp(quarters[at].reshape(-1, 3), axis=0).max() == 0
        assert quarters[at][0, 0] == pytest.approx(paint(phases, 0.0, 2.0)[at], abs=8)


def test_a_report_in_a_notebook_has_a_row_for_each_check():
    text = notebook.report(REPORT)
    cells = re.findall(r"<td>(.*?)</td>", text)
    assert cells[:6] == [
        "pixel",
        "<strong>INCONCLUSIVE</strong>",
        "accuracy-loss at most 0.1",
        "0.35",
        "[0.06, 0.64]",
        "the interval contains 0.1",
    ]
    assert (len(cells), text.count("<svg")) == (12, 1)
    assert "10 photographs judged" in text


# studies


def test_receptive_fields_as_a_table():
    """sigma is the geometric mean of both; the share is 4 sigma of theory; bars of 16 for the picture's side."""
    theory = ReceptiveField(layer="conv", positions=(32, 32), size=(32, 32), stride=(2, 2), offset=(-3, -3))
    fields = [
        Field(model="m:net", theory=theory, fit=GaussianFit(sigma_row=2.0, sigma_column=8.0, r_squared=0.987)),
        Field(model="m:net", theory=replace(theory, layer="wide", size=(8, 16), stride=(1, 2)), fit=None),
        Field(model="m:net", theory=replace(theory, layer="all", size=None, stride=None, offset=None), fit=None),
    ]
    lines = printed(rf.table(fields, 64, 6))
    assert lines[0] == "How far m:net sees"
    rows = [re.split(r"  +", line.strip()) for line in lines if line.startswith(("conv", "wide", "all"))]
    assert rows[0] == ["conv", "32", "2", "-3", "4.0", "0.99", "50%", "████░░░░"]
    assert rows[1][:3] == ["wide", "8 x 16", "1 x 2"]
    assert rows[1][4:] == ["no fit", "░░"]
    assert rows[2] == ["all", "whole", "no fit", "░" * 16]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(-0.1, 0.9, "no relation shown"), (0.0, 0.9, "no relation shown"), (0.1, 0.9, "related"), (-0.9, -0.1, "related")],
)
def test_a_relation_is_shown_where_its_interval_leaves_zero_out(low, high, told):
    theory = ReceptiveField(layer="l", positions=(1, 1), size=None, stride=None, offset=None)
    relation = Correlation(of="sigma", value=0.5, low=low, high=high, n=7)
    fields = [Field(model=f"m:{name}", theory=theory, fit=None) for name in "ab"]
    lines = printed(rf.table(fields, 64, 6, relations=[relation]))
    assert lines[0].startswith("How far 2 networks see")
    assert lines[-1] == (
        f"sigma and accuracy: {told}. Rank correlation +0.50 [{low:+.2f}, {high:+.2f}] at 95 %, 7 networks."
    )


def test_translation_consistency_as_tables():
    row = Consistency(pixels=4, change=0.1234, low=0.1, high=0.15, equal=a_rate(0.75, 0.5, 0.9))
    found = Shift(
        model="net",
        source="built-in",
        photographs=12,
        apart=2.5,
        by_offset=(row, replace(row, pixels=8)),
        by_phase=(replace(row, pixels=1),),
        lattice=((0.0, 1.0), (1.0, 2.0)),
    )
    lines = printed(shift.table(found))
    assert lines[0] == "Does net say the same when the crop moves by a pixel?"
    told = [re.split(r"  +", line.strip()) for line in lines]
    numbers = ["0.123 [0.100, 0.150]", "0.75 [0.50, 0.90]"]
    at = told.index(["pixels", "change", "same label"])
    assert told[at + 1 : at + 3] == [["4", *numbers], ["8", *numbers]]
    assert ["1", *numbers] in told[at + 3 :]
    assert "12 built-in photographs" in " ".join(lines)


def a_network(name, done=None, **changes):
    plain = Treated(
        name=name,
        done=done,
        parameters=11_700_000,
        multiply_adds=1_800_000_000,
        layer="output",
        structural=None,
    )
    return replace(plain, **changes)


def padded(weights, **changes):
    what = ChangedLayer(name="c", kind="Conv2d", before="3 x 3 / 2", after="4 x 4 / 2")
    done = Remedy(kind="padding", weights=weights, changed=(what, what))
    return a_network(f"padding:{weights}", done, **{"structural": 1.0, "parameters": 12_870_000} | changes)


def test_what_remedies_cost():
    """Beside the network as built: windows changed, size and work with what they gained, the imbalance left."""
    lines = printed(
        remedy.table([a_network("as built"), padded("kept")], {"slicing": "why not", "pool": "why not"}, "net")
    )
    rows = [line.split() for line in lines if line.startswith(("as built", "padding"))]
    assert rows == [
        ["as", "built", "11.7M", "1.80G", "infinite"],
        ["padding", "2", "12.9M", "+10.0%", "1.80G", "1.00"],
    ]
    assert "Does not apply: slicing, pool: why not" in lines
    assert "perturb tiles" in lines[-1]
    assert "Weights of the changed networks: kept." in lines
    assert any(line.startswith("Padded with its weights kept") for line in lines)
    learnt = printed(remedy.table([a_network("as built"), padded("kept")], {}, "net", learnt=True))
    assert not any(line.startswith("Padded with its weights kept") for line in learnt)
    flat = printed(remedy.table([a_network("as built", structural=1.0)], {}, "net"))
    assert flat[0] == "By its structure net has no dead pixels: nothing to cure there."
    fresh = printed(remedy.table([a_network("as built"), padded("fresh")], {}, "net"))
    assert not any(line.startswith("Padded with its weights kept") for line in fresh)


LOSS: Effect = replace(FINDING.effect, value=0.5, low=0.4, high=0.6)
MEASURED = {"dead": 0.15, "live": 0.65, "accuracy": 0.9, "energy": 2.5, "loss": LOSS, "time": 1.0}


def test_what_remedies_cure():
    """What they cost and take; then shares and the loss with its interval; a star where detection is saturated."""
    cured = MEASURED | {"loss": replace(LOSS, value=-0.01, low=-0.1, high=0.08, saturated="ceiling"), "energy": None}
    cured |= {"time": 1.257, "front": True, "kept": replace(LOSS, low=-0.04, high=0.2)}
    lines = printed(remedy.table([a_network("as built", **MEASURED), padded("fresh", **cured)], {}, "net"))
    built, after, *seen = (line.split() for line in lines if line.startswith(("as built", "padding")))
    assert built[5:] == ["2.50", "1.00", "x"]
    assert after[6:] == ["infinite", "1.26", "x"]
    assert seen == [
        ["as", "built", "90%", "15%", "65%", "+0.50", "[+0.40,", "+0.60]"],
        ["padding", "90%", "yes", "15%", "65%", "-0.01", "[-0.10,", "+0.08]*", "+"],
    ]
    assert any(line.startswith("* too little or nearly all is seen") for line in lines)
    assert max(len(line) for line in lines if line.startswith(("network", "as built", "padding"))) <= 80


@pytest.mark.parametrize(("low", "high", "told"), [(-0.05, 0.1, "open"), (-0.049, 0.1, "yes"), (-0.2, -0.051, "no")])
def test_right_answers_are_kept_where_the_interval_is_above_the_margin(low, high, told):
    rows = [a_network("as built", **MEASURED), padded("kept", **MEASURED, kept=replace(LOSS, low=low, high=high))]
    *_, row = (line.split() for line in printed(remedy.table(rows, {}, "net")) if line.startswith("padding"))
    assert row[2] == told


def test_a_black_box_has_looks_and_a_penalty():
    black = {"parameters": None, "multiply_adds": None} | MEASURED
    done = Remedy(kind="ask-twice", weights="kept", changed=())
    twice = a_network("ask-twice", done, cost=4.0, penalty=replace(LOSS, value=3.0, low=1.0, high=4.0), **black)
    lines = printed(remedy.table([a_network("as built", **black), twice], {}, "net"))
    row = next(line.split() for line in lines if line.startswith("ask-twice"))
    assert row == ["ask-twice", "4", "2.50", "1.00", "x"]
    assert "penalty ask-twice: +3.0 dB [+1.0, +4.0]" in lines
    assert not any("Weights of the changed" in line for line in lines)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (12_345, "12.3k"),
        (999_499, "999k"),
        (2_540_000, "2.54M"),
        (4e10, "40.0G"),
    ],
)
def test_large_counts_have_three_digits(count, told):
    assert remedy._short(int(count)) == told


def test_a_case_in_words():
    case = Case(picture=np.full((1, 4, 4), 0.5), perturbation=Pixel(), level=0.25, dead=(0, 0), live=(1, 1))
    told = f"{Pixel()!r} at level 0.25 on a flat picture of grey 0.50"
    assert search.describe(case) == told
    case.picture[0, 0, 0] = 0
    assert search.describe(case) == told.replace("a flat picture of grey 0.50", "a picture")


def test_a_wide_lattice_stands_beside_its_text_in_80_columns():
    """32 phases are drawn one character wide, so no row is folded."""
    phases = tuple(tuple(1.0 for _ in range(32)) for _ in range(32))
    wide = replace(REPORT, map=replace(REPORT.map, period=32, phases=phases))
    drawn = [line for line in printed(terminal.report(wide), width=80) if "█" in line]
    assert [line.split("   ")[0].strip() for line in drawn] == ["█" * 32] * 32
