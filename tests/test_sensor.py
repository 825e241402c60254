"""Sensor pixels: what resizing, cropping and padding ahead of a network do to its lattice."""

import itertools
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms
from toys import network, window

import perturb
from perturb import Network, Preprocessing
from perturb.cli import main
from perturb.contribution import KINDS, energy, full_scan, quotient_scan, structural
from perturb.errors import InputError, UsageError
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.images import load_images
from perturb.locations import choose, fold, imbalance, interior, middle_cell
from perturb.model import BlackBox, behind
from perturb.protocols import Asked
from perturb.quantities.of_map import UNREAD_SHARE
from perturb.records import Images
from perturb.render import html, markdown
from perturb.runs import decode, encode
from perturb.sensor import MODES, SMOOTH, Crop, Letterbox, Pad, Resize, Sensor, steps_for
from perturb.stories import rf
from perturb.stories.qualify import examine
from perturb.suite import parse_suite
from perturb.trials import Scenes, design

PAIRS = [  # of the picture and of the network's input
    ((16, 16), (8, 8)),
    ((17, 23), (8, 8)),
    ((24, 24), (8, 8)),
    ((20, 15), (12, 12)),
    ((9, 31), (8, 12)),
    ((8, 8), (16, 16)),
    ((10, 14), (12, 16)),
    ((33, 12), (8, 8)),
    ((21, 21), (20, 20)),
    ((12, 30), (12, 4)),
]
WAYS = [(mode, smooth) for mode in MODES for smooth in ((False, True) if mode in SMOOTH else (False,))]


def camera(module: nn.Module, shape: tuple[int, int], *steps: object, channels: int = 3) -> Network:
    return Network(module, name="toy", preprocessing=Preprocessing(input_shape=(channels, *shape), steps=steps))


def conv(kernel: int, stride: int, channels: int = 1) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(channels, 1, kernel, stride, kernel // 2, bias=False))


@pytest.mark.parametrize(("mode", "antialias"), WAYS)
def test_the_structural_map_is_that_of_autograd_through_the_same_resizing(mode, antialias) -> None:
    """N(p) = sum over input pixels q of N(q) (d q / d p)^2, by autograd in float64, for ten pairs of sizes."""
    cell = structural(network(conv(3, 2), shape=(1, 8, 8))).values
    for shape, inside in PAIRS:

        def resized(x: torch.Tensor, inside: tuple[int, int] = inside) -> torch.Tensor:
            return F.interpolate(x[None, None], inside, mode=mode, antialias=antialias)[0, 0]

        x = torch.rand(*shape, dtype=torch.float64)
        rows = torch.autograd.functional.jacobian(resized, x, vectorize=True)
        lattice = torch.from_numpy(np.tile(cell, (inside[0] // 2, inside[1] // 2)))
        wanted = (lattice[..., None, None] * rows.square()).sum((0, 1)).numpy()
        found = structural(camera(conv(3, 2), shape, Resize(inside, mode, antialias), channels=1)).values
        np.testing.assert_allclose(found, wanted / wanted.sum(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("mode", "antialias"), WAYS)
def test_independent_weights_leave_no_cross_terms(mode, antialias) -> None:
    """The mean over all 512 draws of signs of a 3 x 3 kernel of the squared gradient, summed over the outputs."""
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=9)), dtype=torch.float64).view(-1, 1, 3, 3)
    x = torch.rand(1, 1, 11, 13, dtype=torch.float64)

    def outputs(x: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(x, (6, 6), mode=mode, antialias=antialias)
        return F.conv2d(F.pad(small, (1, 1, 1, 1), mode="circular"), signs, stride=2)

    rows = torch.autograd.functional.jacobian(outputs, x, vectorize=True)  # 1, draw, row, column, 1, 1, row, column
    wanted = rows.square().mean(1).sum((0, 1, 2, 3, 4)).numpy()
    found = structural(camera(conv(3, 2), (11, 13), Resize((6, 6), mode, antialias), channels=1)).values
    np.testing.assert_allclose(found, wanted / wanted.sum(), rtol=1e-9, atol=1e-15)


def test_steps_are_composed_before_they_are_squared() -> None:
    """Two resizings in sequence are one matrix, by autograd through both; the constant of padding moves nothing."""
    steps = Resize((14, 14), "bilinear", False), Pad((1, 1, 0, 2), fill=0.5), Resize((8, 8)), Crop(6)

    def through(x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x[None, None], (14, 14), mode="bilinear")
        x = F.interpolate(F.pad(x, (0, 2, 1, 1), value=0.5), (8, 8), mode="bilinear", antialias=True)
        return x[0, 0, 1:7, 1:7]

    x = torch.rand(20, 18, dtype=torch.float64)
    rows = torch.autograd.functional.jacobian(through, x, vectorize=True)
    lattice = torch.from_numpy(np.tile(structural(network(conv(3, 2), shape=(1, 8, 8))).values, (3, 3)))
    wanted = (lattice[..., None, None] * rows.square()).sum((0, 1)).numpy()
    found = structural(camera(conv(3, 2), (20, 18), *steps, channels=1)).values
    np.testing.assert_allclose(found, wanted / wanted.sum(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("mode", "antialias"), WAYS)
def test_the_matrices_do_what_the_steps_do(mode, antialias) -> None:
    for shape, inside in PAIRS:
        sensor = Sensor((Resize(inside, mode, antialias), Pad((2, 1, 0, 3)), Crop(7)), shape)
        x = torch.rand(1, 1, *shape, dtype=torch.float64)
        rows, columns = sensor.matrices
        np.testing.assert_allclose(rows @ x[0, 0].numpy() @ columns.T, sensor(x)[0, 0].numpy(), atol=1e-12)


@pytest.mark.parametrize("shape", [(480, 640), (101, 67), (64, 300)])
def test_classifiers_are_prepared_as_torchvision_does(shape) -> None:
    x = torch.rand(1, 3, *shape)
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        wanted = transforms.resize(x, [61], interpolation=InterpolationMode(mode), antialias=True)
        wanted = transforms.center_crop(wanted, [48])
        torch.testing.assert_close(Sensor((Resize(61, mode), Crop(48)), shape)(x), wanted, rtol=0, atol=1e-6)


def test_antialiased_resizing_is_pillows() -> None:
    picture = np.random.default_rng(0).random((57, 83), dtype=np.float32)
    x = torch.from_numpy(picture)[None, None]
    for mode, filtered in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
        wanted = np.asarray(Image.fromarray(picture).resize((31, 20), filtered))
        np.testing.assert_allclose(Sensor((Resize((20, 31), mode),), (57, 83))(x)[0, 0], wanted, atol=1e-5)


def test_a_letterbox_keeps_the_proportions_and_fills_with_grey() -> None:
    sensor = Sensor((Letterbox((640, 640)),), (1080, 1920))
    out = sensor(torch.ones(1, 1, 1080, 1920))
    assert sensor.inside == (640, 640)
    assert (out[0, 0, :140] == 114 / 255).all()
    assert (out[0, 0, 500:] == 114 / 255).all()
    assert (out[0, 0, 140:500] == 1).all()
    assert Sensor((Letterbox((640, 640)),), (1081, 1920)).stages[0].widths == (140, 140, 0, 0)  # 360.33 rows


def test_a_letterbox_by_a_factor_of_3_without_antialias_reads_one_pixel_of_nine() -> None:
    """The centre of each output pixel falls on the centre of a pixel, which alone has a weight."""
    lattice = Sensor((Letterbox((640, 640)),), (1080, 1920)).lattice(1)
    assert lattice.unread == pytest.approx(8 / 9)
    assert lattice.outside == 0
    assert lattice.period == (3, 3)
    assert Sensor((Letterbox((640, 640), antialias=True),), (1080, 1920)).lattice(1).unread == 0


@pytest.mark.parametrize(("mode", "unread"), [("nearest", 1 - 1 / 2.25**2), ("bilinear", 1 - (2 / 2.25) ** 2)])
def test_the_share_that_nothing_reads_is_what_the_ratio_says(mode, unread) -> None:
    """At 2.25 nearest takes one and bilinear two of 2.25 rows; and a change of the others changes no output at all."""
    model = camera(window(4, 4), (144, 144), Resize((64, 64), mode, False))
    found = structural(model)
    assert found.lattice.unread == pytest.approx(unread, abs=1e-9)
    assert (found.values == 0).mean() == pytest.approx(unread, abs=1e-9)
    never = found.values == 0
    x = torch.rand(1, 3, 144, 144)
    other = torch.where(torch.from_numpy(never), 1 - x, x)
    assert torch.equal(model.measure(x), model.measure(other))
    assert not torch.equal(model.measure(x), model.measure(1 - x))


def test_the_period_is_told_in_pixels_of_the_picture() -> None:
    whole = structural(camera(window(3, 4), (96, 144), Resize((64, 64)))).lattice
    assert (whole.period, whole.input_period) == ((6, 9), 4)
    assert (whole.cell, whole.whole) == (18, True)
    broken = structural(camera(window(3, 4), (150, 150), Resize((64, 64)))).lattice
    assert broken.period == (9.375, 9.375)
    assert (broken.cell, broken.whole) == (10, False)
    cropped = structural(camera(window(3, 4), (96, 160), Resize(72), Crop(64))).lattice
    assert cropped.area == (5, 37, 91, 123)  # 4 to 68 of 72 rows, 28 to 92 of 120 columns, times 4/3
    assert cropped.outside == pytest.approx(1 - 86 * 86 / (96 * 160))


def test_gradients_and_responses_are_of_the_pictures_own_pixels() -> None:
    """All three kinds of map agree with the structural one on an untrained network, and are 0 on what is not read."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 256, 3, 2, 1))
    model = camera(module, (48, 32), Resize((16, 16), "bilinear", False))
    pictures = np.random.default_rng(0).random((4, 3, 48, 32), dtype=np.float32)
    exact = np.sqrt(structural(model).values)
    inside = np.s_[6:-6, 6:-6]
    for found in (energy(model, pictures), full_scan(model, pictures[:1])):
        assert found.values.shape == (48, 32)
        assert np.corrcoef(found.values[inside].ravel(), exact[inside].ravel())[0, 1] > 0.98
        np.testing.assert_array_equal(found.values == 0, exact == 0)
        assert found.lattice == structural(model).lattice
    scanned = quotient_scan(model, pictures)
    assert np.corrcoef(fold(scanned).ravel(), np.sqrt(fold(structural(model))).ravel())[0, 1] > 0.95


def test_a_response_map_of_a_lattice_without_a_whole_period_needs_every_pixel() -> None:
    model = camera(window(3), (150, 150), Resize((64, 64)))
    with pytest.raises(UsageError, match="no whole period"):
        quotient_scan(model, np.zeros((1, 3, 150, 150), np.float32))


def images(shape: tuple[int, int], count: int = 3) -> Images:
    return Images(
        pixels=np.zeros((count, 3, *shape), np.float32),
        photograph=np.arange(count),
        crop=np.zeros(count, int),
        names=tuple("abc"),
        digests=tuple("abc"),
        source="",
    )


@pytest.mark.parametrize("size", [1, 3])
def test_without_a_whole_period_each_cell_has_its_own_dead_and_live_pixels(size) -> None:
    model = camera(window(3, 4), (150, 170), Resize((64, 64)))
    found = structural(model)
    locations = choose(found, size=size)
    assert locations.pixels
    under = sum(
        np.roll(found.values, (-r, -c), (0, 1)) for r in range(size) for c in range(size)
    )  # what lies under the object
    cell = locations.period
    assert cell == 11
    trials = design(images((150, 170)), locations, size=size, pairs=12, seed=0, purpose="test")
    dead, live = trials.dead.reshape(-1, 2), trials.live.reshape(-1, 2)
    np.testing.assert_array_equal(dead // cell, live // cell)
    assert (under[tuple(dead.T)] < under[tuple(live.T)]).all()
    for place, arm in ((dead, np.less_equal), (live, np.greater_equal)):
        corners = place // cell * cell
        for (row, column), (top, left) in zip(place, corners, strict=True):
            inside = under[top : top + cell, left : left + cell].ravel()
            rank = arm(inside, under[row, column] * (1 + 1e-9 if arm is np.less_equal else 1 - 1e-9)).sum()
            assert rank <= max(1, round(0.05 * cell**2)) + 8  # equal pixels stay together


def test_places_stay_inside_what_is_taken_of_the_picture() -> None:
    model = camera(window(3, 4), (120, 240), Resize(64), Crop(64))
    found = structural(model)
    top, left, bottom, right = found.lattice.area
    assert (top, left, bottom, right) == (0, 60, 120, 180)
    for locations in (choose(found), choose(structural(camera(window(3, 4), (128, 256), Resize(64), Crop(64))))):
        shape = (120, 240) if locations.pixels else (128, 256)
        trials = design(images(shape), locations, size=2, pairs=20, seed=0, purpose="test")
        _, left, _, right = locations.area
        assert left <= trials.dead[..., 1].min()
        assert trials.dead[..., 1].max() + 2 <= right


def test_the_picture_cannot_move_by_a_period_that_is_not_whole() -> None:
    locations = choose(structural(camera(window(3, 4), (150, 150), Resize((64, 64)))))
    with pytest.raises(InputError, match="no whole period"):
        design(images((150, 150)), locations, size=1, pairs=2, seed=0, purpose="test", scenes=Scenes())


def test_phases_of_a_whole_period_are_those_of_the_lattice() -> None:
    """Doubling by nearest neighbour copies each pixel: the same ratio, each phase four times."""
    plain = structural(network(window(3, padding=1), shape=(3, 64, 64)))
    doubled = structural(camera(window(3, padding=1), (32, 32), Resize((64, 64), "nearest")))
    assert doubled.lattice.period == (1, 1)
    halved = structural(camera(window(3, padding=1), (128, 128), Resize((64, 64), "area")))
    assert imbalance(fold(halved)) == pytest.approx(imbalance(fold(plain)))
    assert halved.lattice.cell == 4
    top, left = middle_cell(halved.lattice)
    area = interior(halved.lattice.area, 4)
    assert area == (16, 16, 112, 112)
    assert (top, left) == (64, 64)


def test_a_function_is_shown_what_comes_out_of_the_steps() -> None:
    seen = []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape[1:]))
        return x.mean((1, 2, 3))[:, None]

    model = behind(BlackBox(function, preprocessing=Preprocessing(input_shape=(3, 32, 32))), (60, 90), {})
    assert model.input_shape == (3, 60, 90)
    assert seen[-1] == (3, 32, 32)
    assert model.measure(torch.ones(1, 3, 60, 90)) == 1


@pytest.mark.slow
def test_the_models_own_steps_are_taken_unless_others_are_named() -> None:
    model = perturb.load("torchvision:resnet18")
    assert behind(model, (240, 320), {}).preprocessing.steps == (Resize(256), Crop(224))
    plain = behind(model, (240, 320), {"antialias": False})
    assert plain.preprocessing.steps == (Resize(256, antialias=False), Crop(224))
    assert behind(plain, (240, 320), {}) is plain
    boxed = behind(model, (240, 320), {"letterbox": 224, "fill": 0.0})
    assert boxed.preprocessing.steps == (Letterbox((224, 224), fill=0.0),)
    with pytest.raises(UsageError, match="says itself"):
        behind(boxed, (240, 320), {"resize": (224, 224)})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resize": 8, "letterbox": 8}, "two ways"),
        ({"size": 8}, "unknown, expected one of resize"),
        ({"interpolation": "lanczos"}, "expected one of nearest"),
        ({"antialias": 1}, "expected true or false"),
        ({"resize": 0}, "expected a number of pixels"),
        ({"pad": (1, -1, 0, 0)}, "none below 0"),
    ],
)
def test_steps_that_make_no_sense_are_refused(given, words) -> None:
    with pytest.raises(ValueError, match=words):
        steps_for((8, 8), None, given)


def test_a_crop_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit 20 x 30"):
        Preprocessing(input_shape=(3, 20, 30), steps=(Crop(24),))


def answering(found: torch.Tensor) -> BlackBox:
    """A function that always gives this answer, for pictures of 60 x 96 that are boxed into 32 x 32."""
    steps = (Letterbox((32, 32)),)
    return BlackBox(
        lambda x: found.expand(len(x), -1, -1), preprocessing=Preprocessing(input_shape=(3, 60, 96), steps=steps)
    )


def asked(model: BlackBox, row: int, column: int) -> Asked:
    one = np.zeros(1, dtype=int)
    return Asked(
        place=np.array([[row, column]]), extent=(3, 3), shape=(60, 96), truth=one, twin=one, sensor=model.sensor
    )


def test_boxes_and_maps_are_read_in_the_pictures_pixels() -> None:
    """A third of the size, with 6 rows of grey above: input pixel (8, 20) is the picture's rows 6-8, columns 60-62."""
    heat = torch.zeros(1, 32, 32)
    heat[0, 8, 20] = 1.0
    model = answering(heat)
    near, far = Map(radius=1.0), Map(radius=1.0)
    outputs = model.measure(torch.rand(1, 3, 60, 96))
    assert near.evidence(outputs, asked(model, 6, 60), None) == 1
    assert far.evidence(outputs, asked(model, 6, 63), None) == 0
    assert Map(radius=3.0).evidence(outputs, asked(model, 6, 63), None) == 1  # one input pixel is three of the picture
    boxes = BoxScores(radius=1.0, max_area=1.01)
    answer = [{"boxes": np.array([[20.0, 8.0, 21.0, 9.0]]), "scores": np.array([0.7]), "labels": np.array([1])}]
    assert boxes.evidence(answer, asked(model, 6, 60), None) == 0.7
    assert boxes.evidence(answer, asked(model, 8, 60), None) == 0
    grown = [answer[0] | {"boxes": np.array([[19.0, 8.0, 21.0, 9.0]])}]  # 3 x 6 of the picture's pixels
    assert boxes.evidence(grown, asked(model, 6, 60), None) == 0


def test_a_function_has_a_map_of_what_resizing_reads() -> None:
    """At a third, without antialias, one pixel of nine enters; nothing of the model is asked."""
    model = answering(torch.zeros(1, 32, 32))
    found = KINDS["sensor"](model, None, "output")
    assert (found.values > 0).sum() == 20 * 32
    assert (found.values[1::3, 1::3] > 0).all()
    assert UNREAD_SHARE.effect(None, found, confidence=0.95, seed=0).value == pytest.approx(8 / 9)
    with pytest.raises(UsageError, match="name the camera"):
        KINDS["sensor"](network(window(3)), None, "output")


SUITE = """
name = "camera"
[images]
source = "noise"
count = 12
[sensor]
shape = [147, 160]
resize = [64, 64]
interpolation = "nearest"
[map]
kind = "structural"
[evaluator]
kind = "change"
[[check]]
name = "speck"
perturbation = { kind = "pixel", mode = "add" }
level = 0.5
claim = { quantity = "accuracy-loss", at_most = 0.5 }
[[check]]
name = "unread"
perturbation = { kind = "pixel", mode = "add" }
level = 0.5
claim = { quantity = "unread-share", at_most = 0.1 }
"""


@pytest.mark.slow
def test_a_suite_with_a_camera_measures_what_nothing_reads(tmp_path) -> None:
    """Pixels that nothing reads are noticed as often as nothing is; the run is read back as it was."""
    model = Network(window(3, padding=1), preprocessing=Preprocessing(input_shape=(3, 64, 64)))
    run = examine(model, parse_suite(SUITE, "camera.perturb.toml"))
    report = run.report
    assert report.model.input_shape == (3, 147, 160)
    assert report.map.lattice.whole is False
    assert report.model.preprocessing.startswith("Resize(")
    assert report.model.preprocessing.endswith("pixels from 0 to 1, minus 0, divided by 1; float32, NCHW, torch")
    first = report.experiments[0]
    assert (first.point.false_alarms, first.pinned_on) == (0.05, "clean shots of each crop")
    pinned = run.measured[first.name].seen.threshold
    assert first.thresholds == (pinned.min(), pinned.max())
    assert first.noise > 0
    assert len({len(sample.digest) for sample in (report.images.judged, report.images.calibration)} | {64}) == 1
    assert report.images.judged.digest != report.images.calibration.digest
    dead, live = report.experiments[0].detected.dead, report.experiments[0].detected.live
    assert dead.low <= 0.05 <= dead.high + 0.02
    assert live.value > 0.8
    assert report.findings[0].effect.value == pytest.approx(live.value - dead.value)
    assert report.findings[1].verdict == "FAIL"
    assert report.findings[1].effect.value == pytest.approx(1 - 64 * 64 / (147 * 160), abs=0.02)
    assert max(max(phase) for phase in report.experiments[0].dead_phases) < report.map.period
    places = run.measured["speck"].trials[0]
    assert (structural(behind(model, (147, 160), SUITE_STEPS)).values[tuple(places.dead.reshape(-1, 2).T)] == 0).all()
    for words in (markdown.report(report), html.report(report)):
        assert (
            "of your camera&#39;s pixels are never read" in words or "of your camera's pixels are never read" in words
        )
    again = decode(encode(run), tmp_path)
    assert again.measured["speck"].conditions.locations[0].pixels
    assert again.maps == {} or next(iter(again.maps.values())).lattice == report.map.lattice


SUITE_STEPS = {"resize": (64, 64), "interpolation": "nearest"}


def test_a_camera_changes_a_suites_digest_and_its_absence_does_not() -> None:
    plain = parse_suite(SUITE.replace("[sensor]", "[map]").split("[map]")[0] + SUITE[SUITE.index("[evaluator]") :], "x")
    assert plain.sensor is None
    assert '"sensor"' not in plain.model_dump_json(exclude={"sensor"})
    assert parse_suite(SUITE, "x").digest != parse_suite(SUITE.replace('"nearest"', '"area"'), "x").digest


def test_the_command_line_says_what_is_never_read() -> None:
    done = CliRunner().invoke(main, ["lint", f"{__file__}:small", "--sensor", "192x192,letterbox=64"])
    assert done.exit_code == 0
    assert "89% of your camera's pixels are never read" in done.output.replace("\n", " ")
    found = json.loads(CliRunner().invoke(main, ["lint", f"{__file__}:small", "--json", "--sensor", "147x160"]).output)
    assert (found["sensor"]["period"], found["sensor"]["whole"]) == ([147 / 32, 5.0], False)
    assert found["phases"] == {}


def highest():
    return lambda x: x.amax((1, 2, 3)), Preprocessing(input_shape=(3, 64, 64))


def test_a_model_without_a_graph_is_not_balanced_where_resizing_passes_over_pixels() -> None:
    """What it says is of the resizing alone: nothing is known of the model's own lattice."""
    done = CliRunner().invoke(main, ["lint", f"{__file__}:highest", "--sensor", "192x192,letterbox=64"])
    said = " ".join(done.output.split())
    assert said.startswith("UNBALANCED")
    assert "Resizing alone repeats every 3 pixels of the picture. How often the model's own lattice" in said
    assert "The lattice repeats" not in said
    whole = CliRunner().invoke(main, ["lint", f"{__file__}:highest", "--sensor", "64x64"])
    assert whole.output.split()[0] == "BALANCED"


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        ("192", "`shape`"),
        ("192x192,crop=65,resize=64", "does not fit 64 x 64"),
        ("192x192,colour=red", "`colour`"),
        ("192x192,resize=64,letterbox=64", "two ways"),
    ],
)
def test_a_camera_that_makes_no_sense_is_one_line_and_exit_2(sensor, words) -> None:
    done = CliRunner().invoke(main, ["lint", f"{__file__}:small", "--sensor", sensor])
    assert done.exit_code == 2
    assert words in done.output
    assert done.output.count("\n") == 1


def test_receptive_fields_are_told_in_the_pictures_pixels() -> None:
    """The rows that move the central position, by gradient, through an antialiased resize by 2.25."""
    model = camera(nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.Conv2d(4, 4, 3, 1, 1)), (144, 144), Resize((64, 64)))
    images = load_images("noise", shape=(3, 144, 144), count=1, seed=0)
    found = rf.at_layer(model, "1", images).theory
    x = torch.rand(1, 3, 144, 144, requires_grad=True)
    y = model.propagate(model.normalise(x), "1")
    (gradient,) = torch.autograd.grad(y[0, :, 16, 16].sum(), x)
    rows = gradient[0].abs().sum((0, 2)).nonzero()
    assert found.size[0] == int(rows.max() - rows.min()) + 1
    assert found.stride is None  # 4.5 pixels


def small() -> tuple[nn.Module, Preprocessing]:
    return window(3, padding=1), Preprocessing(input_shape=(3, 64, 64))
