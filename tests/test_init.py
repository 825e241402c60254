"""`perturb init`: the suite that it writes asks what the model can answer, and says what the pictures can decide."""

import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from perturb.cli import main
from perturb.errors import UsageError
from perturb.stories.answer_kind import AnswerKind, answer_kind
from perturb.stories.suite_text import Survey, facts, suite_text
from perturb.suite import load_suite, parse_suite

OWN = """
import numpy as np
import torch
from torch import nn
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 64, 64))
ARRAYS = Preprocessing(input_shape=(3, 64, 64), layout="HWC", dtype="uint8", arrays="numpy", bounds=(0, 255))
def trunk():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
def classes(): return nn.Sequential(trunk(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)), SMALL
def marks(): return nn.Sequential(trunk(), nn.Conv2d(8, 1, 1)), SMALL
def regions(): return nn.Sequential(trunk(), nn.Conv2d(8, 4, 1)), SMALL
def as_function(made):
    network = made()[0].eval()
    return (lambda x: network(x)), SMALL
def asked_classes(): return as_function(classes)
def asked_regions(): return as_function(regions)
def glow(): return (lambda x: nn.functional.avg_pool2d(x, 2, 2).amax(1)), SMALL
def number(): return (lambda x: x.amax((1, 2, 3))), SMALL
def spots():
    def ask(picture):
        grey = picture.mean(2)
        rows, columns = np.unravel_index(np.argsort(grey.ravel())[-9:], grey.shape)
        return np.stack([columns, rows, columns + 2, rows + 2, grey[rows, columns]], 1)
    return ask, ARRAYS
def words(): return (lambda picture: "12"), ARRAYS
def unknown(): return (lambda picture: object()), ARRAYS
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with models, and with 12 pictures of noise in pictures/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    drawn(tmp_path / "pictures", 12)
    return tmp_path


def drawn(folder, count, side=80):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")


def perturb(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize(
    ("factory", "kind", "quantity"),
    [
        ("classes", "change", "accuracy-loss"),
        ("regions", "change", "accuracy-loss"),
        ("marks", "map", "accuracy-loss"),
        ("glow", "map", "accuracy-loss"),
        ("asked_regions", "map", "accuracy-loss"),
        ("number", "score", "accuracy-loss"),
        ("spots", "boxes", "accuracy-loss"),
        ("asked_classes", "label", "flip-rate"),
    ],
)
def test_the_suite_asks_what_the_model_can_answer(work, factory, kind, quantity):
    """A network is asked for a change, whatever it answers, unless its only number or map can itself report it."""
    done = perturb("init", f"own.py:{factory}", "--images", "pictures")
    assert done.exit_code == 0, done.output
    suite = load_suite(f"own-{factory}.perturb.toml")
    assert (suite.evaluator.kind, suite.check[0].claim.quantity) == (kind, quantity)
    assert suite.images.source == "folder:pictures"
    assert suite.models == {f"own-{factory}": f"own.py:{factory}"}
    assert (suite.task is not None) == (kind == "label")
    assert (suite.design.kind == "picture") == (kind in ("map", "score", "boxes"))


@pytest.mark.slow
@pytest.mark.parametrize("factory", ["glow", "asked_classes"])
def test_the_suite_runs(work, factory):
    """Whatever comes out, it is a verdict: not exit code 2 or 4. One crop of each picture is enough to see that."""
    assert perturb("init", f"own.py:{factory}", "--images", "pictures").exit_code == 0
    path = work / f"own-{factory}.perturb.toml"
    path.write_text(path.read_text().replace("[images]", "[images]\ncrops = 1"))
    done = perturb("qualify", f"own.py:{factory}", "--suite", f"own-{factory}.perturb.toml", "--at-most", 2)
    assert done.exit_code in (0, 1, 3), done.output


def test_it_says_what_plan_says_and_what_to_type_next(work):
    """The photographs that a PASS takes; and the two commands, with the options that were given."""
    done = perturb("init", "own.py:classes", "--images", "pictures", "--seed", 3)
    assert done.exit_code == 0, done.output
    plan, qualify = (line.split()[1:] for line in done.output.splitlines() if line.startswith("  perturb "))
    path = "own-classes.perturb.toml"
    assert plan == f"plan {path} own.py:classes --seed 3".split()
    assert qualify == f"qualify own.py:classes --seed 3 --suite {path} --out run/".split()
    found = json.loads(perturb("plan", path, "--json").stdout)  # without the model, which it would time
    (outlook,) = found["outlooks"]
    eight, nine = (one["photographs"] for one in outlook["enough"])
    text = (work / path).read_text()
    for told in (" ".join(done.output.split()), text):
        assert f"Too few: it takes {eight} photographs for 80% and {nine} photographs for 90%." in told
        assert f"With 12 photographs, of which {found['judged'][0]} are judged, 0% of the runs" in told
    assert load_suite(path).models["own-classes"].seed == 3


def test_a_file_that_is_there_is_never_overwritten(work):
    mine = work / "own-classes.perturb.toml"
    mine.write_text("mine")
    done = perturb("init", "own.py:classes", "--images", "pictures")
    assert done.exit_code == 2
    assert "is there already and is not overwritten" in done.output
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("factory", "images", "code", "words"),
    [
        ("words", "pictures", 2, "answers with text, and for this no first suite is known"),
        ("unknown", "pictures", 2, "answers with objects of type object, which no evaluator reads"),
        ("nothing", "pictures", 2, "has no `nothing`"),
        ("classes", "three", 4, "3 photographs are too few"),
        ("classes", "folder:absent", 2, "does not exist"),
        ("classes", "absent", 2, "images `absent` are unknown"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_writes_nothing(work, factory, images, code, words):
    drawn(work / "three", 3)
    done = perturb("init", f"own.py:{factory}", "--images", images)
    assert done.exit_code == code, done.output
    (line,) = [line for line in done.output.splitlines() if "perturb: note" not in line]
    assert words in line
    assert not [*work.glob("*.perturb.toml")]


def survey(**changed):
    given = {
        "name": "own",
        "model": {"reference": "own.py:build"},
        "sensor": {},
        "shape": (3, 224, 224),
        "answer": AnswerKind(kind="boxes"),
        "network": False,
        "period": None,
        "untrained": False,
        "pixels": "pixels from 0 to 1, minus 0, divided by 1; float32, NCHW, torch",
        "source": "folder:pictures",
        "photographs": 20,
    }
    return Survey(**given | changed)


def read(**changed):
    return parse_suite(suite_text(survey(**changed)), "own.perturb.toml")


def test_names_come_back_as_they_are():
    odd = 'folder:a "b" # c\\d é'
    suite = read(source=odd, name="1.5", model={"reference": 'x"y.py:f', "weights": "w'.pt", "seed": 2})
    assert suite.images.source == odd
    assert suite.models["1.5"].reference == 'x"y.py:f'
    assert suite.models["1.5"].weights == "w'.pt"
    with pytest.raises(UsageError, match="cannot hold"):
        read(source="folder:a\nb")


def test_the_camera_is_in_the_suite():
    suite = read(sensor={"shape": (480, 640), "letterbox": 320, "antialias": False})
    assert suite.sensor.shape == (480, 640)
    assert suite.sensor.steps == {"letterbox": 320, "antialias": False}


@pytest.mark.parametrize(("photographs", "share"), [(4, 0.4), (60, 0.4), (61, 0.39), (1000, 0.024)])
def test_of_many_photographs_24_calibrate(photographs, share):
    assert read(photographs=photographs).images.calibration == share


@pytest.mark.parametrize(
    ("answer", "side", "period"),
    [("boxes", 128, None), ("boxes", 127, 8), ("boxes", 40, 4), ("boxes", 16, 2), ("numbers", 224, 8)],
)
def test_a_period_that_nobody_tells_is_looked_for_where_there_is_room(answer, side, period):
    """Of labels it is never looked for."""
    shape, answer = (3, side, 300), AnswerKind(kind=answer, size=(5,))
    assert read(answer=answer, shape=shape).map.period == period
    assert read(answer=answer, shape=shape, period=(4, 2)).map.period is None


def kind(answers, shape=(64, 64)):
    return answer_kind(answers, shape)


def test_kinds_of_answers():
    """Rows of five are boxes unless they lie as the picture does; of several outputs the map is taken."""
    picture = torch.rand(2, 3, 64, 64)
    assert kind(picture.mean((1, 2, 3))).kind == kind(picture[:, :1, :1, :1]).kind == "number"
    assert kind(picture.mean((2, 3))).kind == kind(torch.rand(2, 7, 900)).kind == "numbers"
    assert kind(picture[:, 0]).kind == kind(picture[:, 0, ::16, ::13]).kind == "map"
    corners = torch.tensor([[0.0, 0, 2, 2, 0.9]]).expand(2, 20, 5)
    assert kind(corners).kind == "boxes"
    assert kind(corners.flip(2)).kind == "map"  # they end before they begin
    several = kind([{"score": torch.tensor(0.1), "mask": picture[0, 0]}] * 2)
    assert (several.kind, several.output, several.outputs) == ("map", "mask", ("score", "mask"))


def test_a_map_of_classes_names_the_channel_that_wins_least():
    logits = torch.zeros(2, 3, 8, 8)
    logits[:, 0] = 1
    logits[0, 2, 0, 0] = 2
    assert kind(logits).rarest == 1
    logits[0, 1, 1, 1] = 3
    assert kind(logits).rarest == 2  # the last of equal ones


def test_every_comment_of_the_file_is_a_sentence_of_the_terminal(work):
    done = perturb("init", "own.py:marks", "--images", "pictures")
    told = " ".join(done.output.split())
    comments = re.findall(r"^# (.*)$", (work / "own-marks.perturb.toml").read_text(), re.M)
    assert comments[0] == "Written by `perturb init` for own.py:marks."
    assert comments[-1] == "Every key: docs/suites.md"
    assert [line for line in comments[1:-1] if line not in told] == []


@pytest.mark.parametrize(("pixels", "hinted"), [("minus 0, divided by 1", True), ("minus 0.5, divided by 0.5", False)])
def test_a_model_without_mean_and_std_is_told_of_them(pixels, hinted):
    (line,) = (fact for fact in facts(survey(pixels=f"pixels from 0 to 1, {pixels}")) if "Preprocessing" in fact)
    assert pixels in line
    assert ("mean and std" in line) == hinted
