"""Pictures are read and cut once, and lie in a temporary file until they are asked for."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from threading import Lock
from typing import IO, Any
from weakref import finalize

import numpy as np

from perturb.images.photograph import Picture, Stored, as_values
from perturb.images.scaling import exact
from perturb.stack import Stack
from perturb.writing import explained

IN_MEMORY = 2**26  # bytes; more than that lie on disk


class Spool:
    """Pictures of one shape, put in one after another. The file has no name: it ends with the process.

    A value takes a byte where 8 bits hold every value of its picture exactly, and four otherwise. Pictures are read
    into memory of their own rather than mapped: pages of a mapped file would count as memory of the process.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        finalize(self, self._file.close)
        self._lock = Lock()  # of the file's position, which threads share
        self._end = 0
        self._at: list[tuple[int, np.dtype[Any]]] = []
        self._of: tuple[int, ...] = ()

    def add(self, picture: Stored) -> None:
        """Raises InputError where the disk is full."""
        stored = exact(picture) if picture.dtype == np.float32 else picture
        with self._opened(self._end) as file:
            file.write(stored.tobytes())
        self._at.append((self._end, stored.dtype))
        self._end, self._of = self._end + stored.nbytes, stored.shape

    def stack(self) -> Stack:
        """The pictures so far."""
        return Stack(read=self._read, numbers=np.arange(len(self._at)), of=self._of)

    def _read(self, number: int) -> Picture:
        at, kind = self._at[number]
        with self._opened(at) as file:
            data = bytearray(file.read(kind.itemsize * math.prod(self._of)))
        return as_values(np.frombuffer(data, kind).reshape(self._of))

    @contextmanager
    def _opened(self, at: int) -> Iterator[IO[bytes]]:
        with self._lock, explained(Path(gettempdir())):
            self._file.seek(at)
            yield self._file


def spooled(pictures: Iterable[Stored]) -> Stack:
    """These pictures, put into a spool one after another."""
    spool = Spool()
    for picture in pictures:
        spool.add(picture)
    return spool.stack()
