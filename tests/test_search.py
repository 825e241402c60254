"""The worst case of networks whose blind places are known."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from toy_project import LOSS, NET, suite
from toys import SHAPE, network, window

from perturb.cli import main
from perturb.counterexample import Case, from_json
from perturb.perturbations.patches import Pixel
from perturb.stories.search import replay, search
from perturb.suite import parse_suite

SUITE = parse_suite(suite(LOSS), "tiny")


def test_a_strictly_dead_place_is_found_and_shrunk():
    """Missed at every level, and still on flat grey with one pixel."""
    sweep, found = search(network(window(1)), SUITE, budget=200)
    assert sweep.lowest.shape == (7, 4)
    simplest = found.simplest
    assert found.met.level == 1
    assert (simplest.case.picture == np.float32(127 / 255)).all()
    assert simplest.case.perturbation == Pixel()
    assert (simplest.case.dead[0] % 2, simplest.case.dead[1] % 2) != (0, 0)
    assert (simplest.case.live[0] % 2, simplest.case.live[1] % 2) == (0, 0)
    assert simplest.dead <= simplest.threshold < simplest.live


def test_a_balanced_network_has_no_worst_place_but_by_its_level():
    """All four phases are alike: what one misses at a level the others hardly see, and level 1 shows everywhere."""
    sweep, _ = search(network(window(2)), SUITE, budget=200)
    assert np.nanmax(sweep.lowest) <= 1


class Bright(nn.Module):
    """Two labels: whether any pixel of the even rows and columns is above 0.95."""

    def __init__(self):
        super().__init__()
        self.seen = nn.MaxPool2d(1, 2)

    def forward(self, x):
        brightest = self.seen(x).mean(1).amax((1, 2))
        return torch.stack([torch.full_like(brightest, 0.95), brightest], 1)


def test_the_smallest_level_that_flips_a_label():
    """127/255 + l > 0.95 from l = 116/255 on, and at seen places only."""
    asked = parse_suite(suite(LOSS).replace('layer = "0"', 'layer = "seen"'), "tiny")
    _, found = search(network(Bright()), asked, aim="flipped", budget=200)
    assert found.simplest.case.level == pytest.approx(116 / 255)
    assert found.simplest.dead <= 0
    assert (found.simplest.case.dead[0] % 2, found.simplest.case.dead[1] % 2) == (0, 0)


def test_replay_on_another_network():
    """The case is the file's, the verdict the network's."""
    case = Case(
        picture=np.full(SHAPE, 127 / 255, np.float32), perturbation=Pixel(), level=0.5, dead=(9, 8), live=(8, 8)
    )
    assert replay(network(window(1)), SUITE, case).holds
    assert not replay(network(window(2)), SUITE, case).holds


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "tiny.perturb.toml").write_text(suite(LOSS))
    return tmp_path


def test_the_printed_line_replays(work):
    runner = CliRunner()
    result = runner.invoke(main, ["search", "net.py:dead", "--suite", "tiny.perturb.toml", "--budget", "64"])
    assert result.exit_code == 1, result.output
    assert "on a flat picture of grey 0.50" in " ".join(result.output.split())
    line = result.output.split("Again: perturb ")[1].split()
    again = runner.invoke(main, line)
    assert again.exit_code == 1, again.output
    assert "HOLDS" in again.output
    mended = runner.invoke(main, ["replay", "net.py:even", line[-1]])
    assert mended.exit_code == 0, mended.output
    assert "NO MORE" in mended.output
    assert "other weights" in mended.output
    case, about = from_json((work / "counterexample.json").read_text())
    assert (case.perturbation, about.aim) == (Pixel(), "missed")


def test_a_broken_file_is_one_line(work):
    (work / "x.json").write_text(json.dumps({"schema": 2}))
    for args, code, words in (
        (["replay", "net.py:dead", "x.json"], 4, "`x.json`: picture: is missing"),
        (["replay", "net.py:dead", "none.json"], 2, "cannot be read"),
        (["search", "net.py:dead", "--suite", "tiny.perturb.toml", "--check", "x"], 2, "has no check `x`"),
    ):
        result = CliRunner().invoke(main, args)
        assert result.exit_code == code
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
