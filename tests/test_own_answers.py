"""Every evaluator of a model's own answer: a blind lattice is found, an even one passes, a constant never does."""

import pytest
from toyanswers import PREPROCESSING, model

from perturb import qualify
from perturb.errors import InputError, PerturbError
from perturb.model import BlackBox
from perturb.records import Verdict
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
source = "{images}"
count = 44
[design]
kind = "{design}"
[map]
kind = "response"
period = 2
share = 0.25
[evaluator]
{table}
{more}
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
pairs = 4
claim = {{ at_most = 0.2 }}
"""
OWN = """
def strongest(answer, row, column):
    return answer.own
def dark(shape, rng):
    return rng.random(shape, dtype="float32") * 0.1
"""


@pytest.fixture
def ask(tmp_path):
    (tmp_path / "own.py").write_text(OWN)

    def asked(eye, answer, *, design="object", more=""):
        text = SUITE.format(images="own.py:dark", design=design, table=TABLES[answer], more=more)
        suite = parse_suite(text, str(tmp_path / "s.perturb.toml"))
        box = BlackBox(model(eye, answer), name=f"{eye}-{answer}", preprocessing=PREPROCESSING)
        return qualify(box, suite)

    return asked


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


@pytest.mark.parametrize("design", ["object", "picture"])
@pytest.mark.parametrize("answer", TABLES)
def test_an_even_lattice_passes(ask, answer, design):
    report = ask("even", answer, design=design)
    (experiment,) = report.experiments
    assert report.verdict == Verdict.PASS, report.findings[0].reason
    assert 0.5 < experiment.detected.live.value < 1


@pytest.mark.parametrize("given", ["", "threshold = 0.5"])
@pytest.mark.parametrize("eye", ["nothing", "everything"])
@pytest.mark.parametrize("answer", TABLES)
def test_a_constant_answer_never_passes(ask, answer, eye, given):
    """Nothing anywhere, or something everywhere: no loss is measured, and none could have been."""
    if eye == "nothing" or not given:
        with pytest.raises(InputError, match="nothing was reported at any phase"):
            ask(eye, answer, more=given)
        return
    report = ask(eye, answer, more=given)
    assert (report.verdict, report.findings[0].effect.saturated) == (Verdict.INCONCLUSIVE, "floor")


def test_the_response_is_told_by_phase_with_its_interval(ask):
    """Rows and columns of a 2 x 2 lattice: objects are reported on even ones, and on no others."""
    (experiment,) = ask("blind", "boxes").experiments
    assert [phase.phase for phase in experiment.phases] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    seen, *unseen = (phase.rate for phase in experiment.phases)
    assert seen.value > 0.9  # half of all are reported at no level, so the highest was taken
    assert [rate.value for rate in unseen] == [0, 0, 0]
    assert unseen[0].high < 0.4
    assert unseen[0].n == 18


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


def test_maps_and_boxes_have_a_free_response_table(ask):
    table = ask("even", "map").experiments[0].free_response
    assert [row.false_alarms for row in table] == [0.25, 0.5, 1, 2, 4, 8]
    thresholds = [row.threshold for row in table]
    assert thresholds == sorted(thresholds, reverse=True)
    assert all(row.measured <= row.false_alarms for row in table)
    assert table[-1].live.value >= table[0].live.value
    assert ask("even", "score").experiments[0].free_response == ()


def test_a_lattice_of_rows_is_measured_by_row(tmp_path):
    """A function that drops every second row: columns are not asked about, and the picture moves down alone."""
    (tmp_path / "own.py").write_text(OWN)
    text = SUITE.format(images="own.py:dark", design="picture", table=TABLES["map"], more="")
    text = text.replace("period = 2", "period = [2, 1]").replace("share = 0.25", "share = 0.5")
    suite = parse_suite(text, str(tmp_path / "s.perturb.toml"))
    box = BlackBox(lambda x: {"anomaly_map": x[:, :, ::2]}, name="rows", preprocessing=PREPROCESSING)
    (experiment,) = (report := qualify(box, suite)).experiments
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
def test_what_does_not_go_with_an_answer_is_one_line(tmp_path, table, words):
    suite = parse_suite(SUITE.format(images="noise", design="object", table=table, more=""), "s.toml")
    box = BlackBox(model("even", "map"), name="heat", preprocessing=PREPROCESSING)
    with pytest.raises(PerturbError, match=words):
        qualify(box, suite)
