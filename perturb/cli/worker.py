"""A command in a process of its own: what it says to the process that watches it (see `watch`)."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import click

from perturb.cli import outlets
from perturb.errors import InputError

INTERRUPTED = 130
PARENT_DIES = 1  # Linux's number of PR_SET_PDEATHSIG
STARTERS = ("multiprocessing", "subprocess", "joblib", "loky")  # modules that look after the copies that they make


@dataclass
class Line:
    """The line to the watching process; `last` is the last thing that the user is to read."""

    descriptor: int | None = None
    last: str = ""
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what came of them in earlier processes


LINE = Line()


def tell(**message: Any) -> bool:
    """Say something to the process that watches this one; False where none does."""
    if LINE.descriptor is None:
        return False
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(LINE.descriptor, data) :]
    return True


def finally_say(text: str) -> None:
    """The line that stands last on the error stream, after all that the model's code printed."""
    if LINE.descriptor is None:
        click.echo(text, err=True)
    else:
        LINE.last = text


def work(
    command: Callable[[], Any],
    descriptor: int,
    printed: int,
    watcher: int,
    parts: Mapping[str, Mapping[str, Any]],
) -> NoReturn:
    """Run the command, tell how it ended, and leave the process as Python does."""
    LINE.descriptor, LINE.parts = descriptor, parts
    _die_with(watcher)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    _part_streams(printed)
    os.register_at_fork(after_in_child=_end_copy)
    try:
        command()
        code: object = 0
    except SystemExit as end:
        code = end.code
    try:
        sys.stdout.flush()
    except InputError as error:
        code, LINE.last = error.exit_code, f"perturb: {error}"
    code = code if isinstance(code, int) else InputError.exit_code
    tell(end=code, last=LINE.last)
    sys.exit(code)


def _part_streams(printed: int) -> None:
    """Descriptors 1 and 2 lead to the watching process, also for compiled code; ours are copies of the true ones."""
    true = [os.dup(1), os.dup(2)]
    before = sys.stdout, sys.stderr
    for number in (1, 2):
        os.dup2(printed, number)
    os.close(printed)
    sys.stdout = outlets.opened(true[0], before[0], needed=True)
    sys.stderr = outlets.opened(true[1], before[1], needed=False)
    outlets.OURS.printed = open(1, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Once: a terminal interrupts this process, and the watching one passes the signal on too."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _die_with(watcher: int) -> None:
    """Nobody would hear of a result once the watching process is gone. Linux alone offers this."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PARENT_DIES, signal.SIGKILL)
        if os.getppid() != watcher:
            os._exit(1)


def _end_copy() -> None:
    """A copy of this process, made by a bare `os.fork`, would measure, judge and write a second time."""
    maker = sys._getframe(1).f_globals.get("__name__", "")
    if not maker.startswith(STARTERS):
        tell(copied=True)
        os._exit(1)
