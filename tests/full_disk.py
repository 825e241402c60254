"""A disk that refuses the k-th thing that is done to it, for k = 1, 2, ... until a command succeeds."""

import builtins
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHANGING = ("mkdir", "rename", "replace", "fsync")  # removing files frees a full disk


@dataclass
class Disk:
    """Refuses one operation below `root`, the `fails_at`-th; a `lasting` one refuses all that follow too."""

    root: Path
    fails_at: int
    reason: int = errno.ENOSPC
    lasting: bool = False
    done: int = 0
    said: list[str] = field(default_factory=list)

    def ask(self, what: str, path: object) -> None:
        self.done += 1
        if self.done == self.fails_at or (self.lasting and self.done > self.fails_at):
            self.said.append(f"{what} {path}")
            raise OSError(self.reason, os.strerror(self.reason), str(path))

    def holds(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and self.root in Path(os.path.abspath(path)).parents


class _Written:
    """An open file whose writes are asked for."""

    def __init__(self, file: Any, disk: Disk, path: object) -> None:
        self._file, self._disk, self._path = file, disk, path

    def write(self, data: Any) -> int:
        self._disk.ask("write", self._path)
        return self._file.write(data)

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """While open, what Python does to files below the disk's root goes through `disk`."""
    kept = {name: getattr(os, name) for name in CHANGING}
    opened = io.open

    def asking(name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **rest: Any) -> Any:
            if name == "mkdir" and os.path.isdir(path):  # nothing to do: no disk refuses that
                return kept[name](path, *args, **rest)
            of_a_file = name != "fsync" or not stat.S_ISDIR(os.fstat(path).st_mode)  # a folder's may be refused
            if of_a_file and (name == "fsync" or disk.holds(path)):
                disk.ask(name, path)
            return kept[name](path, *args, **rest)

        return call

    def open_(path: Any, mode: str = "r", *args: Any, **rest: Any) -> Any:
        if not disk.holds(path) or not set(mode) & set("wax+"):
            return opened(path, mode, *args, **rest)
        disk.ask("open", path)
        return _Written(opened(path, mode, *args, **rest), disk, path)

    for name in CHANGING:
        setattr(os, name, asking(name))
    io.open = builtins.open = open_  # type: ignore[assignment]
    try:
        yield disk
    finally:
        for name, function in kept.items():
            setattr(os, name, function)
        io.open = builtins.open = opened  # type: ignore[assignment]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder but what a killed writer left."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if ".partial" not in str(p.relative_to(folder))}


def refusals(command: Callable[[], Any], root: Path, check: Callable[[Disk, Any], None], **how: Any) -> int:
    """Run the command against disks that fail one step later each time; how often before it was not refused."""
    for k in range(1, 1000):
        with failing(Disk(root=root, fails_at=k, **how)) as disk:
            result = command()
        if not disk.said:
            return k - 1
        check(disk, result)
    raise AssertionError("it never succeeded")
