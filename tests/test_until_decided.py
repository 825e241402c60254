"""A run that goes on until each check is decided: when it stops, and that it is the beginning of the whole run."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from toys import network, window

from perturb.baseline import accept, compare, conditions, decided
from perturb.changes import ChangeVerdict
from perturb.cli import main
from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.images import load_images, split
from perturb.render import terminal
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, examine
from perturb.stories.run_checks import STEP, looks_at
from perturb.suite import parse_suite

SUITE = """
name = "tiny"
[images]
source = "noise"
count = 60
[map]
kind = "structural"
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
level = 0.9
pairs = 4
claim = { quantity = "accuracy-loss", at_most = 0.25 }
"""


def model(kernel=1):
    return network(window(kernel, stride=2), shape=(3, 24, 24))


@pytest.fixture(scope="module")
def whole():
    return examine(model(), parse_suite(SUITE, "x"))


@pytest.fixture(scope="module")
def stopped():
    return examine(model(), parse_suite(SUITE, "x").until_decided(None))


def test_it_stops_at_the_photograph_that_decides(stopped):
    """Everything is lost at strictly dead pixels: of a loss of 0.95 few photographs are needed to see it above 0.25."""
    images = stopped.report.images
    assert stopped.report.verdict == "FAIL"
    assert images.at_most == 36
    assert images.judged.photographs == len(stopped.photographs) < 20
    assert f"{images.judged.photographs} photographs judged (then each check was decided; at most 36)" in str(
        terminal.headline(stopped.report)
    )


@pytest.mark.slow
def test_one_photograph_less_would_not_have_decided(stopped):
    n = stopped.report.images.judged.photographs
    before = examine(model(), parse_suite(SUITE, "x").until_decided(n - 1)).report
    assert before.verdict == "INCONCLUSIVE"
    assert before.images.judged.photographs == before.images.at_most == n - 1
    assert f"(until each check is decided; the most, {n - 1}, was reached)" in str(terminal.headline(before))


@pytest.mark.slow
def test_it_is_the_beginning_of_the_whole_run(whole, stopped):
    n = len(stopped.photographs)
    assert stopped.photographs == whole.photographs[:n]
    assert stopped.pictures == whole.pictures[:n]
    some, every = stopped.measured["pixel"], whole.measured["pixel"]
    np.testing.assert_array_equal(some.seen.evidence, every.seen.evidence[:, :, :n])
    np.testing.assert_array_equal(some.trials[0].dead, every.trials[0].dead[:n])
    assert stopped.report.suite.digest == whole.report.suite.digest


def test_it_goes_on_until_every_check_is_decided(stopped):
    """A second claim lies at what is lost, so nothing decides it; the first stays decided meanwhile."""
    near = SUITE[SUITE.index("[[check]]") :].replace('"pixel"', '"near"', 1).replace("0.25", "0.95")
    n = stopped.report.images.judged.photographs + 4
    report = examine(model(), parse_suite(SUITE + near, "x").until_decided(n)).report
    assert [finding.verdict for finding in report.findings] == ["FAIL", "INCONCLUSIVE"]
    assert report.images.judged.photographs == n


@pytest.mark.slow
def test_what_is_never_decided_judges_all():
    """A balanced window loses nothing, and 36 photographs cannot show a loss below 0.01."""
    text = SUITE.replace("0.25", "0.01").replace("[images]", "[images]\nuntil_decided = true\nat_most = 9")
    report = examine(model(2), parse_suite(text, "x")).report
    assert (report.verdict, report.images.judged.photographs) == ("INCONCLUSIVE", 9)


@pytest.mark.slow
def test_it_goes_on_until_the_change_is_decided_too(whole, stopped):
    """The check is decided long before the margin of a change can be."""
    baseline = accept(whole, "whole")
    wanted = Wanted(conditions=conditions(baseline), decided=lambda found: decided(baseline, found))
    same = examine(model(), parse_suite(SUITE, "x").until_decided(None), Context(wanted=wanted))
    assert compare(baseline, same, "same").verdict == ChangeVerdict.EQUIVALENT
    assert len(same.photographs) == len(stopped.photographs)  # the very same evidence needs no statistics
    never = replace(wanted, decided=lambda found: False)
    later = examine(model(), parse_suite(SUITE, "x").until_decided(None), Context(wanted=never))
    assert len(later.photographs) == 36


def test_looks_are_rarer_as_photographs_add_up():
    looks = looks_at(500, until_decided=True)
    assert looks[:19] == [*range(2, 21)]
    assert looks[-1] == 500
    assert all(b - a <= 1 + a // STEP for a, b in pairwise(looks))
    assert looks_at(500, until_decided=False) == [500]
    assert looks_at(2, until_decided=True) == [2]


def test_judged_photographs_come_in_a_random_order():
    judged = split(load_images("noise", shape=(1, 8, 8), count=60), share=0.4, seed=0)[1]
    numbers = [int(name.rpartition("-")[2]) for name in judged.names]
    assert numbers != sorted(numbers)
    assert (np.diff(judged.photograph) >= 0).all()


@pytest.mark.slow
def test_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.perturb.toml").write_text(SUITE)
    (tmp_path / "net.py").write_text(
        "import torch, perturb\n"
        "def build():\n"
        "    seen_as = perturb.Preprocessing(input_shape=(3, 24, 24))\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, stride=2)), seen_as\n"
    )
    given = ["qualify", "net.py:build", "--suite", "tiny.perturb.toml", "--history", "none"]
    done = CliRunner().invoke(main, [*given, "--until-decided", "--at-most", "30", "--out", "run"])
    assert done.exit_code == 1, done.output
    assert "then each check was decided; at most 30" in done.output.replace("\n", " ")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert "--at-most 30 --until-decided" in report["provenance"]["command"]
    alone = CliRunner().invoke(main, [*given, "--at-most", "30"])
    assert (alone.exit_code, "--at-most goes with --until-decided." in alone.output) == (2, True)


def test_at_most_needs_until_decided():
    with pytest.raises(UsageError, match=r"\[images\] at_most = 9: it goes with until_decided = true"):
        parse_suite(SUITE.replace("count", "at_most = 9\ncount"), "x")


def test_photographs_without_room_do_not_count_as_judged(tmp_path, monkeypatch):
    """Some pictures are dark and have no region: of the first two judged ones fewer than two can be asked about."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "def draw(shape, rng):\n"
        "    return rng.uniform(0, 0.2, shape).astype(np.float32) + (0.7 if rng.random() < 0.3 else 0)\n"
    )
    text = SUITE.replace('"noise"', '"own.py:draw"').replace("[map]", "[region]\nbrighter_than = 0.5\n[map]")
    asked = parse_suite(text, "x").until_decided(2)
    with pytest.warns(PerturbWarning, match="left out"), pytest.raises(InputError, match="raise at_most"):
        examine(model(), asked)
