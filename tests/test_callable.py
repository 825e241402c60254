"""A plain function as a model: what it can be asked, and one line for what it cannot."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from toys import network, window

from perturb import Preprocessing, load
from perturb.cli import main
from perturb.contribution import KINDS, Options, full_scan
from perturb.errors import InputError, UsageError
from perturb.images import load_images
from perturb.model import BlackBox
from perturb.protocols import Sees, Taps
from perturb.report import from_json

SHAPE = (3, 32, 32)
SMALL = Preprocessing(input_shape=SHAPE, mean=(0.5,), std=(0.25,))
BOXES = """
import numpy as np
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 16, 16))
def every_second(x): return np.asarray(x)[:, :, ::2, ::2].reshape(len(x), -1)
def box(): return every_second, SMALL
def plain(): return lambda x: x.mean((2, 3))
def odd(): return every_second, "not preprocessing"
WIDE = Preprocessing(input_shape=(3, 64, 64))
def brightest_of_every_second(x): return x[:, :, ::2, ::2].amax((1, 2, 3)).reshape(len(x), 1)
def blind(): return brightest_of_every_second, WIDE
def one_number(x): return x[:, :, ::2, ::2].amax((1, 2, 3))
def number(): return one_number, SMALL
"""


@pytest.fixture
def boxes(tmp_path, monkeypatch):
    (tmp_path / "boxes.py").write_text(BOXES)
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, result.output


def box(function, **given):
    return BlackBox(function, preprocessing=SMALL, **given)


def test_it_is_given_what_a_network_is_given():
    """Normalised float32 batches, and its arrays or tensors come back row by row."""
    pictures = torch.rand(11, *SHAPE)
    seen = []

    def function(x):
        seen.append(x)
        return x.mean((2, 3)).numpy()

    found = box(function).measure(pictures)
    torch.testing.assert_close(found, ((pictures - 0.5) / 0.25).mean((2, 3)))
    assert {x.dtype for x in seen} == {torch.float32}
    assert not any(x.requires_grad for x in seen)


def test_its_response_is_that_of_the_network_inside_it():
    """At every pixel, and by phases; the network tells its own period, the function is told."""
    pictures = np.asarray(load_images("noise", shape=SHAPE, count=2).pixels)
    inside = network(window(3, padding=1), shape=SHAPE)
    outside = BlackBox(lambda x: inside.module(x).numpy(), preprocessing=Preprocessing(input_shape=SHAPE))
    wanted = full_scan(inside, pictures, "output", Options(engine="dense"))
    found = full_scan(outside, pictures, "output", Options(period=2))
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-4, atol=1e-9)
    assert found.period == wanted.period == 2
    assert KINDS["response"](outside, pictures, "output", Options(period=2)).kind == "response"


def test_it_fills_the_first_seat_alone():
    model = box(lambda x: x.flatten(1))
    assert isinstance(model, Sees)
    assert not isinstance(model, Taps)


def test_functions_that_answer_differently_have_other_digests():
    one, again, other, named = (
        box(lambda x: x.mean((2, 3)), name="f"),
        box(lambda x: x.mean((2, 3)), name="f"),
        box(lambda x: x.mean((2, 3)) + 1e-3, name="f"),
        box(lambda x: x.mean((2, 3)), name="g"),
    )
    assert one.digest == again.digest
    assert len({one.digest, other.digest, named.digest}) == 3


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.sum(), r"returns \(\) for 1 pictures, not one row a picture"),
        (lambda x: torch.rand(len(x), 2), "draws random numbers"),
        (lambda x: x.flatten(1) - x.mean(), r"f\(batch\)\[i\] is not f\(x_i\)"),
        (lambda x: x.flatten(1) / 0, "NaN or infinity"),
        (lambda x: x.view(1, 7), r"does not accept a picture of shape \(3, 32, 32\)"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(function, words):
    with pytest.raises(InputError, match=words):
        box(function)


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        ("output", Options(), "which period"),
        ("last", Options(period=2), "without layers"),
        ("output", Options(period=33), "33 does not fit a picture of 32 x 32"),
    ],
)
def test_a_scan_needs_a_period_that_fits_and_no_layer(layer, options, words):
    with pytest.raises(UsageError, match=words):
        full_scan(box(lambda x: x.flatten(1)), np.zeros((1, *SHAPE), np.float32), layer, options)


def test_on_the_command_line(boxes):
    """Every second pixel is read: of 2 x 2 phases one is alive."""
    assert isinstance(load("boxes.py:box"), BlackBox)
    asked = ("map", "boxes.py:box", "--kind", "response", "--images", "noise", "--count", 2)
    code, said = run(*asked, "--period", 2, "--out", "map.npy")
    assert (code, "period 2" in said) == (0, True), said
    values = np.load("map.npy")
    assert values[::2, ::2].sum() == pytest.approx(1)
    assert run("shift", "boxes.py:box", "--images", "noise", "--count", 3, "--span", 4)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("map", "boxes.py:box"), "--kind response --period N"),
        (("map", "boxes.py:box", "--kind", "structural"), "--kind response --period N"),
        (("map", "boxes.py:box", "--kind", "structural", "--period", 2), "finds its own period"),
        (("lint", "boxes.py:box"), "`perturb map --kind response --period N` or `perturb shift`"),
        (("rf", "boxes.py:box"), "`perturb shift`"),
        (("qualify", "boxes.py:box"), "say how they are read, [evaluator] kind = 'score'"),
        (("map", "boxes.py:box", "--remedy", "padding"), "no layers, gradients or weights"),
        (("map", "boxes.py:box", "--weights", "w.pt"), "takes no weights"),
    ],
)
def test_what_it_cannot_be_asked_is_said_in_one_line(boxes, arguments, words):
    code, said = run(*arguments)
    assert (code, words in said, said.count("\n")) == (2, True, 1), said


def test_only_preprocessing_stands_beside_it(boxes):
    with pytest.raises(InputError, match=r"or \(one of these, perturb\.Preprocessing\)"):
        load("boxes.py:odd")


SUITE = """
name = "blind"
[images]
source = "dead-leaves"
count = 60
[map]
kind = "response"
period = 2
[evaluator]
kind = "score"
[[check]]
name = "hot"
perturbation = { kind = "pixel", size = 1 }
level = 0.9
pairs = 4
claim = { quantity = "accuracy-loss-2afc", at_most = 0.1 }
"""


@pytest.mark.slow
def test_its_answer_is_qualified_end_to_end(boxes, tmp_path):
    """Three of four positions are never read: their map is zero, their pixels are never told from clean ones."""
    (tmp_path / "blind.perturb.toml").write_text(SUITE)
    code, output = run("qualify", "boxes.py:blind", "--suite", "blind.perturb.toml", "--out", "run")
    report = from_json((tmp_path / "run" / "report.json").read_text())
    (experiment,), (finding,) = report.experiments, report.findings
    assert (code, finding.verdict) == (1, "FAIL"), output
    assert report.map.dead_share == 0.75
    told = next(m for m in experiment.measures if m.name == "told-apart")
    assert told.dead.value == 0.5  # chance
    assert finding.effect.value == pytest.approx(told.live.value - 0.5)


def test_one_number_a_picture_is_an_answer(boxes):
    code, output = run("map", "boxes.py:number", "--kind", "response", "--period", "2")
    assert code == 0, output


@pytest.mark.parametrize(
    ("more", "claim", "words"),
    [
        ('[training]\nrecipe = "short"\n', "accuracy-loss", "it cannot learn: remove [training]"),
        ("", "boxes.py:blind", "`boxes.py:blind` is no quantity"),
    ],
)
def test_what_does_not_go_with_a_function_is_one_line(boxes, tmp_path, more, claim, words):
    text = SUITE.replace("accuracy-loss-2afc", claim)
    if more:
        text = text.replace('kind = "score"', 'kind = "label"') + '[task]\nkind = "presence"\n' + more
    (tmp_path / "x.perturb.toml").write_text(text)
    code, output = run("qualify", "boxes.py:blind", "--suite", "x.perturb.toml")
    assert (code, "Traceback" in output) == (2, False), output
    assert words in output


@pytest.mark.parametrize(
    ("given", "shape", "kind", "high"),
    [
        ({"layout": "NHWC"}, (2, 32, 32, 3), torch.Tensor, 1),
        ({"layout": "CHW", "arrays": "numpy"}, (3, 32, 32), np.ndarray, 1),
        ({"layout": "HWC", "arrays": "numpy", "dtype": "uint8", "bounds": (0, 255)}, (32, 32, 3), np.ndarray, 255),
    ],
)
def test_a_function_is_given_pictures_as_it_takes_them(given, shape, kind, high):
    """In its layout, type and range; one at a time where the layout has no N."""
    seen = []

    def function(x):
        seen.append(x)
        return float(x.max()) if len(x.shape) == 3 else x.amax((1, 2, 3))

    model = BlackBox(function, preprocessing=Preprocessing(input_shape=SHAPE, **given))
    seen.clear()
    pictures = torch.rand(2, *SHAPE)
    pictures[:, 1, 4, 5] = 1
    found = model.measure(pictures)
    assert found.tolist() == [high, high]
    assert {tuple(x.shape) for x in seen} == {shape}
    assert all(isinstance(x, kind) for x in seen)
    assert str(seen[0].dtype).removeprefix("torch.") == given.get("dtype", "float32")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"layout": "WHC"}, "layout='WHC': expected one of NCHW, NHWC, CHW, HWC"),
        ({"dtype": "int8"}, "expected one of float32, uint8"),
        ({"dtype": "uint8"}, r"uint8 pictures need bounds=\(0, 255\)"),
        ({"arrays": "jax"}, "expected one of torch, numpy"),
    ],
)
def test_how_a_function_takes_pictures_is_checked(given, words):
    with pytest.raises(ValueError, match=words):
        Preprocessing(**given)


def test_what_it_raises_later_is_one_line():
    calls = iter(range(10**6))

    def function(x):
        if next(calls) > 8:
            raise RuntimeError("broken\nand more")
        return x.mean((2, 3))

    model = box(function)
    with pytest.raises(InputError, match=r"^function raised RuntimeError: broken$"):
        model.measure(torch.rand(200, *SHAPE))


def test_another_number_of_boxes_in_another_picture_is_no_row():
    """One box in a picture has the shape of a row; the second picture of noise is darker and has two."""
    model = box(lambda x: {"boxes": torch.zeros(1 if x[0].max() > 1 else 2, 4)})
    assert not model.form.rows
    assert [answer["boxes"].shape for answer in model.measure(torch.ones(2, *SHAPE))] == [(1, 4)] * 2
