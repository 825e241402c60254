"""A model asked at shifts of the picture: what moves back where, what is joined how, and that it cures."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from toyanswers import DARK, PREPROCESSING, model
from toys import network, window

from perturb import BlackBox, InputError, Preprocessing, UsageError, ask_twice, qualify
from perturb.cli import main
from perturb.model import behind, shifts_of
from perturb.stories.qualify import Context, set_up
from perturb.suite import parse_suite

PLACE = 21, 33  # of one bright pixel, which `blind` reads in the view moved by one row and one column alone
SMALL = Preprocessing(input_shape=(1, 16, 16))


def sheet(*places):
    pictures = torch.zeros(1, *PREPROCESSING.input_shape)
    for row, column in places:
        pictures[0, 0, row, column] = 1
    return pictures


def blind(answer, **given):
    return ask_twice(BlackBox(model("blind", answer), preprocessing=PREPROCESSING), **given)


def small(function):
    return BlackBox(function, preprocessing=SMALL)


def test_boxes_are_moved_back_and_each_is_kept_once():
    """The view begins one row and one column further on, where the pixel fills the box (32, 20) to (34, 22)."""
    (found,) = blind("boxes").measure(sheet(PLACE))
    assert (found["boxes"].tolist(), found["scores"].tolist(), found["labels"]) == ([[33, 21, 35, 23]], [1.0], ["1"])
    (both,) = blind("boxes").measure(sheet(PLACE, (40, 8)))
    assert sorted(both["boxes"].tolist()) == [[8, 40, 10, 42], [33, 21, 35, 23]]

    def square(x):  # read in every view, to the half pixel: the same box four times
        row, column = np.argwhere(x[0, 0].numpy() > 0.9)[0]
        return [{"boxes": [[column, row, column + 4, row + 4]], "scores": [0.5], "labels": [0]}] * len(x)

    picture = torch.zeros(1, 1, 16, 16)
    picture[0, 0, 6:10, 5:9] = 1
    asked = ask_twice(small(lambda x: square(x) if (x > 0.9).any() else [[]] * len(x)))
    assert asked.measure(picture)[0]["boxes"].tolist() == [[5, 6, 9, 10]]
    assert asked.measure(torch.zeros(1, 1, 16, 16)) == [[]]


def test_maps_are_moved_back_and_scores_are_the_largest():
    """A map of half the size is repeated to the picture's pixels: the pixel's position of 2 x 2 lies where it does."""
    asked = blind("map")
    found = asked.measure(sheet(PLACE), "output:anomaly_map")
    assert found.shape == (1, 1, 64, 64)
    assert torch.nonzero(found[0, 0]).tolist() == [[21, 33], [21, 34], [22, 33], [22, 34]]
    assert asked.measure(sheet(PLACE), "output:pred_score").tolist() == [1.0]
    whole = asked.measure(sheet(PLACE))[0]
    assert whole["anomaly_map"].equal(found[0])
    assert blind("score").measure(torch.cat([sheet(PLACE), sheet()])).tolist() == [1.0, 0.0]


def test_the_edge_is_shown_as_it_is_and_repeated_beyond():
    """The first row is seen in the unmoved view alone; what is moved in from outside repeats the last row."""
    rows = torch.linspace(0.1, 0.8, 16)[:, None].expand(1, 1, 16, 16)
    found = ask_twice(small(lambda x: x[:, 0]), shifts=3, step=2).measure(rows)[0]
    assert found.equal(rows[0, 0])


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        (("125", "12.5", "125", "125"), "12.5"),
        (("725", "125", "125", "25"), "125"),
        (("", "", "", "7"), "7"),
        (("725", "125", "25", "5"), "725"),
    ],
)
def test_the_longest_reading_counts_then_the_most_frequent_then_the_first(readings, told):
    def read(x):
        """By the brightness of the top left pixel, which the shift chooses."""
        return [readings[min(3, round(float(one[0, 0, 0]) * 10))] for one in x]

    picture = torch.zeros(1, 1, 16, 16)
    picture[0, 0, :2, :2] = torch.tensor([[0.0, 0.1], [0.2, 0.3]])
    assert ask_twice(small(read)).measure(picture) == [told]


def test_shifts_are_steps_apart_in_both_directions():
    seen = []

    def note(x):
        seen.extend(tuple(torch.nonzero(one[0] == 1)[0].tolist()) for one in x if (one == 1).any())
        return x.amax((1, 2, 3))

    asked = ask_twice(small(note), shifts=3, step=4)
    seen.clear()
    picture = torch.zeros(1, 1, 16, 16)
    picture[0, 0, 10, 9] = 1
    asked.measure(picture)
    assert sorted(seen) == sorted((10 - row, 9 - column) for row in (0, 4, 8) for column in (0, 4, 8))


def test_networks_and_cameras():
    """A network is asked too; the picture moves in pixels of the network's input, behind the camera's steps."""
    built = network(nn.Sequential(window(2)))
    asked = ask_twice(built)
    pictures = torch.rand(2, *built.input_shape)
    views = [torch.roll(pictures, (-row, -column), (2, 3)) for row in (0, 1) for column in (0, 1)]
    fine = [built.measure(view).repeat_interleave(2, 2).repeat_interleave(2, 3) for view in views]
    back = [torch.roll(each, at, (2, 3)) for each, at in zip(fine, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True)]
    inner = slice(2, -2)
    expected = torch.stack(back).amax(0)
    torch.testing.assert_close(asked.measure(pictures)[..., inner, inner], expected[..., inner, inner])

    box = BlackBox(model("blind", "boxes"), preprocessing=PREPROCESSING)
    camera = behind(box, (128, 128), {"antialias": False})
    large = sheet(PLACE).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for whole in (ask_twice(camera), behind(ask_twice(box), (128, 128), {"antialias": False})):
        assert whole.input_shape == (1, 128, 128)
        assert whole.measure(large)[0]["boxes"].tolist() == [[33, 21, 35, 23]]


def test_it_is_another_model_than_the_one_that_it_asks():
    box = BlackBox(model("nothing", "score"), preprocessing=PREPROCESSING)
    assert len({each.digest for each in (box, ask_twice(box), ask_twice(box, shifts=3))}) == 3


SUITE = """
name = "odd"
[images]
source = "own.py:dark"
count = 24
[map]
kind = "response"
period = 2
share = 0.25
[evaluator]
{table}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ at_most = 0.3 }}
"""
OWN = """
import torch
from perturb import Preprocessing
from toyanswers import PREPROCESSING, model
def blind(): return model("blind", "score"), PREPROCESSING
"""
TABLES = {"score": "kind = 'score'", "boxes": "kind = 'boxes'\nradius = 2"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(DARK + OWN)
    (tmp_path / "odd.perturb.toml").write_text(SUITE.format(table=TABLES["score"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["score", pytest.param("boxes", marks=pytest.mark.long)])
def test_a_lattice_that_is_dead_at_odd_phases_is_cured(folder, answer):
    """All is lost there by one look, nothing by four; false alarms keep the rate to which they are pinned anew."""
    suite = parse_suite(SUITE.format(table=TABLES[answer]), str(folder / "s.perturb.toml"))
    built = BlackBox(model("blind", answer), preprocessing=PREPROCESSING)
    context = Context(bench=set_up(suite, built.input_shape))
    before, after = (qualify(each, suite, context) for each in (built, ask_twice(built)))
    assert before.findings[0].effect.value > 0.9
    assert before.verdict == "FAIL"
    assert abs(after.findings[0].effect.value) < 0.1
    assert after.experiments[0].detected.dead.value > 0.7
    (kept,) = (control for control in after.controls if control.name.startswith("false alarms"))
    assert kept.passed
    assert after.verdict in ("PASS", "INCONCLUSIVE")


def run(*arguments):
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.slow
def test_on_the_command_line(folder):
    asked = ("own.py:blind", "--suite", "odd.perturb.toml", "--remedy", "ask-twice:3")
    code, told = run("qualify", *asked, "--out", "run")
    assert code in (0, 3), told
    report = json.loads((folder / "run/report.json").read_text())
    assert report["model"]["reference"] == "own.py:blind at 3 x 3 shifts"
    assert report["model"]["remedy"] == {"kind": "ask-twice:3", "weights": "kept", "changed": []}
    assert "--remedy ask-twice:3" in report["provenance"]["command"]


@pytest.mark.slow
def test_a_row_of_the_table_of_remedies(folder):
    """Of a black box there is no other; it costs four looks, keeps right answers and is on the front."""
    code, told = run("remedy", "own.py:blind", "--suite", "odd.perturb.toml", "--json")
    assert code == 0, told
    built, twice = json.loads(told[told.index("{") :])["rows"]
    assert (built["name"], twice["name"], twice["cost"]) == ("as built", "ask-twice", 4)
    assert built["loss"]["value"] > 0.9 > 0.1 > abs(twice["loss"]["value"])
    assert built["multiply_adds"] is twice["structural"] is None
    assert (built["front"], twice["front"]) == (True, True)
    assert twice["kept"]["value"] == pytest.approx(twice["accuracy"] - built["accuracy"])
    assert twice["kept"]["value"] > 0.1
    for more, told in (((), "name --suite"), (("--suite", "odd", "--with", "padding"), "use ask-twice")):
        asked = [word.replace("odd", "odd.perturb.toml") for word in more]
        code, output = run("remedy", "own.py:blind", *asked)
        assert (code, told in output) == (2, True), output


@pytest.mark.parametrize("remedy", ["ask-twice:1", "ask-twice:", "ask-twice:two", "ask-twice:-2"])
def test_other_numbers_are_refused(remedy):
    if remedy == "ask-twice:":
        assert shifts_of(remedy) == 2
        return
    with pytest.raises(UsageError, match="expected ask-twice, or ask-twice:K with K of 2 or more"):
        shifts_of(remedy)


def test_what_cannot_be_asked_twice(folder):
    box = BlackBox(model("blind", "score"), preprocessing=PREPROCESSING)
    for given in ({"shifts": 1}, {"step": 0}, {"shifts": 9, "step": 8}):
        with pytest.raises(UsageError, match="expected 2 shifts or more"):
            ask_twice(box, **given)
    ask_twice(box, shifts=9, step=7)
    with pytest.raises(UsageError, match="takes a loaded model, not a function"):
        ask_twice(model("blind", "score"))
    with pytest.raises(UsageError, match="is untrained; name weights"):
        ask_twice(network(nn.Sequential(window(3), nn.BatchNorm2d(16))))
    with pytest.raises(UsageError, match="are labels, which cannot be joined by max"):
        ask_twice(small(lambda x: (x[:, 0] * 9).long()))
    with pytest.raises(UsageError, match="without layers"):
        ask_twice(box).measure(sheet(), "0")
    code, told = run("search", "own.py:blind", "--remedy", "ask-twice")
    assert (code, "joins answers, and leaves no layers" in told, told.count("\n")) == (2, True, 1)


def test_a_state_or_nonsense_is_still_refused():
    """Also of a model that was sound when it was loaded."""

    class Turns:
        calls, broken = 0, False

        def __call__(self, x):
            self.calls += self.broken
            return x.amax((1, 2, 3)) + self.calls

    turns = Turns()
    box = small(turns)
    ask_twice(box)
    turns.broken = True
    with pytest.raises(InputError, match="gives two outputs for one picture"):
        ask_twice(box)
    wild = {"value": 1.0}
    box = small(lambda x: x.amax((1, 2, 3)) * wild["value"])
    asked = ask_twice(box)
    wild["value"] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        asked.measure(torch.rand(1, 1, 16, 16))
    with pytest.raises(InputError, match="not finite"):
        ask_twice(box)
