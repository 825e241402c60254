"""Objects that a user names: files beside what names them, modules, and one line for what fails."""

import subprocess
import sys

import pytest

from perturb.code import load_object
from perturb.errors import InputError, UsageError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A current folder, and the folder of the file that names the code."""
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder in (here, beside):
        folder.mkdir()
        (folder / "own.py").write_text(f"WHERE = {folder.name!r}")
        (folder / f"only_{folder.name}.py").write_text("from dataclasses import dataclass\nWHERE = __file__")
    monkeypatch.chdir(here)
    return here, beside


def test_a_file_is_looked_for_beside_what_names_it_first(folders):
    _, beside = folders
    assert load_object("own.py:WHERE") == "here"
    assert load_object("own.py:WHERE", beside) == "beside"
    assert load_object("only_here.py:WHERE", beside).endswith("here/only_here.py")
    assert load_object(f"{beside}/own.py:WHERE") == "beside"


def test_modules_of_both_folders_and_of_packages_can_be_named(folders):
    _, beside = folders
    before = list(sys.path)
    for name in ("only_here", "only_beside"):
        assert load_object(f"{name}:WHERE", beside).endswith(f"{name}.py")
        del sys.modules[name]
    assert load_object("collections.abc:Mapping").__name__ == "Mapping"
    assert sys.path == before


def test_a_file_imports_its_neighbours(folders):
    """As when it is run: wherever the current folder is, and without a trace in the search path."""
    _, beside = folders
    (beside / "outer.py").write_text("from neighbour_of_outer import DEPTH")
    (beside / "neighbour_of_outer.py").write_text("DEPTH = 2")
    before = list(sys.path)
    assert load_object(f"{beside}/outer.py:DEPTH") == 2
    assert sys.path == before


@pytest.mark.parametrize(
    ("reference", "kind", "words"),
    [
        ("own.py", UsageError, "expected file.py:NAME or package.module:NAME"),
        ("own.py:", UsageError, "expected file.py:NAME"),
        ("absent.py:WHERE", UsageError, "no file `absent.py`"),
        ("own.py:absent", UsageError, "`own.py` has no `absent`"),
        ("no.such.package:WHERE", UsageError, "cannot be imported: No module named 'no'"),
        ("broken.py:WHERE", InputError, "`broken.py` raised ZeroDivisionError on import: division by zero"),
        ("wants.py:WHERE", UsageError, "cannot be imported: No module named 'no_such'"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(folders, reference, kind, words):
    here, _ = folders
    (here / "broken.py").write_text("1 / 0")
    (here / "wants.py").write_text("import no_such")
    known = set(sys.modules)
    with pytest.raises(kind, match=words) as raised:
        load_object(reference)
    assert "\n" not in str(raised.value)
    assert not {name for name in set(sys.modules) - known if name.startswith(("broken", "wants"))}


def test_it_costs_no_torch():
    code = "import sys, perturb.code, perturb.contribution as c; assert set(c.KINDS); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
