"""Bytes that would take too much memory lie in a temporary file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from threading import Lock
from typing import IO
from weakref import finalize

from perturb.writing import explained

IN_MEMORY = 2**26  # bytes of a file; more lie on disk


class Scratch:
    """A temporary file without a name: it ends with the process.

    Its parts are read into memory of their own, not mapped: pages of a mapped file count as memory of the process.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        finalize(self, self._file.close)
        self._lock = Lock()  # of the file's position, which threads share
        self.size = 0  # bytes

    def add(self, data: bytes) -> int:
        """Where the data lie. Raises InputError where the disk is full."""
        at = self.size
        with self._opened(at) as file:
            file.write(data)
        self.size += len(data)
        return at

    def read(self, at: int, count: int) -> bytes:
        with self._opened(at) as file:
            return file.read(count)

    @contextmanager
    def _opened(self, at: int) -> Iterator[IO[bytes]]:
        with self._lock, explained(Path(gettempdir())):
            self._file.seek(at)
            yield self._file
