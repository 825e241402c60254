"""Every snippet of README and docs is tried: suites and commands by the real parsers, Python by running it."""

import ast
import importlib
import importlib.util
import re
import shlex
import sys
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from types import ModuleType

import click
import numpy as np
import pytest
import torch
from snippets import ROOT, blocks, commands, parse

import perturb
from perturb.model.reference import parsed
from perturb.plugin.options import OPTIONS
from perturb.shipped import shipped
from perturb.suite import Suite, parse_suite

STANDS_FOR = {  # words that stand for the reader's own
    "models": {"MODEL", "A", "B", "C", "..."},
    "suites": {"NAME", "suite.toml"},
}
NOT_PARSED = {"perturb COMMAND --help": "stands for every command", "perturb tiles --measure": "names an option"}
NOT_RUN = {  # their names are checked
    "tiles.md:1": "looks for words on pages, for minutes",
    "api.md:0": "measures ResNet-18, for a minute",
    "runs.md:1": "measures a network, for a minute",
}
SLOW = {"howto-inspection.md:0"}  # draws 60 pictures
A_CHECK = {"name": "speck", "perturbation": {"kind": "box"}, "claim": {"at_most": 0.1}}
CALLS = [(page, call) for page, call in commands() if call.startswith("perturb ") and call not in NOT_PARSED]
OTHERS = [(page, call) for page, call in commands() if not call.startswith("perturb ")]
PYTHON = [block for block in blocks("python") if block.page != "dead-pixels.md"]  # a doctest: tests/test_docs.py


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_suites_and_their_tables_are_read(block):
    """A part of a suite is completed with a name and the checks that it speaks of."""
    given = tomllib.loads(block.text)
    if "name" in given and "check" in given:
        assert parse_suite(block.text, f"{block}").check
        return
    checks = [A_CHECK | {"name": name} for name in given.get("expected-failures", {"speck": ""})]
    assert Suite.model_validate({"name": "part", "check": checks} | given)


def test_a_block_of_toml_says_so():
    unsaid = [str(block) for block in blocks("") if re.search(r"^\[+[a-z-]+\]+$", block.text, re.M)]
    assert unsaid == []


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}:{call}" for page, call in CALLS])
def test_commands_have_their_options(page, call):
    """click parses the words; suites, models and files of the repository exist."""
    try:
        values = parse(call).params
    except click.MissingParameter:
        assert re.fullmatch(r"perturb( [a-z]+)+", call), "only a sentence names a command without its arguments"
        return
    for suite in [values.get("suite")] if values.get("suite") else []:
        assert suite in shipped() or (ROOT / suite).is_file() or _own(suite) or suite in STANDS_FOR["suites"]
    models = values.get("models") or ([values["model"]] if values.get("model") else [])
    for model in set(models) - STANDS_FOR["models"]:
        _, name = parsed(model)
        assert not model.startswith("examples/") or re.search(
            rf"^def {name}\(", (ROOT / model[: -len(name) - 1]).read_text(), re.M
        )


def _own(suite: str) -> bool:
    """A suite of the reader's: its folder is not ours, and it is named as suites are."""
    return suite.endswith(".perturb.toml") and "/" not in suite


@pytest.mark.parametrize(("page", "call"), OTHERS, ids=[f"{page}:{call}" for page, call in OTHERS])
def test_files_and_options_of_other_commands_exist(page, call):
    program, *words = shlex.split(call)
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    if program == "pytest":
        assert {name for name in options if name.startswith("--perturb")} <= {f"--perturb-{o.name}" for o in OPTIONS}
    elif words[0] == "-m":
        assert importlib.util.find_spec(words[1])
    else:
        text = (ROOT / words[0]).read_text(encoding="utf-8")
        assert all(f'"{option}"' in text for option in options)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_names_what_exists(block):
    """Each block is Python; what it imports from perturb, or takes from it, is there."""
    inside = "\n".join(f"    {line}" for line in block.text.splitlines())
    for node in ast.walk(ast.parse(f"def snippet():\n{inside}")):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "perturb":
            home = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(home, alias.name)]
            assert all(importlib.util.find_spec(f"{node.module}.{name}") for name in missing)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "perturb":
            assert node.attr in perturb.__all__ or block.page == "pytest.md"  # there `perturb` is a fixture


NET = """
import torch
from perturb import Preprocessing

def build():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.ReLU()), Preprocessing(input_shape=(3, 32, 32))
"""


def test_the_class_and_the_function_of_the_page_on_own_objects_work(folder):
    """As its suite names them: a smudge is darker within its square alone; the function reads its picture's map."""
    from perturb.model import load
    from perturb.plan import evaluator_for, perturbation_for
    from perturb.protocols import Asked

    (code,) = [block.text for block in PYTHON if block.page == "howto-own-objects.md"]
    _, text = [block.text for block in blocks("toml") if block.page == "howto-own-objects.md"]
    (folder / "smudge.py").write_text(code)
    suite = parse_suite(text, "suite.toml")
    smudge = perturbation_for(suite.check[0].perturbation, folder)
    picture = np.ones((3, 32, 32), np.float32)
    changed = smudge.apply(picture, (4, 6), 0.25, np.random.default_rng(0))
    assert (changed != picture).sum() == 3 * 3 * 3
    assert changed[:, 4:7, 6:9].max() == 0.75
    network = load("net.py:build")
    evaluator = evaluator_for(suite.evaluator.kind, suite.evaluator, network, folder)
    maps = network.measure(torch.rand(2, 3, 32, 32))
    places = np.array([[1, 2], [3, 4]])
    asked = Asked(place=places, extent=(3, 3), shape=(32, 32), truth=np.zeros(2, int), twin=np.arange(2))
    assert evaluator.evidence(maps, asked, None)[1] == pytest.approx(float(maps[1, 0, 3:12, 4:13].mean()))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a reader is: a network, a kept run, the repository's examples; MLflow where it is not installed."""
    from toyruns import a_run

    from perturb.runs import encode

    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "run").mkdir()
    run = a_run()
    for name, content in encode(replace(run, measured={"accuracy-loss": run.measured["pixel"]})).items():
        (tmp_path / "run" / name).write_bytes(content)
    mlflow = ModuleType("mlflow")
    mlflow.start_run = lambda tags: nullcontext()
    mlflow.log_metrics = lambda found: mlflow.logged.update(found)
    mlflow.log_artifacts = lambda there: mlflow.logged.update({there: 1})
    mlflow.logged = {}
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, marks=[pytest.mark.slow] * (str(block) in SLOW), id=str(block))
        for block in PYTHON
        if str(block) not in NOT_RUN
    ],
)
def test_python_runs(block, folder):
    """With the names that the page has spoken of."""

    names = {"perturb": perturb, "open_session": str, "read": len, "pytest": pytest}
    text = re.sub(r"^return ", "answer = ", block.text, flags=re.M)
    exec(compile(text, str(block), "exec"), names)
