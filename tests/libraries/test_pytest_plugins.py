"""Suites under pytest beside other people's plugins, in a child process as a user starts it."""

import signal

import pytest
from odd_models import ANSWERS, ENDS, SUITE, net
from toy_project import SHAPE, suite

COUNTED = """
import os
def counted():
    with open(os.environ["COUNTED"], "a") as file:
        file.write("measured\\n")
    raise RuntimeError("out of order")
"""
LONG = ("loadscope", "loadfile", "loadgroup")
DISTS = ("load", "worksteal", "each", *(pytest.param(dist, marks=pytest.mark.long) for dist in LONG))
OTHERS = {
    "randomly": ("-p", "no:xdist"),
    "rerunfailures": ("--reruns=2",),
    "timeout": ("--timeout=300",),
    "asyncio": ("--asyncio-mode=auto",),
}


@pytest.fixture
def project(pytester, monkeypatch):
    (pytester.path / "counted.py").write_text(COUNTED)
    (pytester.path / "tiny.perturb.toml").write_text(suite(SHAPE, SHAPE.replace("dead-share", "imbalance")))
    monkeypatch.setenv("COUNTED", str(pytester.path / "counts"))
    return pytester


def counts(project):
    return len((project.path / "counts").read_text().splitlines())


@pytest.mark.parametrize("dist", DISTS)
def test_workers_measure_a_model_once_among_them(project, dist):
    result = project.runpytest_subprocess("-n2", f"--dist={dist}", "--perturb-model=counted.py:counted")
    result.assert_outcomes(errors=4 if dist == "each" else 2)
    result.stdout.fnmatch_lines(["*counted.py:counted raised RuntimeError: out of order*"])
    assert counts(project) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_other_plugins_change_nothing(project, name):
    result = project.runpytest_subprocess(*OTHERS[name], "--perturb-model=counted.py:counted")
    assert result.parseoutcomes()["errors"] == 2
    assert counts(project) == 1
    assert "During handling" not in result.stdout.str()


def test_a_limit_of_another_plugin_ends_the_measurement_too(project):
    (project.path / "hang.py").write_text("import time\ndef net(): time.sleep(600)\n")
    result = project.runpytest_subprocess("--timeout=3", "--perturb-model=hang.py:net", "-k", "imbalance")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*Timeout*3*"])


@pytest.mark.parametrize("where", ["rootdir", "parent"])
def test_paths_mean_the_same_from_another_root(pytester, monkeypatch, where):
    """In the suite: beside the suite. On the command line: from where it is typed."""
    monkeypatch.setenv("COUNTED", str(pytester.path / "counts"))
    inner = pytester.mkdir("inner")
    (inner / "counted.py").write_text(COUNTED)
    (inner / "tiny.perturb.toml").write_text(suite(SHAPE, more='[models]\nours = "counted.py:counted"\n'))
    options = ["inner"]
    if where == "rootdir":
        options += [f"--rootdir={pytester.mkdir('elsewhere')}"]
    else:
        pytester.makeini("[pytest]\nperturb_device = cpu\n")
        monkeypatch.chdir(inner)
        options = ["--perturb-model=counted.py:counted"]
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*raised RuntimeError: out of order*"])


def test_coverage_follows_the_measurement(pytester):
    (pytester.path / "odd.py").write_text(net())
    (pytester.path / "tiny.perturb.toml").write_text(SUITE)
    (pytester.path / ".coveragerc").write_text("[run]\npatch = subprocess\ninclude = odd.py\n")
    result = pytester.runpytest_subprocess("--cov=.", "--cov-report=term-missing", "--perturb-model=odd.py:dead")
    result.assert_outcomes(failed=1, passed=1)
    assert "never imported" not in result.stdout.str() + result.stderr.str()
    result.stdout.re_match_lines([r"odd\.py +\d+ +\d+ +[1-9]\d?%.*"])


@pytest.mark.long
def test_thirty_odd_models_in_one_session(pytester):
    """Each is an error of its own items, and the two good ones are judged."""
    waited = ("hangs", "spins")  # as long as `hangs_deaf`, which is among them
    names = ["even", "dead", *(f"{name}_at_once" for name in ENDS if not name.startswith(("closes", *waited)))]
    names += ["hangs_deaf_at_once", "closes_everything", *ANSWERS]
    models = "".join(f'{name} = "odd.py:{name}"\n' for name in names)
    (pytester.path / "odd.py").write_text(net())
    checks = SUITE.split("\n[[check]]")
    text = "\n[[check]]".join(checks[:2]).replace('name = "tiny"\n', f'name = "tiny"\n[models]\n{models}', 1)
    (pytester.path / "tiny.perturb.toml").write_text(text)
    limits = ("--perturb-timeout=100", "--perturb-memory=3", "--perturb-inconclusive=pass")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    result = pytester.runpytest_subprocess(*limits)
    result.assert_outcomes(passed=1, failed=1, errors=len(names) - 2)
