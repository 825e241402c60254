"""Reports that are read: those of every schema, and none whose numbers contradict each other."""

import json
from pathlib import Path

import pytest
from toyruns import KEPT, REPORT

from perturb.errors import InputError
from perturb.files import encode
from perturb.records import Remedy, Verdict
from perturb.report import Sample, from_json

PUBLISHED = sorted((Path(__file__).parents[1] / "reports").glob("*/*.json"))
TEXT = encode(REPORT)


def changed(*path_and_value):
    *path, last, value = path_and_value
    data = json.loads(TEXT)
    del data["digest"]
    data["schema"] = 3  # of which no digest is asked
    place = data
    for part in path:
        place = place[part]
    place[last] = value
    return json.dumps(data)


def test_every_part_is_a_record():
    """Every published report is read, remedies and all, and survives being written by this version."""
    assert REPORT.images.judged == Sample(
        photographs=REPORT.images.judged.photographs, crops=REPORT.images.judged.crops
    )
    assert len(REPORT.model.input_shape) == 3
    assert isinstance(REPORT.model.input_shape, tuple)
    found = {path: from_json(path.read_text(encoding="utf-8"), path) for path in PUBLISHED}
    for report in found.values():
        assert from_json(encode(report)) == report
    kinds = {report.model.remedy.kind for report in found.values() if isinstance(report.model.remedy, Remedy)}
    assert "padding" in kinds


def test_figures_are_no_field_of_the_file():
    with pytest.raises(InputError, match=r"figures: is not a field"):
        from_json(changed("figures", None))


EFFECT = ("findings", 0, "effect")
EFFECT_OF_1 = json.loads(TEXT)["findings"][1]["effect"]
RATE = ("experiments", 0, "measures", 0, "dead")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((*EFFECT, "value", 1.5), "findings.0.effect: expected low <= value <= high, got"),
        ((*EFFECT, "low", 2.0), "findings.0.effect: expected low <= value <= high, got"),
        ((*EFFECT, "high", -2.0), "findings.0.effect: expected low <= value <= high, got"),
        ((*EFFECT, "n", -1), "findings.0.effect.n: expected at least 0, got -1"),
        ((*EFFECT, "confidence", 95), "findings.0.effect.confidence: expected a number within 0 and 1, got 95"),
        ((*RATE, "value", -0.5), "experiments.0.measures.0.dead: expected low <= value <= high"),
        ((*RATE, "high", 1.5), "experiments.0.measures.0.dead.high: expected a number within 0 and 1, got 1.5"),
        ((*RATE, "trials", -3), "experiments.0.measures.0.dead.trials: expected at least 0, got -3"),
        (("experiments", 0, "level", 2), "experiments.0.level: expected a number within 0 and 1, got 2"),
        (("map", "dead_share", -0.1), "map.dead_share: expected a number within 0 and 1, got -0.1"),
        (("images", "judged", "crops", -1), "images.judged.crops: expected at least 0, got -1"),
        (("verdict", "PASS"), "verdict: PASS, but the findings and controls make it INCONCLUSIVE"),
        (("controls", 0, "passed", False), "verdict: INCONCLUSIVE, but the findings and controls make it INVALID"),
        (("findings", []), "verdict: INCONCLUSIVE, but the findings and controls make it INVALID"),
        (("model", "remedy", {"kind": "padding"}), "model.remedy.weights: is missing"),
        (("provenance", "versions", {"torch": 2}), "provenance.versions.torch: expected text, got 2"),
        (("model", "input_shape", [3, 8]), "model.input_shape.2: is missing"),
        (("model", "input_shape", [3, 0, 8]), "model.input_shape: expected at least 1, got 0"),
        (("model", "parameters", -1), "model.parameters: expected at least 0, got -1"),
        (("provenance", "seed", -1), "provenance.seed: expected at least 0, got -1"),
        (("map", "period", 0), "map.period: expected at least 1, got 0"),
        (("map", "imbalance", 0.5), "map.imbalance: expected at least 1, got 0.5"),
        (("map", "phases", []), "map.phases: expected rows of one length"),
        (("map", "phases", [[1.0], [1.0, 1.0]]), "map.phases: expected rows of one length"),
        (("map", "phases", [[-1.0]]), "map.phases: expected at least 0, got -1"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(change, words):
    with pytest.raises(InputError) as told:
        from_json(changed(*change), "run/report.json")
    assert str(told.value).startswith(f"`run/report.json`: {words}")


def test_a_miss_rate_is_a_share():
    effect = {"quantity": "miss-rate", "value": -0.5, "low": -0.6, "high": -0.4}
    text = changed(*EFFECT, json.loads(TEXT)["findings"][0]["effect"] | effect)
    with pytest.raises(InputError, match=r"effect\.value: expected a number within 0 and 1, got -0\.5"):
        from_json(text)


def test_the_worst_finding_is_the_verdict():
    """A PASS over a FAIL is refused, the FAIL itself is read."""
    fails = {"verdict": "FAIL", "effect": EFFECT_OF_1 | {"value": 0.5, "low": 0.4, "high": 0.6}}
    text = changed("findings", 1, json.loads(TEXT)["findings"][1] | fails)
    with pytest.raises(InputError, match="INCONCLUSIVE, but the findings and controls make it FAIL"):
        from_json(text)
    assert from_json(json.dumps(json.loads(text) | {"verdict": "FAIL"})).verdict == Verdict.FAIL


@pytest.mark.parametrize(
    ("verdict", "low", "high", "words"),
    [
        ("PASS", 0.05, 0.15, "PASS, but by its numbers INCONCLUSIVE: the interval contains 0.1"),
        ("PASS", 0.2, 0.3, "PASS, but by its numbers FAIL: the whole interval lies above 0.1"),
        ("FAIL", 0.05, 0.15, "FAIL, but by its numbers INCONCLUSIVE"),
        ("FAIL", 0.0, 0.05, "FAIL, but by its numbers PASS"),
        ("INCONCLUSIVE", 0.2, 0.3, "INCONCLUSIVE, but by its numbers FAIL"),
    ],
)
def test_a_verdict_follows_from_its_numbers(verdict, low, high, words):
    effect = EFFECT_OF_1 | {"value": (low + high) / 2, "low": low, "high": high}
    finding = json.loads(TEXT)["findings"][1] | {"verdict": verdict, "effect": effect}
    with pytest.raises(InputError, match=rf"findings\.1\.verdict: {words}"):
        from_json(changed("findings", 1, finding))


def test_a_report_of_schema_1_gets_what_it_lacks():
    """The kept one has rates and choices in place of measures, no training and no engine."""
    old = json.loads((KEPT / "report-1/report.json").read_text())["experiments"][0]
    detected, told_apart = REPORT.experiments[0].measures
    assert (detected.name, told_apart.name) == ("detected", "told-apart")
    assert detected.clean is not None
    assert detected.clean.value == old["rates"]["clean"]["value"]
    assert told_apart.live.value == old["two_afc"]["live"]["value"]
    assert REPORT.experiments[0].thing == "one changed pixel"
    assert REPORT.findings[0].effect.words == "accuracy lost at dead places"
    assert "engine" not in (KEPT / "report-1/report.json").read_text()
    assert REPORT.experiments[0].engine == "dense"
