"""Real objects, as annotated: the picture moves under the model, and each object lands on dead and on live phases.

The toys answer with boxes around bright pixels, and are blind in a way that is known.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from toys import network

from perturb import Preprocessing
from perturb.errors import InputError, UsageError
from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.evaluators.objects import overlaps, owners
from perturb.images import split
from perturb.images.annotated import Cutting, load_annotated
from perturb.locations import anywhere
from perturb.model import BlackBox
from perturb.perturbations.annotated import Annotated
from perturb.plan import pictures_for
from perturb.protocols import Asked
from perturb.quantities.detection import ACCURACY_LOSS, MISS_RATE
from perturb.quantities.measures import alarm_thresholds
from perturb.quantities.recall import recall
from perturb.questions import questions_about
from perturb.records import Claim, Observation, OperatingPoint, Verdict
from perturb.showing import Exposure, show
from perturb.stories.qualify import Bench, Context, qualify
from perturb.suite import parse_suite
from perturb.tasks.recall import Recalled
from perturb.trials import design
from perturb.verdict import decide

pytestmark = pytest.mark.filterwarnings("ignore:pictures")  # of objects beyond the windows of their photograph
SIDE = 64
PREPROCESSING = Preprocessing(input_shape=(1, SIDE, SIDE))
SUITE = """
name = "annotated"
seed = 1
[images]
source = "folder:pics"
annotations = "labels.json"
{images}
[map]
kind = "response"
period = {period}
share = 0.25
[evaluator]
kind = "{kind}"
radius = 1
{more}
[[check]]
name = "specks"
perturbation = {{ kind = "annotated" }}
pairs = 6
{check}
claim = {{ at_most = 0.2 }}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures of 90 x 110 with eight bright specks each, of 1, 2 and 3 pixels a side, two apart or more."""
    where = tmp_path_factory.mktemp("annotated")
    (where / "pics").mkdir()
    rng = np.random.default_rng(7)
    images, annotations = [], []
    for number in range(20):
        values = rng.integers(0, 20, (90, 110)).astype(np.uint8)
        cells = rng.permutation([(row, column) for row in range(0, 84, 6) for column in range(0, 104, 6)])[:8]
        for at, (top, left) in enumerate(cells + rng.integers(0, 2, (8, 2))):
            side = 1 + at % 3
            values[top : top + side, left : left + side] = 200
            annotations.append({"image_id": number, "bbox": [int(left), int(top), side, side], "category_id": side})
        Image.fromarray(values).save(where / "pics" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
    categories = [{"id": side, "name": f"side-{side}"} for side in (1, 2, 3)]
    labels = {"images": images, "annotations": annotations, "categories": categories}
    (where / "labels.json").write_text(json.dumps(labels))
    return where


@pytest.fixture(scope="module")
def suite_of(folder):
    def made(*, kind="boxes", more="threshold = 0.5", period="2", images="", check=""):
        text = SUITE.format(kind=kind, more=more, period=period, images=images, check=check)
        return parse_suite(text, str(folder / "s.perturb.toml"))

    return made


@pytest.fixture(scope="module")
def bench(suite_of):
    return Bench(pictures=pictures_for(suite_of(), PREPROCESSING.input_shape), controls=())


def boxes(seen, step=1):
    """A box of `step` pixels for each bright position of a map that has one for every `step` pixels."""
    row, column = torch.nonzero(seen > 0.5).T
    corners = torch.stack([column, row, column + 1, row + 1], 1).float() * step
    return {"boxes": corners, "scores": seen[row, column], "labels": torch.ones(len(row), dtype=torch.long)}


def blind(x):
    """Reads every second row and column only."""
    return [boxes(one[::2, ::2], 2) for one in x[:, 0]]


def even(x):
    return [boxes(one) for one in x[:, 0]]


def small_blind(x):
    """Sees what is 2 x 2 pixels bright or more."""
    return [boxes(-torch.nn.functional.max_pool2d(-one[None], 2, stride=1)[0]) for one in x[:, 0]]


def border_blind(x):
    """Sees nothing within 9 pixels of the border."""
    inner = torch.zeros_like(x)
    inner[..., 9:-9, 9:-9] = x[..., 9:-9, 9:-9]
    return even(inner)


def heat(x):
    return x[:, 0]


def smooth(x):
    return torch.nn.functional.avg_pool2d(x, 3, 1, 1)[:, 0]


def ask(function, suite, bench=None):
    model = BlackBox(function, name=function.__name__, preprocessing=PREPROCESSING)
    return qualify(model, suite, Context(bench=bench))


def by_size(experiment):
    size, _ = experiment.recall.breakdowns
    return {one.low: (one.dead.value, one.live.value) for one in size.bins}


@pytest.mark.slow
def test_a_blind_lattice_has_exactly_the_recall_that_follows_from_the_sizes(suite_of, bench):
    """On even rows and columns every speck is read. Elsewhere one pixel is never read, and 2 x 2 pixels always are."""
    report = ask(blind, suite_of(), bench)
    (experiment,) = report.experiments
    assert experiment.live_phases == ((0, 0),)
    assert {phase.phase: phase.rate.value == 1 for phase in experiment.phases} == {
        (0, 0): True,
        (0, 1): False,
        (1, 0): False,
        (1, 1): False,
    }
    assert by_size(experiment) == {1: (0, 1), 2: (1, 1), 3: (1, 1)}
    assert report.findings[0].effect.value == pytest.approx(
        experiment.detected.live.value - experiment.detected.dead.value
    )
    assert report.verdict == Verdict.INCONCLUSIVE  # 12 photographs that lose a third do not rule out a loss of 0.1
    assert experiment.recall.alarms.value == 0
    assert (experiment.design, experiment.level, experiment.clean) == ("picture", 1.0, "unmatched")
    assert experiment.detected.clean is None


@pytest.mark.slow
def test_of_chosen_classes_the_others_are_no_objects(suite_of):
    """Only the 1-pixel specks are asked about, so a report of any other speck is a false alarm."""
    suite = suite_of(images="classes = ['side-1']")
    bench = Bench(pictures=pictures_for(suite, PREPROCESSING.input_shape), controls=())
    (experiment,) = ask(blind, suite, bench).experiments
    assert (experiment.detected.dead.value, experiment.detected.live.value) == (0, 1)
    assert experiment.recall.alarms.value > 1
    assert experiment.recall.alarms.low <= experiment.recall.alarms.value <= experiment.recall.alarms.high


@pytest.mark.slow
def test_an_even_lattice_passes_though_all_is_found(suite_of, bench):
    """Objects of somebody's own have no level at which some would be missed: no loss is an answer."""
    report = ask(even, suite_of(), bench)
    (experiment,) = report.experiments
    assert (experiment.detected.dead.value, experiment.detected.live.value) == (1, 1)
    assert report.verdict == Verdict.INCONCLUSIVE  # 12 photographs that agree rule out a loss of 0.29 alone
    assert report.findings[0].reason.startswith("the interval contains 0.2; a true ")
    assert decide(Claim(quantity="", at_most=0.3, confidence=0.95), report.findings[0].effect)[0] == Verdict.PASS


@pytest.mark.slow
def test_what_is_blind_to_small_objects_shows_by_size(suite_of, bench):
    assert by_size(ask(small_blind, suite_of(), bench).experiments[0]) == {1: (0, 0), 2: (1, 1), 3: (1, 1)}


@pytest.mark.slow
def test_what_is_blind_near_the_border_shows_by_distance(suite_of, bench):
    (experiment,) = ask(border_blind, suite_of(), bench).experiments
    _, distance = experiment.recall.breakdowns
    near, *_, far = distance.bins
    assert near.live.value < 0.2
    assert (far.dead.value, far.live.value) == (1, 1)
    assert near.high <= distance.bins[1].low


@pytest.mark.slow
def test_a_map_is_read_at_its_objects(suite_of, bench):
    """Specks are 200 of 255, the rest at most 20: every threshold in between finds all, without a false alarm."""
    (experiment,) = ask(heat, suite_of(kind="map"), bench).experiments
    assert (experiment.detected.dead.value, experiment.recall.alarms.value) == (1, 0)
    (pinned,) = ask(smooth, suite_of(kind="map", more="alarms_per_picture = 2"), bench).experiments
    assert pinned.threshold is None
    assert 0.5 < pinned.recall.alarms.value < 4  # peaks of the noise, pinned to 2 on other pictures
    assert pinned.detected.dead.value == 1
    assert [row.false_alarms for row in pinned.free_response] == [0.25, 0.5, 1, 2, 4, 8]
    assert all(np.isfinite(row.threshold) for row in pinned.free_response)


@pytest.mark.slow
def test_nothing_and_everything_never_pass(suite_of, bench):
    def nothing(x):
        return [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)} for _ in x]

    report = ask(nothing, suite_of(), bench)
    assert (report.verdict, report.findings[0].effect.saturated) == (Verdict.INCONCLUSIVE, "floor")


def test_an_object_lies_on_the_phase_that_is_asked(folder):
    """The same object, cut from what the model is shown at its place, whatever its place."""
    images = load_annotated(
        folder / "pics",
        folder / "labels.json",
        Cutting(shape=PREPROCESSING.input_shape, room=3, windows=2, each=6),
        seed=0,
    )
    trials = design(images, anywhere(4), size=1, pairs=6, seed=0, purpose="toy")
    exposure = Exposure(task=Recalled(perturbation=Annotated()), levels=(1.0,), noise=0.0)
    for image in range(0, len(images.pixels), 7):
        shown = show(images, trials, image, exposure)
        pictures = np.concatenate([shown.clean, shown.changed])
        assert len(shown.changed) == 0
        assert len(pictures) == len(np.unique(shown.number))  # the same move is one picture
        asked = questions_about(images, trials, image, exposure.task)
        assert asked.shape == (SIDE, SIDE)
        for pair, arm in np.ndindex(6, 4):
            row, column = asked.place[pair, arm]
            one = pictures[shown.number[0, pair, arm], 0]
            top, left, rows, columns = asked.boxes[pair, arm, 0]
            assert (top, left) == (row, column)
            assert (one[row : row + int(rows), column : column + int(columns)] > 0.5).all()
            others = asked.boxes[pair, arm, 1:]
            inside = others[((others[:, :2] >= 0) & (others[:, :2] + others[:, 2:] <= SIDE)).all(1)].astype(int)
            assert all((one[r : r + h, c : c + w] > 0.5).all() for r, c, h, w in inside)


def asked_of(*objects):
    """One picture of 40 x 40 with these objects; the first is asked about."""
    here = np.zeros(1, dtype=int)
    return Asked(
        place=np.array([objects[0][:2]]),
        extent=(1, 1),
        shape=(40, 40),
        truth=here,
        twin=here,
        boxes=np.array([objects], dtype=float),
    )


def answer(*corners, scores=None):
    return [
        {"boxes": np.array(corners, dtype=float).reshape(-1, 4), "scores": np.array(scores or [1.0] * len(corners))}
    ]


def test_neighbours_lend_each_other_no_box():
    """Two objects 6 pixels apart, one box on the second: within 8 pixels of both, and the second's alone."""
    first, second = (10, 10, 4, 4), (10, 20, 4, 4)
    evaluator = BoxScores(radius=8)
    on_second = answer((19, 10, 23, 14))
    assert evaluator.evidence(on_second, asked_of(first, second), None) == [0]
    assert evaluator.evidence(on_second, asked_of(second, first), None) == [1]
    assert evaluator.evidence(on_second, asked_of(first), None) == [1]
    assert evaluator.alarms(on_second, asked_of(first, second))[0].size == 0


def test_two_boxes_on_one_object_are_no_false_alarm_and_one_far_away_is():
    found = answer((10, 10, 14, 14), (9, 9, 15, 15), (30, 30, 34, 34), scores=[0.4, 0.7, 0.9])
    asked = asked_of((10, 10, 4, 4), (2, 2, 2, 2))
    assert BoxScores(radius=2).evidence(found, asked, None) == [0.7]
    assert BoxScores(radius=2).alarms(found, asked)[0].tolist() == [0.9]
    assert BoxScores(radius=2, max_area=2).evidence(found, asked, None) == [0.4]  # 36 pixels are more than 2 x 16


def test_what_is_reported_beyond_the_photograph_is_no_false_alarm():
    """The photograph ends at column 30; beyond it its edge is repeated."""
    found = answer((30, 30, 34, 34), (24, 30, 28, 34), scores=[0.9, 0.8])
    asked = replace(asked_of((10, 10, 4, 4)), photograph=np.array([[0.0, 0, 40, 30]]))
    assert BoxScores(radius=2).alarms(found, asked)[0].tolist() == [0.8]
    assert BoxScores(iou=0.5).alarms(found, asked)[0].tolist() == [0.8]
    heat = torch.zeros(1, 40, 40)
    heat[0, 32, 32], heat[0, 32, 22] = 0.9, 0.8
    peaks = Map(radius=2).alarms(heat, asked)[0]
    assert peaks[peaks > 0] == pytest.approx([0.8])


def test_the_reach_begins_at_the_box_of_a_large_object():
    """The centre of a box that covers one end of a long object lies far from its centre, and within its box."""
    long = (10, 4, 3, 30)
    assert BoxScores(radius=1).evidence(answer((4, 10, 8, 13)), asked_of(long), None) == [1]
    assert BoxScores(radius=1).evidence(answer((4, 15, 8, 17)), asked_of(long), None) == [0]


def test_intersection_over_union():
    """4 x 4 boxes that share 2 columns: 8 / 24."""
    assert overlaps(np.array([[12.0, 10, 16, 14]]), np.array([[10.0, 10, 4, 4]])) == pytest.approx(1 / 3)
    found, asked = answer((12, 10, 16, 14)), asked_of((10, 10, 4, 4))
    assert BoxScores(iou=0.33).evidence(found, asked, None) == [1]
    assert BoxScores(iou=0.34).evidence(found, asked, None) == [0]
    assert BoxScores(iou=0.34).alarms(found, asked)[0].tolist() == [1]
    planted = replace(asked, boxes=None, extent=(4, 4))
    assert BoxScores(iou=0.33).evidence(found, planted, None) == [1]
    assert BoxScores(iou=0.5).evidence(answer(), asked, None) == [0]


def test_the_owner_is_the_nearest_box_and_then_the_nearest_centre():
    outer, inner = [20.0, 20, 10, 10], [20.0, 24, 2, 2]
    points = np.array([[20.0, 24], [20, 12], [20, 34]])
    owner, away = owners(points, np.array([outer, inner]))
    assert (owner.tolist(), away.tolist()) == ([1, 0, 0], [0, 0, 4])


@pytest.mark.parametrize("radius", [0, 4, 8])
def test_peaks_of_a_map_coarser_than_the_radius_are_told_apart(radius):
    """A position exceeds its neighbours however far they are: else all are one peak, which reaches every object."""
    coarse = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)) / 2
    coarse[0, 0, 0], coarse[0, 3, 3] = 0.9, 0.8
    peaks = Map(radius=radius).alarms(coarse, asked_of((4, 4, 2, 2)))[0]
    assert peaks.max() == pytest.approx(0.8)


def test_a_peak_of_a_map_belongs_to_one_object():
    heat = torch.zeros(1, 40, 40)
    heat[0, 11, 21], heat[0, 33, 33] = 0.8, 0.6
    first, second = (10, 10, 4, 4), (10, 20, 4, 4)
    evaluator = Map(radius=8)
    assert float(evaluator.evidence(heat, asked_of(first, second), None)) == 0
    assert float(evaluator.evidence(heat, asked_of(second, first), None)) == pytest.approx(0.8)
    peaks = evaluator.alarms(heat, asked_of(first, second))[0]
    assert peaks[peaks > 0] == pytest.approx([0.6])
    coarse = torch.tensor([[[0.8, 0.1], [0.2, 0.3]]])  # objects within one position share it; the nearer has it
    nearer, further = (9, 9, 1, 1), (8, 8, 1, 1)
    assert float(evaluator.evidence(coarse, asked_of(nearer, further), None)) == pytest.approx(0.8)
    assert float(evaluator.evidence(coarse, asked_of(further, nearer), None)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"kind": "score", "more": ""}, "give \\[evaluator\\] threshold"),
        ({"check": "level = 0.5"}, "an annotated object has no level: remove level"),
        ({"images": "classes = ['side-9']"}, "'side-9' is none of annotations"),
    ],
)
def test_what_does_not_go_with_annotations_is_refused(suite_of, options, fault):
    with pytest.raises(UsageError, match=fault):
        ask(even, suite_of(**options))


def test_change_is_no_question_about_annotated_objects(suite_of, bench):
    model = network(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3)), shape=PREPROCESSING.input_shape)
    with pytest.raises(UsageError, match="annotated objects are asked about in the model's own answer"):
        qualify(model, suite_of(kind="change", more=""), Context(bench=bench))


def test_annotations_and_annotated_objects_need_each_other(folder):
    text = SUITE.format(kind="boxes", more="threshold = 0.5", period=2, images="", check="")
    text = text.replace("folder:pics", f"folder:{folder}/pics")
    where = str(folder / "s.perturb.toml")
    with pytest.raises(UsageError, match=r"annotations are for perturbation\.kind = 'annotated', not 'pixel'"):
        ask(even, parse_suite(text.replace('"annotated" }', '"pixel" }'), where))
    with pytest.raises(UsageError, match=r"needs \[images\] annotations"):
        ask(even, parse_suite(text.replace('annotations = "labels.json"', ""), where))
    with pytest.raises(UsageError, match="expected source = 'folder:PATH'"):
        ask(even, parse_suite(text.replace(f"folder:{folder}/pics", "built-in"), where))


def test_a_period_beyond_the_room_to_move_is_refused(folder):
    cutting = Cutting(shape=PREPROCESSING.input_shape, room=3, windows=1, each=1)
    images = load_annotated(folder / "pics", folder / "labels.json", cutting, seed=0)
    with pytest.raises(InputError, match="repeats every 8 pixels, and the pictures can move by 3"):
        design(images, anywhere(8), size=1, pairs=1, seed=0, purpose="toy")


def observation(dead, live, alarms=None):
    """Evidence by [image, pair] of annotated objects, a photograph an image."""
    missing = np.full_like(dead, np.nan)
    evidence = np.stack([missing, dead, live, missing], -1)[None, None]
    return Observation(
        evidence=evidence,
        realised=np.zeros_like(evidence),
        threshold=np.full((1, len(dead)), 0.5),
        measures={},
        levels=(1.0,),
        photograph=np.arange(len(dead)),
        point=OperatingPoint(false_alarms=None, clean="unmatched", chance=0.0),
        truth=np.ones((1, *dead.shape), dtype=int),
        alarms=alarms,
    )


def test_the_threshold_allows_so_many_false_alarms_a_picture():
    """Four pictures with scores 0.9, 0.8, 0.7 and 0.6 in all: 0.5 a picture are two of them."""
    alarms = np.array([[[0.9, 0.7], [0.8, -np.inf], [0.6, -np.inf], [-np.inf, -np.inf]]])
    seen = observation(np.full((4, 1), 0.1), np.full((4, 1), 0.2), alarms)
    assert alarm_thresholds(seen, 0.5) == [0.7]
    assert alarm_thresholds(seen, 0.25) == [0.8]
    assert alarm_thresholds(seen, 5) == [0.1]


def test_a_quarter_of_live_places_is_the_floor_and_there_is_no_ceiling():
    def saturated(live):
        return ACCURACY_LOSS.effect(observation(live, live), None, confidence=0.95, seed=0).saturated

    sure = np.linspace(0.6, 1, 20)[:, None]
    assert [saturated(np.eye(20)[:, :1] * 0 + found) for found in (0.0, sure)] == ["floor", ""]
    assert saturated(np.ones((20, 1))) == "floor"  # one answer everywhere, and nothing that it should not find
    assert MISS_RATE.misfit(OperatingPoint(false_alarms=None, clean="unmatched", chance=0.0)) == ""


def test_bins_hold_a_third_of_the_questions_each_and_keep_equal_values_together(folder):
    images = load_annotated(
        folder / "pics", folder / "labels.json", Cutting(shape=(1, 64, 64), room=1, windows=1, each=6), seed=0
    )
    _, images = split(images, share=0.4, seed=0)
    trials = design(images, anywhere(2), size=1, pairs=6, seed=0, purpose="toy")
    yes = np.ones(trials.asked.shape)
    found = recall(observation(yes, yes), trials, images, seed=0)
    size, distance = found.breakdowns
    assert [(one.low, one.high) for one in size.bins] == [(1, 1), (2, 2), (3, 3)]
    counts = [one.live.trials for one in distance.bins]
    assert sum(counts) == yes.size
    assert max(counts) <= yes.size / 3 + 6
    assert [one.high for one in distance.bins] == sorted(one.high for one in distance.bins)
    assert found.objects == images.objects.asked.sum()
    assert found.alarms is None


@pytest.mark.slow
def test_a_detector_without_loss_is_seldom_failed():
    """300 runs of 60 photographs, each with a recall of its own; dead and live alike. A claim of 0 fails in 2.5 %."""
    rng, failed, passed = np.random.default_rng(3), 0, 0
    for _ in range(300):
        chance = rng.beta(4, 2, (60, 1))
        seen = observation(*(np.where(rng.random((60, 8)) < chance, 1.0, 0.0) for _ in "dl"))
        effect = ACCURACY_LOSS.effect(seen, None, confidence=0.95, seed=0)
        failed += decide(Claim(quantity="", at_most=0.0, confidence=0.95), effect)[0] == Verdict.FAIL
        passed += decide(Claim(quantity="", at_most=0.2, confidence=0.95), effect)[0] == Verdict.PASS
    assert failed <= 16  # binomial with 300 and 0.025: 16 or more in one of 250 sound versions
    assert passed > 250
