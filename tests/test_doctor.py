"""`perturb doctor`: what is missing or amiss, what to do about it, and whether perturb can work."""

import re
import tomllib
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from packaging.requirements import Requirement

from perturb import machine
from perturb.cli import main
from perturb.comparisons import Sign
from perturb.errors import InputError
from perturb.model import libraries
from perturb.render.doctor import signs
from perturb.stories import doctor

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(machine.UNDER_UV, raising=False)
    return tmp_path


def examined(folder=Path(".perturb")):
    return {sign.name: sign for sign in doctor.examine(Path(folder), 3 * 2**30)}


def test_a_machine_that_works(here):
    """Exit code 0, one line each, and nothing is left behind."""
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0, done.output
    names = [line[2:].split("  ")[0].strip() for line in done.output.splitlines()[:-1]]
    assert {"Python", "byte code", "libraries", "torch", "threads", "torchvision", "memory", "history"} <= set(names)
    assert len(names) == len(set(names))
    assert torch.__version__ in done.output
    assert not [*here.iterdir()]


def test_extras_are_those_of_the_project(here):
    """Each has a line: what is installed, or the command that installs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = examined()
    assert {f"[{name}]" for name in project["optional-dependencies"]} == {name for name in found if name[0] == "["}
    for name in project["optional-dependencies"]:
        sign = found[f"[{name}]"]
        assert (sign.todo == f"pip install 'perturb-suite[{name}]'") == (sign.state == "missing")


def test_what_an_extra_needs(monkeypatch):
    """Markers of Python's version count, and so do versions."""
    lines = ("a>=1", 'b>=2; extra == "x"', 'c; python_version < "3" and extra == "x"', 'd; extra == "y"')
    monkeypatch.setattr(machine, "requires", lambda _: lines)
    needed = {name: [one.name for one in some] for name, some in machine.requirements().items()}
    assert needed == {"": ["a"], "x": ["b"], "y": ["d"]}
    monkeypatch.setattr(machine, "version", lambda name: "1.5")
    assert machine.unmet(Requirement("b>=2")) == "b is 1.5, wanted >=2"
    assert machine.unmet(Requirement("b>=1.5")) == ""
    monkeypatch.undo()
    assert machine.unmet(Requirement("no-such-package")) == "no-such-package is missing"


@pytest.mark.parametrize(
    ("compiled", "forbidden", "writable", "state"),
    [
        (True, True, True, "works"),
        (False, True, True, "act"),
        (False, False, True, "works"),
        (False, False, False, "act"),
    ],
)
def test_libraries_that_each_process_compiles_anew(here, monkeypatch, compiled, forbidden, writable, state):
    spec = spec_from_file_location("lib", here / "site/lib/__init__.py")
    spec.cached = str(here / "lib.pyc")
    if compiled:
        Path(spec.cached).touch()
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(doctor.sys, "dont_write_bytecode", forbidden)
    monkeypatch.setattr(doctor.os, "access", lambda path, how: writable)
    sign = {sign.name: sign for sign in doctor._python()}["byte code"]
    assert sign.state == state
    assert (f"python -m compileall -q {here / 'site'}" in sign.todo) == (state == "act")
    assert ("PYTHONDONTWRITEBYTECODE is set" in sign.found) == (state == "act" and forbidden)


def test_a_history_that_cannot_be_written_wants_something_done(here):
    (here / "file").touch()
    sign = examined("file/history")["history"]
    assert sign.state == "act"
    assert "runs are measured and not kept" in sign.found


def test_little_room_wants_something_done(here, monkeypatch):
    """Less than a GiB."""
    for free, state in ((2**30, "works"), (2**30 - 1, "act")):
        monkeypatch.setattr(doctor, "free_bytes", lambda folder, free=free: free)
        found = examined()
        assert found["history"].state == found["scratch"].state == state


def test_more_threads_than_processors(here, monkeypatch):
    for there, state in ((torch.get_num_threads(), "works"), (torch.get_num_threads() - 1, "act")):
        monkeypatch.setattr(doctor, "processors", lambda there=there: there)
        assert examined()["threads"].state == state


@pytest.mark.parametrize(("value", "told"), [(None, False), ("0", False), ("1", True)])
def test_ray_that_repeats_uv_run(value, told):
    found = [*doctor._ray({} if value is None else {machine.UNDER_UV: value})]
    assert [sign.state for sign in found] == ["act"] * told


def test_without_torchvision_it_cannot_work(here, monkeypatch):
    """That comes first, and the exit code says so."""

    def broken():
        raise InputError("torchvision does not import beside torch")

    monkeypatch.setattr(libraries, "import_torchvision", broken)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 4
    assert re.match(r"✗ torchvision +torchvision does not import beside torch\n", done.output)


def test_what_wants_something_done_comes_first(here, monkeypatch):
    monkeypatch.setenv(machine.UNDER_UV, "1")
    states = [sign.state for sign in doctor.examine(Path("h"), None)]
    assert states == sorted(states, key=["broken", "act", "works", "missing"].index)
    shown = signs([Sign(name="a", state="act", found="b", todo="c")]).plain
    assert shown.startswith("! a  b: c\n")
