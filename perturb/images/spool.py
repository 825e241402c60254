"""Pictures are read and cut once, and lie in a temporary file until they are asked for."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from perturb.images.photograph import Picture, Stored, as_values
from perturb.images.scaling import exact
from perturb.scratch import Scratch
from perturb.stack import Stack


class Spool:
    """Pictures of one shape, put in one after another.

    A value takes a byte where 8 bits hold every value of its picture exactly, and four otherwise.
    """

    def __init__(self) -> None:
        self.file = Scratch()
        self._at: list[tuple[int, np.dtype[Any]]] = []
        self._of: tuple[int, ...] = ()

    def add(self, picture: Stored) -> None:
        stored = exact(picture) if picture.dtype == np.float32 else picture
        self._at.append((self.file.add(stored.tobytes()), stored.dtype))
        self._of = stored.shape

    def stack(self) -> Stack:
        """The pictures so far."""
        return Stack(read=self._read, numbers=np.arange(len(self._at)), of=self._of)

    def _read(self, number: int) -> Picture:
        at, kind = self._at[number]
        data = bytearray(self.file.read(at, kind.itemsize * math.prod(self._of)))
        return as_values(np.frombuffer(data, kind).reshape(self._of))


def spooled(pictures: Iterable[Stored]) -> Stack:
    """These pictures, put into a spool one after another."""
    spool = Spool()
    for picture in pictures:
        spool.add(picture)
    return spool.stack()
