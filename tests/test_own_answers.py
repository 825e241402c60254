"""Every evaluator of a model's own answer: a blind lattice is found, an even one passes, a constant never does."""

import numpy as np
import pytest
import torch
from toyanswers import PREPROCESSING, model

from perturb import qualify
from perturb.errors import InputError, UsageError
from perturb.evaluators.map import Map
from perturb.evaluators.score import Score
from perturb.model import BlackBox
from perturb.protocols import Asked
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


def test_what_the_users_function_raises_is_one_line(ask, tmp_path):
    (tmp_path / "own.py").write_text(OWN.replace("answer.own", "answer.nothing"))
    with pytest.raises(InputError, match=r"strongest\(\) raised AttributeError"):
        ask("even", "own")
