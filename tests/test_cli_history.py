"""From one run to the next on the command line: kept, accepted, compared."""

import json
import re

import pytest
from test_cli import NET, SUITE, perturb
from toyruns import a_run

from perturb.baseline import accept, from_json
from perturb.files import encode


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE.format(count=24, at_most=0.1))
    return tmp_path


def qualify(net, *more):
    return perturb("qualify", f"net.py:{net}", "--suite", "tiny.perturb.toml", *more)


@pytest.mark.slow
def test_from_run_to_run(work):
    """The same model is equivalent, another one has regressed, and the baseline moves by `accept` alone."""
    qualify("even", "--out", "first")
    files = {"report.json", "report.md", "report.html", "trials.npz", "maps.npz"}
    assert {path.name for path in (work / "first").iterdir()} == files
    (kept,) = (work / ".perturb/runs").iterdir()
    assert (kept / "trials.npz").read_bytes() == (work / "first/trials.npz").read_bytes()
    accepted = perturb("baseline", "accept", "even.json", "first")
    assert accepted.exit_code == 0, accepted.output
    text = (work / "even.json").read_text()
    assert from_json(text).accepted.run == kept.name

    same = qualify("even", "--baseline", "even.json", "--out", "same")
    assert "EQUIVALENT" in same.output
    assert "every trial gave the very same evidence" in same.output
    worse = qualify("dead", "--baseline", "even.json", "--out", "worse")
    assert worse.exit_code == 1
    assert json.loads((work / "worse/changes.json").read_text())["verdict"] == "REGRESSED"
    assert '<strong class="REGRESSED">REGRESSED</strong> beside' in (work / "worse/report.html").read_text()
    assert (work / "even.json").read_text() == text

    for baseline in ("even.json", "first", "first/report.json", kept.name[:8]):
        assert perturb("compare", baseline, "same").exit_code == 0
    assert perturb("compare", "even.json", "worse").exit_code == 1
    swapped = perturb("compare", "worse", "first")
    assert swapped.exit_code == 4
    assert "measure the candidate with" in swapped.output
    assert perturb("compare", "even.json", "worse", "--margin", "0.99").exit_code == 0

    assert perturb("history", "trend", "--baseline", "even.json").exit_code == 2
    assert perturb("history", "trend", "--baseline", "even.json", "--out", "trend.html").exit_code == 0
    page = (work / "trend.html").read_text(encoding="utf-8")
    told = set(re.findall(r'data-name="since"><strong class="(\w+)">', page))
    assert {"baseline", "EQUIVALENT", "REGRESSED"} <= told

    moved = perturb("baseline", "accept", "even.json", "worse")
    assert "REGRESSED" in moved.output
    after = from_json((work / "even.json").read_text())
    assert after.accepted.model == "net.py:dead"
    assert after.experiments["pixel"].level == from_json(text).experiments["pixel"].level

    listed = perturb("history", "list")
    assert listed.output.count("net.py:") == 3
    assert "runs" in perturb("history", "trend").output
    assert perturb("history", "trend", "--out", "trend.html").exit_code == 0
    assert "over time" in (work / "trend.html").read_text(encoding="utf-8")
    points = [
        point for series in json.loads(perturb("history", "trend", "--json").output) for point in series["points"]
    ]
    assert len(points) == 6
    assert "net.py:even" in perturb("history", "show", kept.name[:8]).output
    blocks = len([*(work / ".perturb/blocks").glob("*.npz")])
    cleared = perturb("history", "gc", "--newest", "1").output
    assert cleared == f"Removed 1 runs, 0 unfinished ones and {blocks} blocks.\n"
    assert perturb("history", "rebuild").output == "2 runs indexed.\n"


@pytest.mark.slow
def test_a_history_that_cannot_be_written_costs_no_verdict(work):
    (work / "file").write_text("")
    result = qualify("dead", "--history", "file/inside")
    assert result.exit_code == 1
    assert "not kept in the history `file/inside`: Not a directory" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("qualify", "net.py:even", "--suite", "tiny.perturb.toml", "--baseline", "none"), 2, "accept none RUN"),
        (("qualify", "net.py:even", "--suite", "tiny.perturb.toml", "--baseline", "net.py"), 4, "not JSON"),
        (
            ("qualify", "net.py:even", "--suite", "smoke", "--baseline", "b.json"),
            4,
            "INCOMPARABLE: `b.json` is of suite",
        ),
        (("compare", "net.py", "b.json"), 4, "not JSON"),
        (("compare", "nothing", "nothing"), 2, "`nothing` is neither a run's folder nor one run in `.perturb`"),
        (("baseline", "accept", "new.json", "absent"), 2, "`absent` is neither a run's folder"),
        (("history", "show", "abc"), 2, "`abc` is neither"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(work, args, code, words):
    (work / "b.json").write_text(encode(accept(a_run(), "one")))
    result = perturb(*args)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (work / "new.json").exists()


def test_an_empty_history(work):
    assert "No runs kept yet" in perturb("history", "list").output
    assert "No runs kept yet" in perturb("history", "trend").output
