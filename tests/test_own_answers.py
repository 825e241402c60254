"""Every evaluator of a model's own answer: a blind lattice is found, an even one passes, a constant never does."""

import numpy as np
import pytest
import torch
from toyanswers import DARK, PREPROCESSING, model

from perturb import qualify
from perturb.errors import PerturbError, UsageError
from perturb.evaluators.map import Map
from perturb.evaluators.score import Score
from perturb.model import BlackBox
from perturb.protocols import Asked
from perturb.records import Verdict
from perturb.render.terminal import moved
from perturb.stories.answer_map import explains
from perturb.stories.qualify import Context, set_up
from perturb.suite import parse_suite

TABLES = {
    "score": "kind = 'score'",
    "map": "kind = 'map'\noutput = 'anomaly_map'\nradius = 2",
    "boxes": "kind = 'boxes'\nradius = 2",
    "text": "kind = 'text'\npattern = '[.]'",
    "own": "kind = 'own.py:strongest'",
}
SUITE = """
name = "own-answer"
seed = 1
[images]
source = "own.py:dark"
count = 44
[design]
kind = "{design}"
[map]
kind = "response"
{period}
share = {share}
[evaluator]
{table}
{more}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ at_most = 0.3 }}
"""
OWN = """
def strongest(answer, row, column):
    return answer.own
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("own")
    (where / "own.py").write_text(DARK + OWN)
    return where


@pytest.fixture(scope="module")
def suite_of(folder):
    def made(table, *, design="object", more="", period="period = 2", share=0.25):
        text = SUITE.format(design=design, table=table, more=more, period=period, share=share)
        return parse_suite(text, str(folder / "s.perturb.toml"))

    return made


@pytest.fixture(scope="module")
def bench(suite_of):
    return set_up(suite_of("kind = 'score'"), PREPROCESSING.input_shape)


@pytest.fixture
def ask(suite_of, bench):
    def asked(eye, answer, **given):
        box = BlackBox(model(eye, answer), name=f"{eye}-{answer}", preprocessing=PREPROCESSING)
        return qualify(box, suite_of(TABLES[answer], **given), Context(bench=bench))

    return asked


@pytest.mark.slow
@pytest.mark.parametrize("design", ["object", "picture"])
@pytest.mark.parametrize("answer", TABLES)
def test_a_blind_lattice_is_found_by_every_evaluator(ask, answer, design):
    """Three of four phases are never read. The phases are found from the answer alone."""
    report = ask("blind", answer, design=design)
    (experiment,) = report.experiments
    assert report.verdict == Verdict.FAIL
    assert experiment.live_phases == ((0, 0),)
    assert (0, 0) not in experiment.dead_phases
    assert experiment.detected.dead.value < 0.1
    assert experiment.detected.live.value > 0.7
    assert experiment.design == design


@pytest.mark.slow
def test_a_check_may_have_a_design_of_its_own(ask):
    """One check says its own, the other takes the suite's; the report says which is whose."""
    own = """
[[check]]
name = "own"
perturbation = { kind = "box", size = 1 }
design = "object"
pairs = 4
claim = { at_most = 0.2 }
"""
    report = ask("blind", "map", design="picture", more=own)
    assert [(e.name, e.design) for e in report.experiments] == [("own", "object"), ("pixel", "picture")]
    assert moved(report.experiments).startswith("pixel: The picture moved")
    assert "own: The object moved" in moved(report.experiments)
    assert moved(report.experiments[:1]).startswith("The object moved")


@pytest.mark.slow
@pytest.mark.parametrize("design", ["object", "picture"])
@pytest.mark.parametrize("answer", TABLES)
def test_an_even_lattice_passes(ask, answer, design):
    report = ask("even", answer, design=design)
    (experiment,) = report.experiments
    assert report.verdict == Verdict.PASS, report.findings[0].reason
    assert 0.5 < experiment.detected.live.value < 1


@pytest.mark.slow
@pytest.mark.parametrize("given", ["", "threshold = 0.5"])
@pytest.mark.parametrize("eye", ["nothing", "everything"])
@pytest.mark.parametrize("answer", TABLES)
def test_a_constant_answer_never_passes(ask, answer, eye, given):
    """Nothing anywhere, or something everywhere: no loss is measured, and none could have been."""
    report = ask(eye, answer, more=given)
    assert (report.verdict, report.findings[0].effect.saturated) == (Verdict.INCONCLUSIVE, "floor")


@pytest.mark.slow
def test_the_response_is_told_by_phase_with_its_interval(ask):
    """Rows and columns of a 2 x 2 lattice: objects are reported on even ones, and on no others."""
    (experiment,) = ask("blind", "boxes").experiments
    assert [phase.phase for phase in experiment.phases] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    seen, *unseen = (phase.rate for phase in experiment.phases)
    assert seen.value > 0.9  # half of all are reported at no level, so the highest was taken
    assert [rate.value for rate in unseen] == [0, 0, 0]
    assert unseen[0].high < 0.4
    assert unseen[0].n == 18


@pytest.mark.slow
def test_with_a_threshold_of_ones_own_the_pinned_one_is_told_too(ask):
    """At a threshold far above the clean pictures the user sees less than at the pinned one, and no false alarm."""
    (experiment,) = ask("even", "map", more="threshold = 0.3").experiments
    measures = {measure.name: measure for measure in experiment.measures}
    assert experiment.threshold == 0.3
    assert measures["detected"].clean.value == 0
    assert 0 < measures["pinned"].clean.value < 0.15
    assert measures["pinned"].live.value >= measures["detected"].live.value
    pinned = ask("even", "map").experiments[0]
    assert (pinned.threshold, "pinned" in {measure.name for measure in pinned.measures}) == (None, False)


@pytest.mark.slow
def test_maps_and_boxes_have_a_free_response_table(ask):
    table = ask("even", "map").experiments[0].free_response
    assert [row.false_alarms for row in table] == [0.25, 0.5, 1, 2, 4, 8]
    thresholds = [row.threshold for row in table]
    assert thresholds == sorted(thresholds, reverse=True)
    assert all(row.measured <= row.false_alarms for row in table)
    assert table[-1].live.value >= table[0].live.value
    assert ask("even", "score").experiments[0].free_response == ()


@pytest.mark.slow
def test_a_lattice_of_rows_is_measured_by_row(suite_of, bench):
    """A function that drops every second row: columns are not asked about, and the picture moves down alone."""
    suite = suite_of(TABLES["map"], design="picture", period="period = [2, 1]", share=0.5)
    box = BlackBox(lambda x: {"anomaly_map": x[:, :, ::2]}, name="rows", preprocessing=PREPROCESSING)
    (experiment,) = (report := qualify(box, suite, Context(bench=bench))).experiments
    assert [phase.phase for phase in experiment.phases] == [(0, 0), (1, 0)]
    assert {row for row, _ in experiment.live_phases} == {0}
    assert {row for row, _ in experiment.dead_phases} == {1}
    assert (report.verdict, experiment.design) == (Verdict.FAIL, "picture")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("kind = 'map'", "the model returns anomaly_map, pred_score: choose one, output = 'anomaly_map'"),
        ("kind = 'map'\noutput = 'mask'", "no such output; expected one of \\['anomaly_map', 'pred_score'\\]"),
        ("kind = 'score'\noutput = 'anomaly_map'", "no score: use kind = 'map'"),
        ("kind = 'map'\noutput = 'pred_score'", "no map: use kind = 'score'"),
        ("kind = 'boxes'", "holds no boxes"),
        ("kind = 'text'\npattern = 'x'", "holds no text"),
        ("kind = 'text'", "`pattern` is missing"),
        ("kind = 'change'", "reads a feature map"),
        ("", "say how they are read"),
    ],
)
def test_what_does_not_go_with_an_answer_is_one_line(suite_of, bench, table, words):
    box = BlackBox(model("even", "map"), name="heat", preprocessing=PREPROCESSING)
    with pytest.raises(PerturbError, match=words):
        qualify(box, suite_of(table), Context(bench=bench))


@pytest.mark.slow
@pytest.mark.parametrize("design", ["object", "picture"])
def test_a_period_that_nobody_tells_is_looked_for(suite_of, bench, design):
    """Every fourth row is read, and every column: the period is 4 rows by 1 column, found on calibration pictures."""
    table = TABLES["map"].replace("radius = 2", "radius = 0.5")
    box = BlackBox(lambda x: {"anomaly_map": x[:, :, ::4]}, name="rows", preprocessing=PREPROCESSING)
    suite = suite_of(table, design=design, period="")
    few = suite.model_copy(update={"check": (suite.check[0].model_copy(update={"pairs": 1}),)})
    (experiment,) = qualify(box, few, Context(bench=bench)).experiments
    assert [phase.phase for phase in experiment.phases] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert {row for row, _ in experiment.live_phases} == {0}


@pytest.mark.slow
def test_an_even_model_has_no_period(ask):
    (experiment,) = ask("even", "map", period="").experiments
    assert experiment.balanced
    assert len(experiment.phases) == 1


@pytest.mark.slow
def test_a_period_explains_what_differs_between_its_phases_alone(rng):
    """Rows of which every fourth is seen: 4 and 8 explain that, 1 and 2 do not. Of 200 flat ones 1 % are refused."""
    seen = np.tile([1.0, 0, 0, 0], 4) * rng.random((12, 1))
    assert [explains(seen, period, rng) for period in (1, 2, 4, 8)] == [False, False, True, True]
    flat = sum(not explains((rng.random((8, 16)) < 0.5).astype(float), 1, rng) for _ in range(200))
    assert flat <= 8  # with probability 1e-3 more, at 1 %


@pytest.mark.parametrize("kind", [Score, Map])
def test_a_class_of_numbers_is_no_word(kind):
    with pytest.raises(ValueError, match=r"`target` \(='cat'\) must be a number"):
        kind(target="cat")


@pytest.mark.parametrize(("shape", "fits"), [((2, 32), True), ((2, 33), False), ((33, 2), False)])
def test_a_map_has_about_the_shape_of_the_picture(shape, fits):
    """At most 16 times as many pixels to its rows as to its columns, or the reverse."""
    still = np.zeros(1, dtype=int)
    asked = Asked(place=np.zeros((1, 2), dtype=int), extent=(1, 1), shape=(64, 64), truth=still, twin=still)
    if fits:
        assert Map().evidence(torch.ones(1, *shape), asked, None).tolist() == [1.0]
        return
    with pytest.raises(UsageError, match="no map of it"):
        Map().evidence(torch.ones(1, *shape), asked, None)
