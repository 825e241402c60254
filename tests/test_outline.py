"""`perturb plan`: pictures, minutes and chances, against what runs then take and decide."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from torch import nn
from toys import network, window
from toyseen import a_plan

from perturb import verdict
from perturb.cli import main
from perturb.errors import UsageError
from perturb.evaluators.score import Score
from perturb.images import is_drawn, load_images, split, split_sizes
from perturb.model import Network, Preprocessing
from perturb.plan import plan
from perturb.quantities.statistics import mean_effect
from perturb.records import Claim, Pictures, Verdict
from perturb.report import from_json
from perturb.stats.chances import difference_of
from perturb.stories.cost import seconds, stages
from perturb.stories.experiment import Wanted, measure
from perturb.stories.operating import CORRELATION, Supply, outlooks
from perturb.stories.outline import prospect
from perturb.studies import Studies
from perturb.suite import MapTable, load_suite, parse_suite
from perturb.verdict import Question, judge

SUITE = """
name = "tiny"
[images]
source = "noise"
count = {count}
[map]
kind = "structural"
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ quantity = "accuracy-loss", at_most = 0.2 }}
[[check]]
name = "shape"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ quantity = "imbalance", at_most = 4 }}
[[check]]
name = "missed"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ quantity = "miss-rate", at_most = 0.3 }}
"""


def a_suite(count=100):
    return parse_suite(SUITE.format(count=count), "tiny.perturb.toml")


class Counting(Network):
    """Counts the pictures that it is shown."""

    shown = 0

    def measure(self, pictures, layer="output"):
        self.shown += len(pictures)
        return super().measure(pictures, layer)

    def measure_layers(self, pictures, layers):
        self.shown += len(pictures)
        return super().measure_layers(pictures, layers)


@pytest.fixture(scope="module")
def pictures():
    calibration, judged = split(load_images("noise", shape=(3, 32, 32), count=12), share=0.5, seed=0)
    return Pictures(calibration=calibration, judged=judged)


def counted(asked, pictures, module):
    """The pictures that the plan's stages tell, and those that the model sees."""
    model = Counting(module, name="toy", preprocessing=Preprocessing(input_shape=(3, 32, 32)))
    counts = len(pictures.calibration.pixels), len(pictures.judged.pixels)
    told = stages(asked, *counts, asked.pairs, model.input_shape)
    model.shown = 0
    measure(model, asked, pictures, Wanted(engine="dense"), {})
    return sum(stage.pictures for stage in told), model.shown


def test_the_pictures_of_a_given_level_are_counted_exactly(pictures):
    """Nothing is calibrated: 20 shots, a clean twin for each of 6 pairs, and 12 changed pictures of each crop."""
    told, shown = counted(a_plan(level=0.5), pictures, window(1))
    assert told == shown == 6 * (20 + 6 + 12)


@pytest.mark.parametrize(("noise", "again"), [(0.02, 0), (0.03, 20)])
def test_shots_that_an_earlier_check_wants_too_are_counted_there(pictures, noise, again):
    """Two layers read the same shots, and other noise makes others. The model sees as many pictures as are told."""
    first = a_plan(level=0.5)
    second = replace(first, name="second", evaluator=replace(first.evaluator, layer="1", noise=noise), map_layer="1")
    told = stages(second, 6, 6, second.pairs, (3, 32, 32), before=[first])
    assert [(stage.pictures, stage.shots) for stage in told] == [(6 * (again + 6 + 12), 6 * again)]
    model = Counting(nn.Sequential(*window(1), nn.ReLU()), preprocessing=Preprocessing(input_shape=(3, 32, 32)))
    model.shown = 0
    wanted = Wanted(engine="dense", studies=Studies([first.evaluator, second.evaluator]))
    for asked in (first, second):
        measure(model, asked, pictures, wanted, {})
    assert model.shown == 6 * (20 + 6 + 12) + sum(stage.pictures for stage in told)


def test_a_sought_level_takes_the_pictures_that_are_told_and_those_of_levels_in_between(pictures):
    """Each further level shows 2 clean twins and 4 changed pictures of each crop; its shots are studied once."""
    told, shown = counted(a_plan(), pictures, window(1))
    a_round = 6 * (2 + 4)
    assert (shown - told) % a_round == 0
    assert -a_round <= shown - told <= 3 * a_round


def test_the_stages_of_an_answer_in_a_moving_picture_are_an_upper_bound(pictures):
    """Windows that two objects have in common are shown once."""
    asked = a_plan(
        level=0.5, design="picture", evaluator=Score(), map=MapTable(kind="response", period=2), map_layer="output"
    )
    told, shown = counted(asked, pictures, nn.Sequential(window(1, channels=1), nn.AdaptiveMaxPool2d(1), nn.Flatten()))
    assert 0.3 * told <= shown <= told


def test_seconds_are_told_unless_something_learns(pictures):
    model = network(window(1), shape=(3, 32, 32))
    asked = a_plan(level=0.5)
    found = seconds(model, [asked], pictures.calibration, 6, 6)
    assert found is not None
    assert found > 0
    teachable = replace(asked, training=replace(asked.training, regime="fine-tuned"))
    assert seconds(model, [teachable], pictures.calibration, 6, 6) is None


@pytest.mark.parametrize(("loss", "judged"), [(0.0, 60), (0.5, 60)])
def test_chances_are_those_of_real_verdicts(loss, judged, monkeypatch):
    """60 simulated runs through the quantity's interval and `judge`, beside another sampled check that passes."""
    for slow in ("clusters_to_decide", "least_mean_found"):  # and not asked here
        monkeypatch.setattr(verdict, slow, lambda *_, **__: None)
    suite = a_suite()
    checks = plan(suite, network(window(1)), load_images("noise", shape=(3, 64, 64), count=4))
    (pixel, *_) = outlooks(checks, Supply(judged=judged, a_judged=1.7, crops=1.0), {})
    told = {chance.true: chance for chance in pixel.usual}
    true = min(told, key=lambda value: abs(value - loss * 0.2 / 0.25))
    clusters, rng = difference_of(4, 0.85, true, CORRELATION), np.random.default_rng(0)
    passed = question(np.zeros(judged))
    low = replace(passed.effect_at(0.95), confidence=0.95)
    passed = replace(passed, effect_at=lambda confidence: low)
    verdicts = [
        judge([question(rng.choice(clusters.values, judged, p=clusters.shares)), passed])[0].verdict for _ in range(60)
    ]
    for wanted, chance in ((Verdict.PASS, told[true].passes), (Verdict.FAIL, told[true].fails)):
        share = np.mean([one == wanted for one in verdicts])
        assert share == pytest.approx(chance, abs=4 * max(0.01, (chance * (1 - chance) / 60) ** 0.5))


def test_beside_other_checks_a_check_fails_less_often():
    """Holm's procedure: the error of FAIL is shared, that of PASS is not; a map's number takes no part."""
    checks = plan(a_suite(), network(window(1)), load_images("noise", shape=(3, 64, 64), count=4))
    supply = Supply(judged=20, a_judged=1.7, crops=1.0)
    (alone, _), (beside, *_) = (outlooks(some, supply, {}) for some in (checks[:2], checks))
    assert [chance.passes for chance in alone.usual] == [chance.passes for chance in beside.usual]
    assert alone.usual[4].fails > beside.usual[4].fails + 0.02


def question(losses):
    def effect_at(confidence):
        return replace(mean_effect(losses[None], confidence=confidence, seed=0, limit=1), quantity="accuracy-loss")

    claim = Claim(quantity="accuracy-loss", at_most=0.2, confidence=0.95)
    return Question(check="x", claim=claim, effect_at=effect_at)


def test_what_each_check_can_decide():
    """100 drawn pictures, 60 judged: without a loss nearly all PASS, at the claim hardly any, no map is simulated."""
    found = prospect(a_suite())
    assert (found.calibration, found.judged, found.seconds) == ((40, 40), (60, 60), None)
    assert found.trials == 60 * 4
    pixel, shape, missed = found.outlooks
    assert [chance.true for chance in pixel.usual] == [0, 0.1, 0.2, pytest.approx(0.3), 0.4]
    assert pixel.usual[0].passes > 0.9
    assert all(chance.passes <= 0.04 for chance in (*pixel.usual[2:], *pixel.rare[2:]))
    assert pixel.usual[4].fails > pixel.usual[3].fails > pixel.usual[2].fails
    assert pixel.usual[0].open == pytest.approx(1 - pixel.usual[0].passes)
    assert pixel.rare[0].passes == 1
    assert shape.usual == shape.enough == ()
    assert "not simulated" in shape.assumed
    assert [chance.true for chance in missed.usual] == pytest.approx([0, 0.15, 0.3, 0.45, 0.6])
    for each in (pixel, missed):
        eight, nine = each.enough
        assert eight.photographs <= nine.photographs


def test_so_many_photographs_pass_as_often_as_is_told():
    """The number that is told includes those to calibrate on."""
    (pixel, *_) = prospect(a_suite()).outlooks
    eight = pixel.enough[0].photographs
    (there, *_) = prospect(a_suite(count=eight)).outlooks
    (fewer, *_) = prospect(a_suite(count=eight - 6)).outlooks
    assert there.usual[0].passes >= 0.77
    assert fewer.usual[0].passes < there.usual[0].passes


def test_drawn_pictures_are_counted_without_drawing_them():
    assert is_drawn("noise")
    assert is_drawn("own.py:draw")
    assert not is_drawn("folder:x.py")
    assert split_sizes(20, 0.4) == (8, 12)
    assert split_sizes(4, 0.9) == (2, 2)
    assert prospect(a_suite(count=1_000_000)).judged == (600_000, 600_000)


def perturb(*arguments):
    return CliRunner().invoke(main, ["plan", *map(str, arguments)])


def test_the_command(tmp_path):
    """Exit code 0; as a table and as JSON; the earlier run's spread; mistakes are exit code 2."""
    path = tmp_path / "tiny.perturb.toml"
    path.write_text(SUITE.format(count=20))
    shown = perturb(path)
    assert shown.exit_code == 0, shown.output
    assert "12 photographs judged" in shown.output
    assert "passes wrongly at most 2.5% of the time" in shown.output.replace("\n", " ")
    found = json.loads(perturb(path, "--json", "--images", "paper").output)
    assert found["source"] == "paper"
    assert found["outlooks"][0]["usual"][0]["true"] == 0
    for arguments, words in (
        (("--weights", "w.safetensors"), "name it after the suite"),
        (("--from", "tests/kept/report-3/report.json"), "has no check 'shape'"),
        (("--from", "nothing.json"), "cannot be read"),
    ):
        refused = perturb(path, *arguments)
        assert refused.exit_code == 2, refused.output
        assert words in refused.output


def test_a_camera_without_a_model():
    found = perturb("single-pixel", "--sensor", "300x400", "--images", "noise", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["model"] == ""


def test_a_task_as_it_is_needs_the_model():
    refused = perturb("paper-noise", "--images", "noise")
    assert refused.exit_code == 2
    assert "name the MODEL" in refused.output


def test_the_spread_of_an_earlier_run_is_taken():
    path = Path(__file__).parent / "kept/report-3/report.json"
    report = from_json(path.read_text(), path)
    names = [finding.check for finding in report.findings]
    suite = load_suite("single-pixel").reading("noise")
    check = suite.check[0].model_copy(update={"name": names[0]})
    found = prospect(suite.model_copy(update={"check": (check,)}), None, report)
    spread = report.findings[0].effect.spread
    assert f"spread by {spread:.2f}" in found.outlooks[0].assumed


def test_a_run_that_judges_few_of_many_is_not_told_to_calibrate_on_as_many_more():
    """Of 100 pictures 40 are calibrated on; that only 5 of the others are judged changes no share."""
    (whole, *_), (few, *_) = (prospect(a_suite().until_decided(most)).outlooks for most in (None, 5))
    assert (whole.judged, few.judged) == (60, 5)
    assert few.enough == whole.enough


def test_an_earlier_run_measured_the_same_quantity():
    path = Path(__file__).parent / "kept/report-3/report.json"
    report = from_json(path.read_text(), path)
    missed = a_suite().check[2].model_copy(update={"name": report.findings[0].check})
    with pytest.raises(UsageError, match="measured accuracy-loss in that run, and here it claims miss-rate"):
        prospect(a_suite().model_copy(update={"check": (missed,)}), None, report)
