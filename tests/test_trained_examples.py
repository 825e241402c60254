"""The examples that train a detector and a segmenter and fill a memory: they learn, and answer as suites read."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from perturb import lint, load
from perturb.answers import boxes_of
from perturb.code import load_object
from perturb.evaluators.map import Map
from perturb.locations import anywhere
from perturb.plan import perturbation_for
from perturb.suite import load_suite
from perturb.trials import Scenes, _cells

EXAMPLES = Path(__file__).parents[1] / "examples"
WHERE = {"small_objects": "Detector", "lesions": "UNet"}


def part(name):
    """An object of an example, as a suite or a command line names it."""
    return load_object(f"{EXAMPLES}/{name}")


@pytest.fixture(scope="module")
def planting():
    part("planting.py:train")
    part("small_objects.py:main")  # imports its neighbour by name
    return sys.modules["planting"]


@pytest.mark.parametrize("example", WHERE)
def test_a_few_steps_of_training_lower_the_loss(example, planting):
    torch.manual_seed(0)
    network = part(f"{example}.py:{WHERE[example]}")("strided")
    objects = planting.Objects((1.0, 2.0), (0.5, 0.9))
    losses = list(planting.train(network, part(f"{example}.py:loss"), objects, seed=0, steps=24, textures=7))
    assert len(losses) == 24
    assert np.mean(losses[-6:]) < 0.95 * np.mean(losses[:6])
    assert not network.training


@pytest.mark.parametrize("example", WHERE)
def test_the_same_seed_gives_the_same_weights(example):
    trained = part(f"{example}.py:trained")
    first, again, other = (trained("strided", seed, steps=2, textures=7).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_training_has_no_photograph_that_is_tried_or_judged(planting):
    judged = {"brick.png", "retina.jpg"}  # whose spectra the suites' textures have
    assert not set(planting.TRAINING) & (set(planting.HELD_OUT) | judged)


def test_planted_objects_lie_in_their_boxes(planting):
    """On black, every pixel that is lit lies in a box, and the middle of each box is."""
    rng = np.random.default_rng(0)
    black = np.zeros((3, 64, 64), np.float32)
    seen = planting.plant(black, planting.Objects((1.0, 1.0), (1.0, 1.0)), 40, rng)
    inside = np.zeros((64, 64), bool)
    lit = 0
    for x1, y1, x2, y2 in seen.boxes.astype(int):
        inside[y1:y2, x1:x2] = True
        lit += seen.picture[0, (y1 + y2) // 2, (x1 + x2) // 2] == 1
    assert not seen.picture[:, ~inside].any()
    assert not seen.mask[~inside].any()
    assert 10 < lit < 40  # darker ones do not show on black
    assert (seen.boxes[:, 2:] - seen.boxes[:, :2] == 7).all()


def test_a_network_that_sees_everything_finds_all_and_a_constant_one_nothing(planting):
    objects, pictures = planting.Objects((1.0, 1.0), (1.0, 1.0)), [np.full((3, 64, 64), 0.4, np.float32)] * 3

    class Difference(nn.Module):
        def forward(self, x):
            return (x - x.median()).abs().amax(1, keepdim=True)

    class Constant(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x[:, :1])

    def found(network):
        return planting.tried(network, Map(radius=2), objects, pictures)

    assert (found(Constant()).value, found(Constant()).n) == (0.0, 3)
    assert found(Difference()).value > 0.95


def test_the_detector_turns_its_targets_back_into_boxes(planting):
    """What the loss wants of each position, put in place of the heads, decodes to the boxes that were planted."""
    boxes = np.array([[5.0, 9.0, 12.0, 16.0], [40.0, 41.0, 43.0, 44.0], [20.0, 50.0, 33.0, 63.0]], np.float32)
    lesson = [planting.Planted(np.zeros((3, 64, 64), np.float32), boxes, np.zeros((64, 64), np.float32))]
    heat, shape, there = part("small_objects.py:targets")(lesson, 16, 16)
    heads = torch.from_numpy(np.concatenate([np.where(there, 9.0, -9.0)[:, None], shape], 1)).float()

    class Fixed(nn.Module):
        def forward(self, x):
            return heads

    detector = part("small_objects.py:Detector")("strided")
    detector.body, detector.head = nn.Identity(), Fixed()
    found = detector(torch.zeros(1, 3, 64, 64))
    best = found["scores"][0] > 0.5
    ordered = sorted(found["boxes"][0, best].tolist())
    np.testing.assert_allclose(ordered, sorted(boxes.tolist()), atol=1e-4)
    assert (heat[0] == 1).sum() == 3


@pytest.mark.parametrize("example", WHERE)
def test_even_kernels_read_every_pixel_equally_often(example):
    found = {kind: lint(load(f"{EXAMPLES}/{example}.py:{kind}"), "last") for kind in ("strided", "even", "pooled")}
    assert {kind: one["imbalance"] > 1.01 for kind, one in found.items()} == {
        "strided": True,
        "even": False,
        "pooled": False,
    }


def test_the_factories_answer_in_the_form_that_the_suites_read():
    pictures = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    answers = load(f"{EXAMPLES}/small_objects.py:strided").measure(pictures)
    assert boxes_of(answers[1], (128, 128)).corners.shape == (64, 4)
    assert load(f"{EXAMPLES}/lesions.py:strided").measure(pictures).shape == (2, 1, 128, 128)


def test_a_memory_of_clean_surfaces_shows_a_scratch(monkeypatch):
    """The map is as large as the picture; highest at the scratch, by far."""
    pytest.importorskip("efficientnet_lite_pytorch")
    memory = part("anomaly_map.py:Memory")
    monkeypatch.setitem(memory.__init__.__globals__, "CLEAN", 4)
    network = memory().eval()
    picture = part("anomaly_map.py:surface")((3, 128, 128), np.random.default_rng(5))
    scratched = picture.copy()
    scratched[:, 60, 40:60] = 1
    clean, found = (
        network(torch.from_numpy(p)[None] * 2 - 1)["anomaly_map"][0, 0].detach().numpy() for p in (picture, scratched)
    )
    assert found.shape == (128, 128)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 60) <= 8
    assert 40 - 8 <= column <= 60 + 8
    assert found.max() > 1.3 * clean.max()


@pytest.mark.parametrize("place", [(40, 40), (41, 46), (47, 43)])
def test_joined_maps_lie_where_the_picture_does(place):
    """Over a map of maxima of 8 x 8 cells, the joined one shows a pixel wherever any of the shifted cells holds it."""

    class Maxima(nn.Module):
        def forward(self, x):
            found = nn.functional.max_pool2d(x[:, :1], 8)
            return {"anomaly_map": found.repeat_interleave(8, 2).repeat_interleave(8, 3)}

    pytest.importorskip("efficientnet_lite_pytorch")
    x = torch.zeros(1, 3, 128, 128)
    x[0, 0, place[0], place[1]] = 1
    found = part("anomaly_map.py:Joined")(Maxima())(x)["anomaly_map"]
    wanted = torch.zeros(128, 128)
    for down, right in ((0, 0), (0, 4), (4, 0), (4, 4)):  # cells begin that much later
        row, column = (place[0] - down) // 8 * 8 + down, (place[1] - right) // 8 * 8 + right
        wanted[row : row + 8, column : column + 8] = 1
    assert torch.equal(found[0, 0], wanted)


@pytest.mark.parametrize(("suite", "period"), [("small-objects", 4), ("lesions", 8), ("anomaly-map", 8)])
def test_the_objects_of_the_suites_fit_beside_one_another(suite, period):
    asked = load_suite(suite)
    pictures = type("Blank", (), {"pixels": np.zeros((1, 3, 128, 128))})
    for check in asked.check:
        put = perturbation_for(check.perturbation, asked.folder)
        apart = tuple(math.ceil(2 * asked.evaluator.radius) + n for n in put.extent)
        assert len(_cells(pictures, put.size, anywhere(period), check.pairs, Scenes(apart=apart))) >= check.pairs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter that needs no further package
def test_what_a_camera_gives_is_written(tmp_path):
    """8-bit pictures, boxes in them in COCO's form, and an ONNX file that answers as the network does."""
    pytest.importorskip("onnxruntime")
    detector = part("small_objects.py:Detector")("strided").eval()
    part("small_objects.py:camera")(tmp_path, detector, count=3)
    told = json.loads((tmp_path / "annotations.json").read_text())
    assert len(told["images"]) == len(list((tmp_path / "pictures").iterdir())) == 3
    for image in told["images"]:
        with Image.open(tmp_path / "pictures" / image["file_name"]) as opened:
            assert (opened.mode, opened.size) == ("RGB", (640, 480))
    for each in told["annotations"]:
        x, y, width, height = each["bbox"]
        assert 0 <= x < x + width <= 640
        assert 0 <= y < y + height <= 480
        assert each["area"] == width * height
    model = load(f"onnx:{tmp_path / 'detector.onnx'}")
    assert (model.input_shape, model.period) == ((3, 480, 640), (4, 4))
    x = torch.rand(1, 3, 480, 640, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = detector(x)
    (answer,) = model.measure(x)
    boxes = (sorted(np.asarray(each).round(1).tolist()) for each in (answer["boxes"], wanted["boxes"][0]))
    np.testing.assert_allclose(*boxes, atol=0.11)  # equal scores may change places
    np.testing.assert_allclose(answer["scores"], wanted["scores"][0], atol=1e-5)
