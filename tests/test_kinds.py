"""Kinds: a table is the one place that names one, and anybody's object goes by its own name."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from perturb import contribution, evaluators, perturbations, quantities, tasks
from perturb.cli import main
from perturb.cli.schema import of_suite
from perturb.errors import UsageError
from perturb.kinds import complaint, load_kind, near
from perturb.report import from_json
from perturb.suite import load_suite

ROOMS = {"perturbation": perturbations, "evaluator": evaluators, "quantity": quantities, "task": tasks}
EXAMPLE = Path(__file__).parents[1] / "examples" / "custom.perturb.toml"
NET = """
import torch
from torch import nn
from perturb import Preprocessing

def net():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1))
    return module, Preprocessing(input_shape=(3, 64, 64))
"""


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_every_kind_loads_and_says_what_it_is(room):
    for name in room.KINDS:
        assert load_kind(name, room.KINDS).words, name


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("pixel", ""),
        ("package.module:Class", ""),
        ("folder/file.py:Class", ""),
        (
            "pixle",
            f"is unknown, expected one of {[*perturbations.KINDS]} or package.module:Name. Did you mean 'pixel'?",
        ),
        ("os.system", "is unknown"),
        ("a:b:c", "is unknown"),
        ("module:with space", "is unknown"),
    ],
)
def test_complaints(kind, fault):
    found = complaint(kind, perturbations.KINDS)
    assert found.startswith(fault) if fault else not found


def test_near_suggests_only_what_is_close():
    assert near("energi", ["energy", "target"]) == " Did you mean 'energy'?"
    assert near("zzz", ["energy", "target"]) == ""


def test_the_schema_of_a_suite_holds_every_kind_and_anybodys():
    """`perturb schema` is derived from the tables, so an editor completes what the tables name."""
    definitions = json.loads(json.dumps(of_suite()))["$defs"]
    kinds = definitions["PerturbationTable"]["properties"]["kind"]["anyOf"]
    assert kinds[0]["enum"] == list(perturbations.KINDS)
    assert "pattern" in kinds[1]
    assert definitions["ClaimTable"]["properties"]["quantity"]["anyOf"][0]["enum"] == list(quantities.KINDS)
    assert definitions["TaskTable"]["properties"]["kind"]["enum"] == list(tasks.KINDS)
    maps = definitions["MapTable"]["properties"]["kind"]["enum"]
    assert set(maps) == set(contribution.KINDS) - {"centre"}


def test_a_missing_object_is_one_line(tmp_path):
    for reference, words in (
        ("nothing.py:Ring", "there is no file `nothing.py`"),
        ("math:Ring", "`math` has no `Ring`"),
    ):
        with pytest.raises(UsageError, match=words):
            load_kind(reference, perturbations.KINDS, tmp_path)


@pytest.mark.slow
def test_a_strangers_perturbation_evaluator_and_quantity(tmp_path, monkeypatch):
    """Named in a suite, found beside its file, run from elsewhere: their words and options reach the report."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    result = CliRunner().invoke(main, ["qualify", "net.py:net", "--suite", str(EXAMPLE), "--out", "run"])
    assert result.exit_code in (0, 1, 3), result.output
    report = from_json((tmp_path / "run" / "report.json").read_text())
    (experiment,), (finding,) = report.experiments, report.findings
    assert (experiment.thing, experiment.perturbation) == ("a short scratch", "Scratch(size=4)")
    assert experiment.evaluator == "custom.py:Entropy"
    assert [m.name for m in experiment.measures] == ["detected", "told-apart", "move"]
    assert finding.effect.words == "how much less the output moves at dead places"
    assert finding.effect.value == pytest.approx(experiment.measures[2].difference.value)
    assert "a short scratch" in (tmp_path / "run" / "report.html").read_text()
    assert load_suite(str(EXAMPLE)).evaluator.model_extra == {"temperature": 2.0}


def test_the_example_stays_small():
    code = EXAMPLE.with_suffix("").with_suffix(".py").read_text().splitlines()
    assert len(code) <= 50
    assert sum(1 for line in code if line.strip() and not line.startswith(('"""', "perturb "))) <= 40
