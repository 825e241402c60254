"""What other people's tools call: the GitHub action, the hook of pre-commit, and completion in the shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from perturb.cli import main

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
FAKE = """#!/bin/sh
echo "$@" >> called
[ "$1" = summary ] && echo "of $2" && exit 0
[ "$CODE" = 4 ] && exit 4
mkdir -p "$OUT" && touch "$OUT/report.json"
exit "$CODE"
"""
NET = """
from torch import nn
from perturb import Preprocessing
def build(): return nn.Conv2d(3, 4, 3, 2), Preprocessing(input_shape=(3, 16, 16))
"""


def steps(folder, code, **given):
    """Run the action's scripts as a runner does, with a perturb that ends with `code`; their exit codes by name."""
    (folder / "bin").mkdir()
    (folder / "bin/perturb").write_text(FAKE)
    (folder / "bin/perturb").chmod(0o755)
    inputs = {name: each.get("default", "") for name, each in ACTION["inputs"].items()} | given
    output, ended = folder / "output", {}
    output.touch()
    for step in (step for step in ACTION["runs"]["steps"] if "run" in step):
        known = {f"inputs.{name}": value for name, value in inputs.items()}
        known["steps.qualify.outputs.exit-code"] = dict(line.split("=") for line in output.read_text().split()).get(
            "exit-code", ""
        )
        env = {name: known[value.strip("${} ")] for name, value in step.get("env", {}).items()}
        env = {"CODE": str(code)} | env | {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
        env |= {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "GITHUB_ACTION_PATH": "unused"}
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=folder, env=env, check=False)
        ended[step["name"]] = done.returncode
    return ended


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_the_action_ends_with_the_exit_code(tmp_path, code):
    """Its last step does, when the summary is written and the report kept; without a report the summary says so."""
    ended = steps(tmp_path, code, model="my net.py:build", suite="smoke")
    assert ended.pop("Verdict") == code
    assert set(ended.values()) == {0}
    called = (tmp_path / "called").read_text().splitlines()
    assert called[0] == "qualify my net.py:build --suite smoke --out perturb-run"
    summary = (tmp_path / "summary").read_text()
    assert summary == (
        "of perturb-run\n" if code != 4 else "perturb qualify wrote no report: exit code 4, see the log.\n"
    )


def test_the_action_compares_with_a_baseline(tmp_path):
    steps(tmp_path, 0, model="m", suite="s", baseline="a b.json", out="o")
    called = (tmp_path / "called").read_text().splitlines()
    assert called == ["qualify m --suite s --baseline a b.json --out o", "summary o"]


def test_every_input_of_the_action_is_used():
    used = [value for step in ACTION["runs"]["steps"] for value in (step.get("env") or step["with"]).values()]
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} <= set(used)


def test_the_hook_fails_beyond_its_bound(tmp_path, monkeypatch):
    """3 x 3 at stride 2: the phase that four windows read has 4 times what that of one has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    program, *words = HOOK["entry"].split()
    assert program == "perturb"
    assert not HOOK["pass_filenames"]
    for bound, code in ((4, 0), (3.9, 1)):
        done = CliRunner().invoke(main, [*words, "net.py:build", "--at-most", str(bound)])
        assert done.exit_code == code, done.output
    assert "FAIL: max/min over the phases is 4, wanted at most 3.9." in done.output


def completed(*words):
    """What bash is given for the last of these words, and whether NumPy or torch was loaded for it."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom perturb.cli import main\n"
        "done = CliRunner().invoke(main, prog_name='perturb', complete_var='_PERTURB_COMPLETE')\n"
        "print(done.output, end='')\nsys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    asked = {"_PERTURB_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_shell_completes_without_torch():
    assert completed("perturb", "qua") == ["plain,qualify"]
    assert completed("perturb", "qualify", "--suite", "smo") == ["file,smo", "plain,smoke"]
    assert completed("perturb", "lint", "on") == ["file,on", "plain,onnx:"]
