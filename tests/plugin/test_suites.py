"""`*.perturb.toml` under pytest: what is collected, measured once, and said."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy_project import LOSS, SHAPE, suite

from perturb.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
IN_ORDER = ("-p", "no:randomly")  # where pytest-randomly is installed


@pytest.mark.slow
def test_a_failing_check_reads_like_a_diagnosis(project):
    """Measured once for both checks: one fails with all that is to be known, one passes; JUnit carries the numbers."""
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS, SHAPE))
    result = project.runpytest(
        "--perturb-model=net.py:dead", "--perturb-reports=kept", "--junitxml=junit.xml", "-v", *IN_ORDER
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "perturb: tiny *, seed 0, device auto: net.py:dead",
            "tiny.perturb.toml::net.py:dead::accuracy-loss FAILED*",
            "tiny.perturb.toml::net.py:dead::dead-share PASSED*",
            "FAIL: net.py:dead: accuracy-loss * claimed at most 0.1",
            "  the whole interval lies above 0.1; n = 14 photographs, *",
            "  Pixel(*) at level 0.5: noticed *% of the time at dead places, *% at live ones (28 pairs)",
            "  worst: dead-leaves-*, judged crop *: missed at (*, *) (evidence *, seen above *), seen at (*, *) (*)",
            "  blindest phase: * of period 2, 0 of the mean contribution*",
            "  made by: 0 (Conv2d 1 x 1, stride 2)",
            "  again: perturb qualify net.py:dead --suite tiny.perturb.toml",
            "FAIL         tiny::net.py:dead::accuracy-loss * at most 0.1, n = 14",
            "PASS         tiny::net.py:dead::dead-share *",
        ]
    )
    reports = list((project.path / "kept").rglob("report.json"))
    assert len(reports) == 1
    effect = json.loads(reports[0].read_text())["findings"][0]["effect"]
    case = ET.parse(project.path / "junit.xml").find(".//testcase[@name='accuracy-loss']")
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["perturb_verdict"] == "FAIL"
    assert [float(properties[f"perturb_{key}"]) for key in ("value", "low", "high", "n")] == [
        effect[key] for key in ("value", "low", "high", "n")
    ]


@pytest.mark.slow
def test_a_model_that_cannot_be_measured_harms_no_other(project):
    """A crash and an error are one line each on their own items; under xdist each file's models are measured once."""
    models = "".join(f'{name} = "net.py:{name}"\n' for name in ("crash", "broken", "even"))
    (project.path / "one.perturb.toml").write_text(suite(LOSS, SHAPE, more=f"[models]\n{models}"))
    (project.path / "two.perturb.toml").write_text(suite(SHAPE, more='[models]\neven = "net.py:even"\n'))
    result = project.runpytest("-n2", "--dist=loadfile", "-k", "dead-share", "--perturb-reports=kept")
    result.assert_outcomes(errors=2, passed=2)
    for line in (
        "net.py:crash: the model's code crashed the process that measured it (signal 6, SIGABRT).",
        "net.py:broken raised RuntimeError: out of order",
        "PASS         tiny::even::dead-share *",
    ):
        result.stdout.fnmatch_lines([line])
    assert "Traceback" not in result.stdout.str()
    assert len(list((project.path / "kept").rglob("report.json"))) == 2


@pytest.mark.slow
def test_kinds_of_a_users_own_are_found_beside_the_suite(project):
    """Collecting checks only the form of a kind; the measuring process loads it from the folder of the suite."""
    folder = project.mkdir("suites")
    for file in EXAMPLES.glob("custom.*"):
        (folder / file.name).write_text(file.read_text())
    (folder / "typo.perturb.toml").write_text(
        (EXAMPLES / "custom.perturb.toml").read_text().replace("Entropy", "Energy")
    )
    result = project.runpytest("--perturb-model=net.py:even", "--perturb-reports=kept", "--perturb-inconclusive=pass")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*custom.py*has no `Energy`*"])
    (report,) = (project.path / "kept").rglob("report.json")
    assert json.loads(report.read_text())["experiments"][0]["evaluator"] == "custom.py:Entropy"


def test_a_model_that_hangs_is_given_up(project):
    (project.path / "tiny.perturb.toml").write_text(suite(SHAPE))
    result = project.runpytest("--perturb-model=net.py:hang", "--perturb-timeout=2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["net.py:hang: no result within 2 s (--perturb-timeout)."])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "outcome"), [("fail", {"failed": 1}), ("xfail", {"xfailed": 1}), ("pass", {"passed": 1})]
)
def test_an_undecided_check(project, reporting, mode, outcome):
    """By default it fails in its own words; the choice can stand in the ini file."""
    reporting("INCONCLUSIVE")
    project.makeini(f"[pytest]\nperturb_inconclusive = {mode}\nperturb_model = net.py:even\n")
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS))
    result = project.runpytest()
    result.assert_outcomes(**outcome)
    if mode == "fail":
        result.stdout.fnmatch_lines(["INCONCLUSIVE: *", "*about 77 photographs to supply would decide*"])


@pytest.mark.parametrize(("verdict", "outcome"), [("FAIL", {"xfailed": 1}), ("PASS", {"failed": 1})])
def test_an_expected_failure_is_strict(project, reporting, verdict, outcome):
    reporting(verdict)
    expected = '[expected-failures]\naccuracy-loss = "known since May"\n'
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS, more=expected))
    result = project.runpytest("--perturb-model=net.py:dead", "-rx")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*known since May*"])


def test_an_instrument_that_failed_is_an_error(project, reporting):
    reporting("INVALID")
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS))
    result = project.runpytest("--perturb-model=net.py:even")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["INVALID: the instrument failed on net.py:even: ruler: expected straight; got bent"])


def test_selection(project, reporting):
    """-k, node ids, --lf and -x choose among checks as among tests."""
    reporting("FAIL")
    more = '[models]\nfirst = "net.py:dead"\nsecond = "net.py:even"\n'
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS, SHAPE, more=more))
    project.runpytest("-k", "second and loss").assert_outcomes(failed=1, deselected=3)
    project.runpytest("tiny.perturb.toml::first::dead-share").assert_outcomes(passed=1)
    project.runpytest("-x", *IN_ORDER).assert_outcomes(failed=1)
    project.runpytest("--lf").assert_outcomes(failed=2)
    project.runpytest("-p", "no:perturb").assert_outcomes()


@pytest.mark.slow
def test_collecting_measures_nothing_and_loads_no_torch(project):
    for i in range(50):
        (project.path / f"s{i}.perturb.toml").write_text(suite(LOSS, SHAPE))
    project.makeconftest(
        "import sys\ndef pytest_unconfigure():\n    print('loaded:', {'torch', 'numpy'} & set(sys.modules))"
    )
    result = project.runpytest_subprocess("--co", "-q", "--perturb-model=net.py:hang", "-p", "no:jaxtyping", *IN_ORDER)
    assert "100 tests collected" in result.stdout.str()
    assert "s7.perturb.toml::net.py:hang::dead-share" in result.stdout.str()
    result.stdout.fnmatch_lines(["loaded: set()"])


def test_without_a_model_a_suite_is_skipped(project):
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS))
    result = project.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*give --perturb-model or write*models*into the suite"])


def test_a_broken_suite_is_one_collection_error(project):
    (project.path / "bad.perturb.toml").write_text(suite(LOSS).replace("kind", "kin"))
    (project.path / "good.perturb.toml").write_text(suite(LOSS, more='[expected-failures]\nacuracy = "x"\n'))
    result = project.runpytest("--perturb-model=net.py:dead")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*bad.perturb.toml: [[]map[]] kin is not a key*Did you mean 'kind'*", "*is no check, expected one of*"]
    )
    assert "Traceback" not in result.stdout.str()


@pytest.mark.slow
def test_a_baseline_is_a_check_of_its_own(project):
    """The model that was accepted is equivalent to itself; one that no longer sees has regressed, in plain lines."""
    tiny = project.path / "tiny.perturb.toml"
    tiny.write_text(suite(LOSS))
    runner = CliRunner()
    for line in ("qualify net.py:even --suite tiny.perturb.toml --out first", "baseline accept even.json first"):
        assert runner.invoke(main, line.split()).exit_code in (0, 1, 3)
    models = "".join(f'{n} = {{ reference = "net.py:{n}", baseline = "even.json" }}\n' for n in ("even", "dead"))
    tiny.write_text(suite(LOSS, more=f"[models]\n{models}"))
    result = project.runpytest("-k", "baseline")
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        [
            "REGRESSED: net.py:dead (*) beside net.py:even (*)",
            "  REGRESSED: accuracy-loss, detection at dead places: * -> *: * of * photographs fell, 0 rose; *",
        ]
    )
