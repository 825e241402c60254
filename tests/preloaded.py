"""`perturb` in a fork of a process that has loaded torch already: a test of many commands loads it once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

FILES = ("out", "err")
LOADED = (  # all that a command loads before it measures
    "perturb.cli.qualify perturb.baseline perturb.history perturb.render.html perturb.render.markdown "
    "perturb.render.terminal perturb.stories.qualify torch._dynamo filelock"
).split()


@dataclass(frozen=True)
class Ended:
    code: int  # negative: killed by this signal
    out: str
    err: str
    seconds: float


class Preloaded:
    """Runs commands, one after another, each with streams, a session and signal handlers of its own."""

    def __enter__(self) -> "Preloaded":
        self._folder = tempfile.TemporaryDirectory(prefix="perturb-preloaded-")
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self._folder.name
        )
        assert self._answer() == {"ready": True}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.kill()
        self.server.communicate()
        self._folder.cleanup()

    def run(
        self,
        *args: object,
        cwd: Path,
        kill_after: float | None = None,
        send: int = signal.SIGKILL,
        when: Path | None = None,
    ) -> Ended:
        """`perturb *args`; the signal goes to the process that the user started, so long after `when` is there."""
        asked = {"args": [str(a) for a in args], "cwd": str(cwd), "kill_after": kill_after, "send": int(send)}
        asked["when"] = str(when) if when else None
        return self._ask(asked)

    def call(self, function: str, *args: object, cwd: Path, kill_after: float | None = None) -> Ended:
        """A function "module:name" of the tests in place of a command."""
        asked = {"call": function, "args": [str(a) for a in args], "cwd": str(cwd), "kill_after": kill_after}
        return self._ask(asked | {"send": int(signal.SIGKILL)})

    def _ask(self, asked: dict[str, Any]) -> Ended:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        told = self._answer()
        out, err = (Path(self._folder.name, name).read_text(errors="replace") for name in FILES)
        return Ended(code=told["code"], out=out, err=err, seconds=told["seconds"])

    def _answer(self) -> Any:
        assert self.server.stdout is not None
        return json.loads(self.server.stdout.readline())


def _serve() -> None:
    for module in LOADED:
        import_module(module)
    _say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        if "call" in asked:
            import_module(asked["call"].partition(":")[0])
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            _become(asked)
        _say({"code": _wait(process, asked), "seconds": time.monotonic() - started})


def _become(asked: dict[str, Any]) -> None:
    from perturb.cli import main
    from perturb.cli.watch import watch

    for number, name in enumerate(FILES, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    os.chdir(asked["cwd"])
    if "call" in asked:
        module, _, name = asked["call"].partition(":")
        getattr(import_module(module), name)(*asked["args"])
        os._exit(0)
    watch(lambda: main.main(asked["args"], prog_name="perturb"))


def _wait(process: int, asked: dict[str, Any]) -> int:
    if asked["kill_after"] is not None:
        until = None
        while until is None or time.monotonic() < until:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if until is None and (not asked.get("when") or Path(asked["when"]).exists()):
                until = time.monotonic() + asked["kill_after"]
            time.sleep(0.002)
        os.kill(process, asked["send"])
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - to the process that asked


if __name__ == "__main__":
    _serve()
