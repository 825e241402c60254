"""Files are whole or absent, whatever the disk does and whenever the writer dies."""

import errno
import json
import multiprocessing
import os
import shutil

import pytest
from click.testing import CliRunner
from full_disk import Disk, contents, failing, refusals
from toyruns import KEPT, a_run

from perturb.cli import main
from perturb.cli.files import save
from perturb.errors import InputError, UsageError
from perturb.render import html
from perturb.runs import encode
from perturb.writing import PARTIAL, beside, check_writable, clean, held, write, write_together

OLD = {"mark": b"old", "a": b"old", "gone": b"old"}
NEW = {"mark": b"new", "a": b"new", "b": b"new"}


@pytest.fixture
def old(tmp_path):
    for name, data in (OLD | {"mine": b"the user's own"}).items():
        (tmp_path / name).write_bytes(data)
    return contents(tmp_path)


def put_new(folder):
    write_together(folder, NEW, without=["gone"])


def test_a_set_replaces_another_and_touches_nothing_else(tmp_path, old):
    put_new(tmp_path)
    assert contents(tmp_path) == NEW | {"mine": b"the user's own"}
    assert not list(tmp_path.glob(PARTIAL))


def refused(action, folder):
    try:
        action(folder)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("action", [put_new, lambda folder: write(folder / "mark", "new")])
def test_refused_at_any_step_the_earlier_files_stay(tmp_path, old, action, reason):
    def check(disk, said):
        assert contents(tmp_path) == old, disk.said
        assert os.strerror(reason) in said
        assert "\n" not in said
        assert not list(tmp_path.glob(PARTIAL)), disk.said

    count = refusals(lambda: refused(action, tmp_path), tmp_path, check, reason=reason)
    assert count > 5


def test_refused_for_good_the_next_writer_puts_the_earlier_files_back(tmp_path, old):
    """Also what was to be put back cannot be written; then the set is absent, and back with the next command."""

    def check(disk, said):
        absent = not (tmp_path / "mark").exists()
        assert absent or contents(tmp_path) == old, disk.said
        clean(tmp_path)
        assert contents(tmp_path) == old, disk.said
        assert not list(tmp_path.glob(PARTIAL))

    refusals(lambda: refused(put_new, tmp_path), tmp_path, check, lasting=True)


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_step_the_set_is_whole_or_absent(tmp_path, old, before):
    """A process of its own ends at the k-th step, without a word to anybody."""
    fork = multiprocessing.get_context("fork")
    seen = set()
    for k in range(1, 100):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        for name, data in old.items() if before else ():
            (tmp_path / name).write_bytes(data)
        writer = fork.Process(target=_dying_at, args=(k, tmp_path))
        writer.start()
        writer.join()
        found = contents(tmp_path)
        if "mark" in found:
            assert {n: found[n] for n in found.keys() - {"mine", "gone"}} in (NEW, {"mark": b"old", "a": b"old"}), k
        seen.add(found.get("mark"))
        if writer.exitcode == 0:
            break
        clean(tmp_path)
        again = contents(tmp_path)
        assert again in (old if before else {}, NEW | ({"mine": b"the user's own"} if before else {})), k
        assert not list(tmp_path.glob(PARTIAL))
    assert seen == {b"old", None, b"new"} if before else {None, b"new"}


def _dying_at(k, folder):
    class Dying(Disk):
        def ask(self, what, path):
            self.done += 1
            if self.done == self.fails_at:
                os._exit(9)

    with failing(Dying(root=folder, fails_at=k)):
        put_new(folder)


def test_a_living_writer_is_left_alone(tmp_path):
    with beside(tmp_path) as stage:
        assert clean(tmp_path) == 0
        assert stage.is_dir()
        with held(stage, wait=0) as mine:
            assert not mine
    assert not stage.exists()


def test_what_is_in_the_way_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "inside", tmp_path / "folder"):
        with pytest.raises(UsageError, match="cannot be written"):
            write(path, "x")
    with pytest.raises(UsageError, match="cannot be written"):
        check_writable(tmp_path / "file")


def test_a_folder_is_tried_and_not_made(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_refused_baseline_is_exit_4_and_leaves_the_accepted_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(KEPT / "report-1", tmp_path / "run")
    accept = ("baseline", "accept", "net.json", "run")
    assert CliRunner().invoke(main, accept).exit_code == 0
    before = contents(tmp_path)

    def check(disk, result):
        assert result.exit_code == 4, disk.said
        assert result.stderr == "perturb: `net.json` cannot be written: No space left on device.\n"
        assert contents(tmp_path) == before

    assert refusals(lambda: CliRunner().invoke(main, accept), tmp_path, check) > 5


def test_a_refused_run_leaves_the_earlier_one(tmp_path, monkeypatch):
    """As `qualify --out` saves it, with a page that costs no time to draw."""
    monkeypatch.setattr(html, "report", lambda *args, **rest: "page")
    first, second = (a_run(command=name) for name in ("first", "second"))
    save(first.report, tmp_path / "run", encode(first))
    before = contents(tmp_path)

    def check(disk, said):
        assert "cannot be written: No space left on device." in said
        assert contents(tmp_path) == before

    count = refusals(
        lambda: refused(lambda folder: save(second.report, folder, encode(second)), tmp_path / "run"), tmp_path, check
    )
    assert count > 25
    assert json.loads((tmp_path / "run" / "report.json").read_text())["provenance"]["command"] == "second"
