"""The fixtures and the marker in people's own tests."""

import sys

import pytest
from toy_project import LOSS, suite

OWN = """
import pytest
import net

@pytest.fixture(scope="module")
def dead():
    module, preprocessing = net.dead()
    return module, preprocessing

def test_qualify(perturb, dead):
    assert perturb.qualify(dead[0], preprocessing=dead[1], suite="tiny.perturb.toml")

def test_again_is_not_measured_again(perturb, dead, monkeypatch):
    monkeypatch.setattr("perturb.stories.run_checks.measure_in_turn", None)
    report = perturb.qualify(dead[0], preprocessing=dead[1], suite="tiny.perturb.toml").report
    assert report.findings[0].effect.value > 0.5

def test_lint(perturb):
    assert perturb.lint("net.py:dead").balanced

def test_map(perturb):
    assert perturb.map("net.py:even").period == 1

@pytest.mark.perturb("tiny.perturb.toml")
def test_marker(perturb_report):
    assert perturb_report

def test_model(perturb, perturb_model):
    assert not perturb.lint(perturb_model).balanced
"""


@pytest.mark.slow
def test_a_failing_assertion_reads_like_a_diagnosis(project):
    """Plain assert; what was measured is shared by the session's tests, a module and a reference alike."""
    (project.path / "tiny.perturb.toml").write_text(suite(LOSS))
    project.makepyfile(test_own=OWN)
    order = ("-p", "no:randomly")
    result = project.runpytest_subprocess("test_own.py", "--perturb-model=net.py:dead", *order)  # torch loads only once
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*assert <FAIL: Sequential: accuracy-loss * claimed at most 0.1>",
            "*--- perturb ---*",
            "FAIL: Sequential: accuracy-loss *",
            "  the whole interval lies above 0.1; n = 14 photographs, *",
            "  worst: dead-leaves-*: missed at (*",
            "  blindest phase: (0, 1) of period 2*",
            "  made by: 0 (Conv2d 1 x 1, stride 2)",
            "  again: pytest test_own.py::test_qualify",
            "*where False = <net.py:dead: period 2, liveliest / deadest infinite, made by 0>.balanced",
            "FAIL: net.py:dead: accuracy-loss *",
        ]
    )


def test_marker_and_model_are_needed(project):
    project.makepyfile("def test_a(perturb_report): pass\ndef test_b(perturb_model): pass")
    project.runpytest().assert_outcomes(skipped=2)
    result = project.runpytest("--perturb-model=net.py:even", "-k", "test_a")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs the marker @pytest.mark.perturb(*"])


@pytest.mark.parametrize(
    ("line", "argument", "words"),
    [
        ("perturb_inconclusive = maybe", "-q", "perturb_inconclusive = 'maybe': expected one of *"),
        ("", "--perturb-timeout=soon", "perturb_timeout = 'soon': expected seconds above 0."),
        ("", "--perturb-device=tpu", "*invalid choice: 'tpu'*"),
    ],
)
def test_options_are_checked_before_anything_runs(project, line, argument, words):
    project.makeini(f"[pytest]\n{line}\n")
    result = project.runpytest(argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{words}"])


def test_the_plugin_loads_neither_torch_nor_numpy(project):
    code = "import sys, perturb.plugin; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    result = project.run(sys.executable, "-c", code)
    result.stdout.fnmatch_lines(["set()"])
