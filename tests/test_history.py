"""The store under writers, killers and damage."""

import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from toyruns import a_run

from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.history import INDEX, collect_garbage, entries, keep, load, rebuild, trend
from perturb.runs import encode, identify, read
from perturb.writing import PARTIAL, beside

# Writers are forked from one process of their own, which has loaded what they need and runs no threads but theirs.
FORKED = f"""
import multiprocessing, os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from toyruns import a_run
from perturb.history import entries, keep
from perturb.runs import encode
history, fork = Path(sys.argv[1]), multiprocessing.get_context("fork")
files = encode(a_run())

def write(name, count, told, start):
    start.wait()
    for i in range(count):
        run = keep(files | {{"trials.npz": files["trials.npz"] * 20 + f"{{name}} {{i}}".encode()}}, history)
        os.write(told, f"{{run}}\\n".encode())
        entries(history)
"""
SIXTEEN = """
start = fork.Barrier(16)
writers = [fork.Process(target=write, args=(i, 3, 1, start)) for i in range(16)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
    assert writer.exitcode == 0
"""
KILLED = """
moments, before = random.Random(0), time.perf_counter()
write("unharmed", 5, 1, fork.Barrier(1))
each = (time.perf_counter() - before) / 5
for i in range(50):
    writer = fork.Process(target=write, args=(i, 1000, 1, fork.Barrier(1)))
    writer.start()
    time.sleep(moments.uniform(0, 2) * each)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    if list(history.glob(".perturb-*.partial")):
        os.write(1, b"half-way\\n")
"""


def said_by(script, history):
    """The digests that the script's writers said were kept."""
    done = subprocess.run([sys.executable, "-c", FORKED + script, history], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def a_file_set(command, day=1):
    return encode(a_run(command=command, timestamp=f"2026-01-{day:02}T00:00:00+00:00"))


def test_a_kept_run_is_found_by_the_beginning_of_its_digest(tmp_path):
    files = a_file_set("one")
    run = keep(files, tmp_path)
    assert run == identify(files)
    assert read(tmp_path / "runs" / run) == files
    found, loaded = load(run[:6], tmp_path)
    assert found == run
    assert encode(loaded) == files
    assert keep(files, tmp_path) == run
    assert len(entries(tmp_path)) == 1
    assert not list(tmp_path.glob(PARTIAL))
    for nothing in ("0" * 64, ""):
        with pytest.raises(UsageError, match=r"nor one run in .* \(0 begin so\)"):
            load(nothing, tmp_path)


def test_git_does_not_see_it(tmp_path):
    keep(a_file_set("one"), tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*\n"


@pytest.mark.slow
def test_sixteen_writers_at_once_lose_nothing(tmp_path):
    said = said_by(SIXTEEN, tmp_path)
    assert len(set(said)) == 48
    assert {entry.run for entry in entries(tmp_path)} == set(said)
    for run in said:
        assert identify(read(tmp_path / "runs" / run)) == run


@pytest.mark.slow
def test_killed_at_50_random_moments_the_history_is_whole(tmp_path):
    """Whatever is under `runs` is whole, and what was said to be kept is there; some writers died half-way."""
    said = said_by(KILLED, tmp_path)
    assert "half-way" in said
    said = set(said) - {"half-way"}
    present = {path.name for path in (tmp_path / "runs").iterdir()}
    assert said <= present
    assert len(said) > 5
    keep(a_file_set("the next writer"), tmp_path)
    assert not list(tmp_path.glob(PARTIAL))
    present = {path.name for path in (tmp_path / "runs").iterdir()}
    for run in present:
        assert identify(read(tmp_path / "runs" / run)) == run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {entry.run for entry in entries(tmp_path)} == present


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"not a database, whatever its name says"),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE \x90ABLE")),  # is no UTF-8
        lambda path: sqlite3.connect(path).executescript("UPDATE runs SET entry = '{}'").connection.close(),
        lambda path: sqlite3.connect(path).executescript("UPDATE runs SET entry = 'x'").connection.close(),
        lambda path: path.unlink() or path.mkdir(),
    ],
)
def test_a_damaged_index_changes_nothing(tmp_path, damage):
    """It is rebuilt from the runs, or passed by, and said at most once."""
    for day in (1, 2, 3):
        keep(a_file_set("run", day), tmp_path)
    before = entries(tmp_path)
    damage(tmp_path / INDEX)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        assert entries(tmp_path) == before
    assert len(noted) <= 1
    if (tmp_path / INDEX).is_file():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert entries(tmp_path) == before


def test_a_damaged_run_is_named_and_never_read(tmp_path):
    keep(a_file_set("whole", 1), tmp_path)
    run = keep(a_file_set("damaged", 2), tmp_path)
    trials = tmp_path / "runs" / run / "trials.npz"
    trials.write_bytes(trials.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=f"run {run[:12]} .* is damaged"):
        load(run, tmp_path)
    (tmp_path / "runs" / run / "report.json").write_text("{}")
    with pytest.warns(PerturbWarning, match=f"damaged runs .*{run[:12]}"):
        assert len(rebuild(tmp_path)) == 1
    assert collect_garbage(tmp_path) == (0, 1)
    assert len(entries(tmp_path)) == 1


def test_garbage_is_what_killed_writers_left_and_what_is_not_among_the_newest(tmp_path):
    for day in range(1, 6):
        keep(a_file_set("run", day), tmp_path)
    (tmp_path / PARTIAL.replace("*", "killed")).mkdir()
    with beside(tmp_path) as living:
        assert collect_garbage(tmp_path, newest=2) == (1, 3)
        assert list(tmp_path.glob(PARTIAL)) == [living]
    assert [entry.timestamp[:10] for entry in entries(tmp_path)] == ["2026-01-04", "2026-01-05"]


def test_a_trend_is_a_series_for_each_check(tmp_path):
    for day in (2, 1, 3):
        keep(a_file_set("run", day), tmp_path)
    pixel, box = trend(entries(tmp_path))
    assert (pixel.check, box.check) == ("pixel", "box")
    assert [point.timestamp[:10] for point in pixel.points] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert {point.verdict for point in pixel.points} <= {"PASS", "FAIL", "INCONCLUSIVE"}


def test_an_empty_history(tmp_path):
    assert entries(tmp_path / "none") == []
    assert trend([]) == ()
    assert collect_garbage(tmp_path / "none") == (0, 0)
    assert not (tmp_path / "none").exists()
