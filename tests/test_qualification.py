"""The document that a quality department files: from a report's record and nowhere else, whatever the run."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import escape, unescape

import pytest
from browser import CHROMIUM, Page
from test_cli import perturb
from toyruns import KEPT

from perturb.files import encode
from perturb.records import (
    ArmLevels,
    Bin,
    Breakdown,
    ChangedLayer,
    Effect,
    FittedCurve,
    FreeResponse,
    LevelTable,
    Needed,
    OperatingPoint,
    PhaseRate,
    PictureAccount,
    PictureNote,
    Rate,
    Reached,
    Recall,
    Remedy,
    Training,
    Verdict,
)
from perturb.render import charts, curves, qualification
from perturb.render.qualification.writing import document
from perturb.report import from_json

SECTIONS = [
    "Scope",
    "Object",
    "System under test",
    "Procedure",
    "Operating points",
    "Probability of detection (POD)",
    "False calls",
    "Influence of place",
    "Essential parameters",
    "Results against claims",
    "Limits",
    "Provenance",
    "Signatures",
]
NEVER = {  # fields that the document leaves out
    "spread": "the interval says it",
    "quantity": "its words are shown",
    "version": "an older one has a note of its own",
    "saturated": "the reason says it",
    "among": "the interval says it",
    "where": "the reason says it",
    "worst": "one pair is no result",
    "series": "groups sizes",
    "chance": "of no claim",
    "clean": "chooses words",
    "design": "chooses words",
    "evaluator": "chooses words",
    "phases_of": "chooses words",
    "pinned_on": "chooses words",
    "suite_digest": "as that of the suite",
    "schema": "of the file's layout",
}
SHARED = {"n", "trials", "method", "confidence", "words", "share"}  # of a rate: shown once for both arms


def kept(number):
    path = KEPT / f"report-{number}/report.json"
    return from_json(path.read_text(), path)


NEW = kept(4)
SHARE = Rate(value=0.51, low=0.41, high=0.62, n=37, trials=111)


def with_experiment(report, **changes):
    first, *rest = report.experiments
    return replace(report, experiments=(replace(first, **changes), *rest))


def failed(report):
    first, *rest = report.controls
    return replace(report, controls=(replace(first, passed=False), *rest), verdict=Verdict.INVALID)


def passing(report):
    findings = tuple(
        replace(f, effect=replace(f.effect, value=0.01, low=0.0, high=0.02), verdict=Verdict.PASS)
        for f in report.findings
    )
    return replace(report, findings=findings, verdict=Verdict.PASS)


def levels():
    def arm(a):
        reached = Reached(share=0.9, value=a, low=a / 2, high=2 * a)
        return ArmLevels(
            rates=(SHARE, replace(SHARE, value=0.52)),
            fit=FittedCurve(intercept=1.25, slope=3.5, guess=0.0625, lapse=0.03125),
            a50=replace(reached, share=0.5, value=a / 1.5),
            a90=reached,
            surely=a * 1.25,
        )

    penalty = Effect(value=6.5, low=3.5, high=9.5, n=37, method="bets", confidence=0.95, spread=0.0)
    return LevelTable(
        levels=(0.125, 0.5), dead=arm(0.4375), live=arm(0.3125), penalty=penalty, method="bets by level", enough=29
    )


def recall():
    loss = replace(NEW.findings[0].effect, value=0.11, low=0.0, high=0.22)
    one = Bin(low=3.0, high=5.5, objects=17, dead=SHARE, live=replace(SHARE, value=0.53), loss=loss)
    border = Breakdown(by="distance in pixels from the border", bins=(one,))
    return Recall(objects=83, alarms=replace(SHARE, value=0.57), breakdowns=(border,))


@pytest.fixture
def plainly(monkeypatch):
    """Without drawing: what a figure shows stands in a table beside it."""
    monkeypatch.setattr(charts, "svg", lambda *_, **__: "")
    monkeypatch.setattr(curves, "probability_of_detection", lambda *_: {})
    monkeypatch.setattr(charts, "by_quantity", lambda _: iter(()))
    return qualification.markdown


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_reports_of_every_schema_have_every_section(plainly, number):
    text = plainly(kept(number))
    told = [line.partition(" ")[2] for line in text.splitlines() if line.startswith("## ")]
    assert told == [f"{i} {title}" for i, title in enumerate(SECTIONS, 1)] + ["Sources"]


def test_the_page_has_every_section_and_its_status_first():
    page = qualification.html(NEW)
    places = [page.index(f"<h2>{i} {escape(title)}</h2>") for i, title in enumerate(SECTIONS, 1)]
    assert places == sorted(places)
    assert page.index('class="status">Nothing is qualified') < places[0]
    assert page.count("data:image/svg+xml") == 1
    assert "<script" not in page


def test_what_is_missing_is_named(plainly):
    """The first schema knew neither preprocessing nor machine; the fourth of today does."""
    rows = [line for line in plainly(kept(1)).splitlines() if line.endswith("| not recorded |")]
    assert {"| preprocessing | not recorded |", "| machine | not recorded |"} <= set(rows)
    assert "<em>not recorded</em>" in qualification.html(kept(1))
    assert "| command | perturb" in plainly(NEW)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (failed(NEW), "The instrument failed its own control."),
        (failed(passing(NEW)), "The instrument failed its own control."),
        (NEW, "The evidence is too little for at least one claim."),
        (replace(NEW, verdict=Verdict.FAIL), "At least one claim is shown not to hold."),
        (replace(NEW, verdict=Verdict.INVALID, findings=(), experiments=()), "Nothing was asked."),
    ],
)
def test_a_run_that_qualifies_nothing_says_so_first(plainly, report, words):
    lines = plainly(report).splitlines()
    assert lines[:3] == ["# Qualification report", "", f"**Nothing is qualified by this run. {words}**"]
    assert "| qualified | nothing |" in lines


def test_numbers_of_a_failed_instrument_are_no_evidence(plainly):
    text = plainly(failed(passing(NEW)))
    head = text[: text.index("## 1 ")]
    assert "No number in this document is evidence" in head
    assert "PASS" not in head
    assert "| not qualified | all |" in text


def test_what_passes_is_qualified_within_its_scope(plainly):
    text = plainly(passing(NEW))
    assert "**Qualified within the scope of section 1: every claim is shown to hold.**" in text
    names = ", ".join(f.check for f in NEW.findings)
    assert f"| qualified | {names} |" in text
    untrained = replace(passing(NEW), model=replace(NEW.model, untrained=True))
    assert "- The weights are untrained" in plainly(untrained)[: plainly(untrained).index("## 1 ")]


def test_a_check_that_passes_alone_is_no_qualification(plainly):
    first, *rest = NEW.findings
    text = plainly(replace(NEW, findings=(replace(first, verdict=Verdict.PASS), *rest)))
    assert f"nothing as a whole; by themselves these checks hold: {first.check}" in text


def test_one_strength_has_no_curve_and_levels_have_one(plainly):
    name = NEW.experiments[0].name
    assert f"No POD curve was asked for in {name}" in plainly(NEW)
    text = plainly(with_experiment(NEW, levels=levels()))
    assert f"No POD curve was asked for in {name}" not in text
    assert "| a90 | 0.438, above 0.219, at most 0.875 | 0.312, above 0.156, at most 0.625 |" in text
    assert "| a90/95 | 0.547 | 0.391 |" in text


def test_the_error_of_a_decision_is_that_of_its_interval(plainly):
    """A FAIL among several checks has a wider interval, and errs less often."""
    first, *rest = passing(NEW).findings
    effect = replace(first.effect, confidence=0.975)
    text = plainly(replace(passing(NEW), findings=(replace(first, effect=effect, verdict=Verdict.FAIL), *rest)))
    assert f"| {first.check} | {effect.method} | 0.0125: a value within the claim fails so often |" in text
    assert "0.025: a value beyond the claim passes so often" in text
    nominal = replace(first, effect=replace(effect, method="t over 10 clusters"))
    assert "are nominal" not in text
    assert "by t over 10 clusters are nominal" in plainly(replace(NEW, findings=(nominal,)))


def full():
    """A report with everything in it that some run has."""
    point = OperatingPoint(false_alarms=0.0625, clean="absent", chance=0.5)
    training = Training(seed=7, epochs=13, best_epoch=9, lessons=641, accuracy=0.8125, loss=0.375, seconds=21.0)
    response = FreeResponse(
        false_alarms=0.25, measured=0.21, threshold=0.71, dead=SHARE, live=replace(SHARE, value=0.54)
    )
    report = with_experiment(
        NEW,
        levels=levels(),
        training=(training,),
        free_response=(response,),
        phases=(PhaseRate(phase=(0, 0), rate=SHARE), PhaseRate(phase=(1, 1), rate=replace(SHARE, value=0.6))),
        point=point,
        pinned_on="calibration pictures",
        thresholds=(1.5, 2.5),
        noise=0.015625,
        clipped={"dead": 0.5, "live": 0.25},
    )
    last = replace(report.experiments[0], name="annotated", recall=recall(), levels=None)
    note = PictureNote(what="copies, dropped", count=3, names=("a.png",), files=3)
    changed = ChangedLayer(name="conv", kind="Conv2d", before="7 x 7 / 2", after="8 x 8 / 2")
    first, *rest = report.findings
    needed = Needed(photographs=301, least=201, most=401)
    return replace(
        report,
        experiments=(*report.experiments, last),
        findings=(replace(first, needed=needed), *rest),
        images=replace(
            report.images, account=PictureAccount(looked_at=41, notes=(note,)), region="within", allowed=0.5
        ),
        model=replace(
            report.model, preprocessing="x / 255", remedy=Remedy(kind="padding", weights="kept", changed=(changed,))
        ),
        suite=replace(report.suite, settings={"check.0.level": "0.5"}, description="words"),
        provenance=replace(report.provenance, machine="Plan 9, mips", command="perturb qualify it"),
        digest="f" * 64,
        files={"trials.npz": "e" * 64},
    )


def leaves(value, path=()) -> Iterator[tuple[object, ...]]:
    """The path of each number and text in a record, of the first of several; without those in NEVER."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in NEVER and field.metadata.get("written", True):
                yield from leaves(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, Mapping):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, tuple) and value:
        yield from leaves(value[0], (*path, 0))
    elif isinstance(value, int | float | str) and not isinstance(value, bool | Verdict):
        yield path


def altered(value, path):
    """The record with the value at the path another one."""
    if not path:
        return "another" if isinstance(value, str) else value + 1 if isinstance(value, int) else value * 0.75 + 0.01
    key, *rest = path
    if dataclasses.is_dataclass(value):
        return replace(value, **{key: altered(getattr(value, key), rest)})
    if isinstance(value, Mapping):
        return {**value, key: altered(value[key], rest)}
    return tuple(altered(each, rest) if i == key else each for i, each in enumerate(value))


@pytest.mark.slow
def test_every_value_of_the_record_changes_the_document(plainly, monkeypatch):
    monkeypatch.setattr("perturb.render.levels.clusters_needed", lambda *_: 41)
    report = full()
    before, last = document(report), ("experiments", len(report.experiments) - 1, "recall")
    paths = [*leaves(report), *leaves(report.experiments[-1].recall, last)]
    paths = [path for path in paths if path[0] == "findings" or "clean" in path or path[-1] not in SHARED]
    assert len(paths) > 100
    assert [path for path in paths if document(altered(report, path)) == before] == []


def test_names_stay_text(plainly):
    evil = "<script>alert(1)</script>|`x`\n\u202e# head"
    report = replace(with_experiment(NEW, name=evil), model=replace(NEW.model, reference=evil))
    page, text = qualification.html(report), plainly(report)
    assert "<script" not in page
    assert "\u202e" not in page + text
    assert r"\n\u202e# head" in unescape(page)
    assert not [line for line in text.splitlines() if line.startswith("# ")][1:]
    assert r"\<script\>alert(1)\</script\>\|\`x\`" in text
    assert document(replace(NEW, digest="}body{display:none}")).digest == ""


def test_the_command_takes_a_folder_or_a_file_and_one_run(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(encode(NEW))
    page = perturb("summary", tmp_path / "a", "--as", "qualification")
    assert page.exit_code == 0
    assert page.output.startswith("<!doctype html>")
    text = perturb("summary", tmp_path / "a/report.json", "--as", "qualification-markdown")
    assert text.output.startswith("# Qualification report\n")
    both = perturb("summary", tmp_path, "--as", "qualification")
    assert (both.exit_code, both.stderr.count("\n")) == (2, 1)
    assert "is of one run, and 2 are given" in both.stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_its_style_and_its_pictures(tmp_path):
    """The policy of the page allows both, and nothing is asked for."""
    (tmp_path / "page.html").write_text(qualification.html(full()), encoding="utf-8")
    page = Page(tmp_path / "profile")
    try:
        page.open(tmp_path / "page.html", width=360)
        assert page.run("getComputedStyle(document.querySelector('.status')).borderTopWidth") == "2px"
        assert page.run("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.run("document.documentElement.scrollWidth") <= 360
        assert page.console == []
        assert [asked for asked in page.requests if not asked.startswith(("data:", "file:"))] == []
    finally:
        page.close()
