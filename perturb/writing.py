"""Files that appear whole or not at all: written beside their place, then renamed. The one way in which we write.

While a write goes on, its files lie in a folder `.perturb-*.partial` beside their places, with a lock. A lock that
nobody holds belongs to a writer that was killed: the next writer there removes what it left.

Several files go in together. The first of them is the mark: it leaves first and comes last, so a folder with its mark
holds one whole set. A set that cannot be put in place is taken out again, and the earlier one is put back.
"""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from perturb.errors import InputError, PerturbError, UsageError
from perturb.visible import plain

PARTIAL = ".perturb-*.partial"
MISTAKEN = (NotADirectoryError, FileExistsError, IsADirectoryError)  # the path itself cannot be one of a file


def write(path: Path, data: bytes | str) -> None:
    """The file with these contents, in folders that are made where needed.

    Raises InputError where it cannot be written, whatever lay there before is then as it was; UsageError where a file
    is in the way of a folder or a folder in the way of the file.
    """
    write_together(path.parent, {path.name: data.encode() if isinstance(data, str) else data})


def write_together(folder: Path, files: Mapping[str, bytes], *, without: Iterable[str] = ()) -> None:
    """All files of a set in `folder`, the mark first; `without` names files of an earlier set that are not of this one.

    Raises as `write` does.
    """
    names = list(files)
    with explained(folder / names[0] if len(names) == 1 else folder):
        clean(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with beside(folder) as stage:
            for part in ("new", "old"):
                (stage / part).mkdir()
            for name, data in files.items():
                put(stage / "new" / name, data)
            if len(names) == 1 and not without:
                (stage / "new" / names[0]).replace(folder / names[0])
            else:
                put(stage / "names", "\n".join(names).encode())
                _swap(folder, stage, names, [*names, *without])
            sync(folder)


def put(path: Path, data: bytes) -> None:
    """Write a file through to the disk, not beside its place: for files in a folder that is itself renamed."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """What was renamed in the folder stays so after a loss of power, where the system can promise it for folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_writable(folder: Path) -> None:
    """Raises as `write` does, before an hour's work. Leaves no folder behind that was not there."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with explained(folder):
        try:
            clean(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with beside(folder):
                pass
        finally:
            for path in made:
                with suppress(OSError):
                    path.rmdir()


def clean(folder: Path) -> int:
    """Remove what killed writers left in the folder; a set that one of them was replacing is put back.

    Returns how many they were. What cannot be removed stays: it is in nobody's way.
    """
    return sum(_removed(folder, stage) for stage in folder.glob(PARTIAL)) if folder.is_dir() else 0


def _removed(folder: Path, stage: Path) -> bool:
    """Whether the writer of `stage` lives no more; it is gone then."""
    with suppress(OSError), held(stage, wait=0) as mine:
        if not mine:
            return False
        names = (stage / "names").read_text().splitlines() if (stage / "names").exists() else []
        if names and not (folder / names[0]).exists():
            _take_back(folder, stage, names)
        shutil.rmtree(stage)
        return True
    return False


@contextmanager
def held(folder: Path, *, wait: float = -1) -> Iterator[bool]:
    """While open, the folder's lock is ours; False where another has it after `wait` seconds (-1: without end).

    A lock is its process's: it ends with it, however it ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """While open, what the system refuses is one line: the path and the reason."""
    try:
        yield
    except PerturbError:
        raise
    except OSError as error:
        kind = UsageError if isinstance(error, MISTAKEN) else InputError
        raise kind(f"`{plain(path)}` cannot be written: {error.strerror or plain(error)}.") from error


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A folder inside `folder` for what is not in place yet, locked while open, and gone afterwards."""
    with ExitStack() as lock:
        stage = _made(folder, lock)
        try:
            yield stage
        finally:
            if not _unfinished(folder, stage):
                shutil.rmtree(stage, ignore_errors=True)


def _made(folder: Path, lock: ExitStack) -> Path:
    """A new folder whose lock is ours, until a cleaner no longer takes it for that of a killed writer."""
    while True:
        stage = folder / PARTIAL.replace("*", uuid.uuid4().hex[:12])
        stage.mkdir()
        with suppress(FileNotFoundError):
            lock.enter_context(held(stage))
            if (stage / "lock").exists():
                return stage


def _unfinished(folder: Path, stage: Path) -> bool:
    """Whether `_take_back` failed too, so that the next writer has to put the earlier set back."""
    if not any((stage / "old").glob("*")):
        return False
    mark = (stage / "names").read_text().splitlines()[0]
    return not (folder / mark).exists()


def _swap(folder: Path, stage: Path, names: Sequence[str], earlier: Sequence[str]) -> None:
    try:
        for name in earlier:
            if (folder / name).exists():
                (folder / name).rename(stage / "old" / name)
        for name in reversed(names):
            (stage / "new" / name).rename(folder / name)
    except BaseException:
        _take_back(folder, stage, names)
        raise


def _take_back(folder: Path, stage: Path, names: Sequence[str]) -> None:
    """Undo `_swap`, however far it came."""
    for name in names:
        if not (stage / "new" / name).exists() and not (stage / "old" / name).exists():
            (folder / name).unlink(missing_ok=True)
    before = [path.name for path in (stage / "old").iterdir()]
    for name in sorted(before, key=lambda name: name == names[0]):
        (stage / "old" / name).replace(folder / name)
