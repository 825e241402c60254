"""No name, wherever it stands, hides a character or gives an order: in no output, and in no error."""

import io
import json
import re
import unicodedata
import warnings
from dataclasses import replace

import pytest
import yaml
from toyruns import REPORT, a_measurement, a_run

from perturb.baseline import accept, compare
from perturb.cli.terminal import console
from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.history import Entry
from perturb.images import load_images
from perturb.render import changes as changes_view
from perturb.render import (
    diagnosis,
    html,
    markdown,
    model_index,
    notebook,
    published,
    run_list,
    summary,
    terminal,
    trend,
)
from perturb.report import Side
from perturb.visible import plain, plained, visible

NASTY = "\x1b[31m\x07\x9b\u202e\u2066\u200f\u061c\u200b\u2028\ufeff\ud800\u3164\U000e0041 [/bold] :smile: \x00\r\nPASS"
HIDING = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def hiding(text):
    """The characters of a text that a reader would not see, or a terminal obey; lines and tabs aside."""
    return {c for c in text if (unicodedata.category(c) in HIDING and c not in "\n\t") or c in "\u3164\u115f\u034f"}


def a_nasty_report():
    """The kept report, whose every free text ends in NASTY."""
    model = replace(REPORT.model, reference="net" + NASTY)
    suite = replace(REPORT.suite, name="suite" + NASTY, description="asks" + NASTY)
    findings = tuple(
        replace(f, check=f.check + NASTY, reason=f.reason + NASTY, effect=replace(f.effect, method="bets" + NASTY))
        for f in REPORT.findings
    )
    experiments = tuple(
        replace(e, name=e.name + NASTY, perturbation="P" + NASTY, thing="thing" + NASTY, layer="layer" + NASTY)
        for e in REPORT.experiments
    )
    controls = tuple(replace(c, name="c" + NASTY, observed="o" + NASTY, passed=False) for c in REPORT.controls)
    return replace(
        REPORT,
        model=model,
        suite=suite,
        findings=findings,
        experiments=experiments,
        controls=controls,
        map=replace(REPORT.map, layer="layer" + NASTY, makers=("conv" + NASTY,)),
        images=replace(REPORT.images, source="folder:" + NASTY, region="on" + NASTY),
        provenance=replace(REPORT.provenance, command="perturb" + NASTY, device="cpu" + NASTY),
    )


def published_nasty():
    return replace(a_nasty_report(), suite=replace(a_nasty_report().suite, name="suite"))


def nasty_changes():
    run = a_run(a_measurement([[1, 1]] * 40, [[1, 1]] * 40))
    model = replace(run.report.model, reference="net" + NASTY)
    run = replace(run, report=replace(run.report, model=model))
    return compare(accept(run, "one"), run, "two")


def nasty_sides():
    return [Side(name=name + NASTY, seed=0, report=a_nasty_report(), lattice=REPORT.map.phases) for name in "ab"]


def printed(what):
    view = console()
    view.file, view.width = io.StringIO(), 200
    view.print(what)
    return view.file.getvalue()


def an_entry():
    return Entry(
        run="0" * 64, timestamp="2026", suite="s" + NASTY, suite_digest="d", model=NASTY, verdict="PASS", findings=()
    )


def without_scripts(page):
    return re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)


def every_text(found):
    """The texts of a JSON value, at any depth, joined."""
    if isinstance(found, dict):
        found = [*found, *found.values()]
    return "".join(map(every_text, found)) if isinstance(found, list) else found if isinstance(found, str) else ""


def as_yaml_reads_it():
    index = yaml.safe_load(model_index.model_index([a_nasty_report()]))
    return index["model-index"][0]["name"] + index["model-index"][0]["results"][0]["dataset"]["type"]


def of_the_suite():
    from perturb.suite import parse_suite

    with pytest.raises(UsageError) as caught:
        parse_suite('"\\u001b[31m\\u202e" = 1\n', "suite" + NASTY)
    return str(caught.value)


OUTPUTS = {
    "terminal": lambda: printed(terminal.report(a_nasty_report())),
    "terminal, changes": lambda: printed(changes_view.changes(nasty_changes())),
    "terminal, history": lambda: printed(run_list.listing([an_entry()])),
    "terminal, a line": lambda: printed(f"baseline{NASTY.partition(chr(13))[0]} accepted"),
    "Markdown": lambda: markdown.report(a_nasty_report(), nasty_changes()),
    "Markdown, published": lambda: published.index({"suite/net": published_nasty()}),
    "HTML": lambda: without_scripts(html.report(a_nasty_report(), since=nasty_changes())),
    "HTML, before and after": lambda: without_scripts(html.report(a_nasty_report(), nasty_sides())),
    "HTML, trend": lambda: without_scripts(trend.trend([trend.Kept(report=a_nasty_report())])),
    "HTML, notebook": lambda: notebook.report(a_nasty_report()),
    "summary": lambda: summary.summary([summary.Sheet(report=a_nasty_report(), changes=nasty_changes())]),
    "JUnit": lambda: diagnosis.diagnosis(a_nasty_report(), a_nasty_report().findings[0].check),
    "JUnit, changes": lambda: changes_view.summary(nasty_changes()),
    "model-index": as_yaml_reads_it,
    "error": lambda: str(InputError(f"`{NASTY}`: no.")),
    "error of a suite": of_the_suite,
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_is_hidden_and_nothing_is_obeyed(output):
    text = OUTPUTS[output]()
    assert "\\u202e" in text, "the name is there, and seen"
    assert not hiding(text)
    assert "\nPASS" not in text, "a name begins no line of its own"
    text.encode()  # half of a surrogate pair could not be written


@pytest.mark.parametrize("output", ["HTML, before and after", "HTML, trend"])
def test_the_drawings_of_a_page_hold_no_hidden_character_either(output):
    """They are JSON within the page: an escape there is the character itself."""
    specs = re.findall(r'class="spec">(.*?)</script>', OUTPUTS[output](), flags=re.DOTALL)
    assert specs
    for spec in specs:
        drawn = every_text(json.loads(spec))
        assert not hiding(drawn)


def test_errors_and_warnings_are_one_line():
    assert str(UsageError("one\ntwo\x1b")) == "one two\\x1b"
    with pytest.warns(PerturbWarning, match=r"^a \\u202eb$"):
        warnings.warn("a\n\u202eb", PerturbWarning, stacklevel=1)


def test_what_can_be_seen_stays():
    for text in ("naïve Größe 画像 ❤️ 🙂 אב", "", "a  b"):
        assert plain(text) == text
    assert plain(plain(NASTY)) == plain(NASTY)
    assert visible("a\n\x07b\n") == "a\n\\x07b\n"


def test_a_record_at_any_depth():
    found = plained({"a\x07": (["\x1b"], REPORT.verdict, 3, None)})
    assert found == {"a\\x07": (["\\x1b"], REPORT.verdict, 3, None)}
    assert found["a\\x07"][1] is REPORT.verdict
    assert plained(REPORT) == REPORT


def test_names_of_photographs(tmp_path):
    from PIL import Image

    for i in range(3):
        Image.effect_noise((80, 80), 40 + i).save(tmp_path / f"\u202e\x1b{i}.png")
    images = load_images(f"folder:{tmp_path}", shape=(3, 64, 64))
    assert len(images.names) == 3
    assert not hiding("".join(images.names))
