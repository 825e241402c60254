"""The command line's outer process: it runs the command in a copy of itself, and judges how that ends.

A verdict is what the inner process says it is, at its end. One that ends without a word, whatever its exit code, is
exit 4: the model's code may exit, crash, be killed, print or take memory without end.
"""

import errno
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from perturb.cli import memory
from perturb.cli.worker import INTERRUPTED, work
from perturb.errors import InputError

TICK = 0.1  # seconds between looks at memory and time
GRACE = 5.0  # seconds that an interrupted or a finished process has to leave
SHOWN = 2**20  # bytes of what a model prints that the user gets to see
TOO_MUCH = 2**26  # bytes after which a model is taken to print without end
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def watched(command: Callable[[], Any]) -> NoReturn:
    """Run the command in a process of its own, and exit with its code.

    The copy is made before torch is loaded, so it costs some milliseconds. Where no copy can be made (Windows), or this
    process runs threads already, the command runs here, and a crash is its exit code.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1 or "torch" in sys.modules:
        command()
        sys.exit(0)
    watch(command)


def watch(command: Callable[[], Any]) -> NoReturn:
    """As `watched`, for a process that is known to bear a copy."""
    _open_standard_streams()
    watch, code = Watch(), None
    while code is None:
        watch.start(command)
        code = watch.until_it_ends()
    sys.exit(code)


class Watch:
    """What is known of the inner process: what it said and printed, who interrupted it, why it was stopped.

    A command in parts tells which it begins, and what came of each. A process that ends within a part loses this part
    alone: another process goes on with the next.
    """

    def __init__(self) -> None:
        self.seconds, self.bytes = float("inf"), memory.limit()
        self.interrupted: int | None = None  # by which signal
        self.parts: dict[str, dict[str, Any]] = {}  # what came of each part that has ended
        self.part: str | None = None  # that goes on

    def start(self, command: Callable[[], Any]) -> None:
        """Run the command in a new process, which knows what came of earlier parts."""
        self.told, telling = os.pipe()
        self.heard, printing = os.pipe()
        self.started, self.printed, self.message = time.monotonic(), 0, b""
        self.end: dict[str, Any] | None = None
        self.stopped = ""  # why, in words
        self.leaves_by = float("inf")
        sys.stdout.flush()
        sys.stderr.flush()
        watcher = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.told)
            os.close(self.heard)
            self._listen(signal.SIG_DFL)
            work(command, telling, printing, watcher, self.parts)
        os.close(telling)
        os.close(printing)
        self._listen(self._pass_on)

    def _listen(self, handler: Any) -> None:
        for name in SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)

    def until_it_ends(self) -> int | None:
        """The exit code of the command, said in words where it is no verdict; None: a part was lost, and it goes on."""
        status = None
        open_ends = [self.told, self.heard]
        while status is None:
            for end in self._ready(open_ends):
                if not self._take(end):
                    open_ends.remove(end)
            status = self._ended()
            if status is None:
                self._look()
        for end in open_ends:  # what it said last; a process that it left behind may still hold the other end
            os.set_blocking(end, False)
            while self._take(end):
                pass
        os.close(self.told)
        os.close(self.heard)
        return self._code(os.waitstatus_to_exitcode(status))

    def _ready(self, ends: list[int]) -> list[int]:
        if not ends:
            time.sleep(TICK / 10)
            return []
        return select.select(ends, [], [], TICK)[0]

    def _take(self, end: int) -> bool:
        """Whether there was more."""
        try:
            data = os.read(end, 2**16)
        except BlockingIOError:
            return False
        if end == self.heard:
            self._show(data)
        else:
            self.message += data
            *lines, self.message = self.message.split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
        return bool(data)

    def _hear(self, message: dict[str, Any]) -> None:
        if "end" in message:
            self.end, self.leaves_by = message, time.monotonic() + GRACE
        if "copied" in message:
            self._stop("the model's code copied its process by `os.fork`; use `subprocess` or `multiprocessing`")
        if "begun" in message:
            self.part, self.started, self.printed = message["begun"], time.monotonic(), 0
        if "done" in message:
            self.parts[message["done"]], self.part = message["came"], None
        self.seconds = message.get("seconds", self.seconds)
        self.bytes = message.get("bytes", self.bytes)

    def _show(self, data: bytes) -> None:
        """What a model prints is shown, up to a bound."""
        room = SHOWN - self.printed
        self.printed += len(data)
        if room > 0:
            _to_user(data[:room])
            if len(data) > room:
                _to_user(b"\nperturb: note: the model's code prints more than 1 MiB; the rest is not shown\n")
        if self.printed > TOO_MUCH:
            self._stop(f"the model's code printed more than {TOO_MUCH >> 20} MiB, so it is taken to print without end")

    def _look(self) -> None:
        now = time.monotonic()
        if now > self.leaves_by:
            os.kill(self.process, signal.SIGKILL)
        if self.end is None and now - self.started > self.seconds:
            self._stop(f"no result within {self.seconds:g} s (--time-limit)")
        if self.bytes is not None and memory.held(self.process) > self.bytes:
            self._stop(f"it took more than {self.bytes / memory.GIB:.1f} GiB of memory (--memory-limit)")

    def _stop(self, why: str) -> None:
        if not self.stopped and self.end is None:
            self.stopped = why
            os.kill(self.process, signal.SIGKILL)

    def _ended(self) -> int | None:
        try:
            process, status = os.waitpid(self.process, os.WNOHANG)
        except ChildProcessError as error:  # somebody else waited for it
            raise InputError("the process that measured was lost.") from error
        return status if process else None

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """An interrupt of this process is one of the inner process; the second time it is ended."""
        again = self.interrupted is not None
        if self.end is None or self.end["end"] == INTERRUPTED:
            self.interrupted = self.interrupted or number
        self.leaves_by = min(self.leaves_by, time.monotonic() + GRACE)
        try:
            os.kill(self.process, signal.SIGKILL if again else number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise

    def _code(self, code: int) -> int | None:
        by_itself = self.end is not None and self.end["end"] == INTERRUPTED
        if by_itself and self.interrupted is None:
            time.sleep(TICK)  # a terminal interrupts both, and the inner process may be the quicker
        if self.interrupted is not None:
            _say("perturb: interrupted.")
            return 128 + self.interrupted
        if self.end is not None and not by_itself:
            _say(self.end["last"])
            return int(self.end["end"])
        why = f"{self.stopped or self._abnormal(code)}."
        if self.part is not None:
            self.parts[self.part], self.part = {"error": why}, None
            return None
        _say(f"perturb: {why}")
        return InputError.exit_code

    def _abnormal(self, code: int) -> str:
        if self.end is not None:
            return "the model's code raised KeyboardInterrupt, and nobody interrupted it"
        if code >= 0:
            return f"the model's code ended the process that measured it (exit code {code}), so there is no result"
        name = signal.Signals(-code).name if -code in signal.Signals._value2member_map_ else "no name"
        memory_full = "; the system ends processes so when memory runs out" if -code == signal.SIGKILL else ""
        return f"the model's code crashed the process that measured it (signal {-code}, {name}){memory_full}"


def _open_standard_streams() -> None:
    """A stream that was closed before we began leads nowhere, rather than into the next file that is opened."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def _say(text: str) -> None:
    if text:
        _to_user(text.encode("utf-8", "backslashreplace") + b"\n")


def _to_user(data: bytes) -> None:
    """To the error stream; whoever closed it wants to hear nothing."""
    while data:
        try:
            data = data[os.write(2, data) :]
        except OSError:
            return
