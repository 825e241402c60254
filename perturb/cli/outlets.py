"""Where words go: ours to the user, what the user's own code prints to the error stream.

While a command runs, `sys.stdout` and `sys.stderr` belong to the model's code: what it prints never mixes with a
result, such as the JSON of `perturb lint --json`. Our own words go to `out` and `err`.
"""

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from perturb.errors import InputError


@dataclass
class Outlets:
    """The streams of our own words while a command runs (None: those of the process), and what others print to."""

    out: TextIO | None = None
    err: TextIO | None = None
    printed: TextIO | None = None  # set in a process of its own: a pipe that is descriptors 1 and 2


OURS = Outlets()


class Outlet(io.RawIOBase):
    """A descriptor whose reader may have gone: what nobody reads is dropped, and the command ends as it would have."""

    def __init__(self, descriptor: int, *, needed: bool) -> None:
        super().__init__()
        self._descriptor, self._needed, self._gone = descriptor, needed, False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        if not self._gone:
            try:
                return os.write(self._descriptor, data)
            except OSError as error:
                self._gone = True
                if self._needed and not isinstance(error, BrokenPipeError):
                    raise InputError(f"standard output cannot be written: {error.strerror}.") from error
        return len(data)


def opened(descriptor: int, like: TextIO | None, *, needed: bool) -> TextIO:
    """A text stream to the descriptor, encoded as the stream that it stands for."""
    raw = Outlet(descriptor, needed=needed)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),  # type: ignore[type-var]
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors=getattr(like, "errors", None) or "backslashreplace",
        line_buffering=not needed or raw.isatty(),
    )


def out() -> TextIO:
    """Where a result goes. Raises InputError where somebody else's code closed the standard streams before."""
    check_intact()
    return OURS.out or sys.stdout


def check_intact() -> None:
    """Raises InputError where the model's code closed or replaced what it was given to print to.

    The next file that is opened would take the number of a closed stream, and what libraries print would go into it.
    """
    if OURS.out is None:
        return
    streams = (sys.stdout, sys.stderr, OURS.printed or sys.stdout)
    if any(stream.closed for stream in streams) or (OURS.printed is not None and not _leads_to_pipe()):
        raise InputError("the model's code closed the standard streams of the process that measures it.")


def _leads_to_pipe() -> bool:
    try:
        return all(stat.S_ISFIFO(os.fstat(number).st_mode) for number in (1, 2))
    except OSError:
        return False


def err() -> TextIO:
    return OURS.err or sys.stderr


@contextmanager
def apart() -> Iterator[None]:
    """While open, what others print goes to the error stream, and our words go where they went before.

    Raises InputError where the result cannot be written, or the streams were closed by somebody else's code.
    """
    before, OURS.out, OURS.err = (sys.stdout, sys.stderr), sys.stdout, sys.stderr
    sys.stdout = sys.stderr = OURS.printed or sys.stderr
    try:
        yield
        check_intact()
    finally:
        sys.stdout, sys.stderr = before
        OURS.out = OURS.err = None
        _flushed(before[0])


def _flushed(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError as error:
        raise InputError(f"standard output cannot be written: {error.strerror}.") from error
    except ValueError as error:
        raise InputError("standard output was closed.") from error
