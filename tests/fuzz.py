"""A fuzzer of every kind of file that a user hands in: damaged, mutated and hostile ones.

uv run python tests/fuzz.py [KIND...] [--count 10000] [--seed 0] [--commands 50]    a table; exit code 1 if one is wrong

Each file is read in a child process, under a limit of CPU time and memory and under an audit of what it runs. Right
is: as before, or refused by one line with exit code 2 or 4. `--commands` reads so many of each kind by the real
command. A sample is made from the seed, the kind and its number: `--only N` makes the same one again and prints what
was raised.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz_kinds import KINDS, Kind

from perturb.errors import PerturbError

SECONDS, BYTES = 5, 2**30  # of CPU, and of memory on top of what the process has
WALL = 60  # seconds without an answer: it waits for something
BATCH = 500  # files a child reads


class TooLong(BaseException):
    """Not an Exception: nothing that catches errors catches it."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file; `wrong` is empty where it is right."""

    number: int
    accepted: bool = False
    wrong: str = ""


def outcomes(kind: Kind, count: int, seed: int, *, only: int | None = None) -> Iterator[Outcome]:
    """Of `count` mutations, by children that may crash."""
    waiting = [only] if only is not None else list(range(count))
    while waiting:
        batch = waiting[:BATCH]
        lines, ended = _in_child(lambda write, batch=batch: _read_all(kind, batch, seed, write, loud=only is not None))
        found = [Outcome(**json.loads(line)) for line in lines]
        yield from found
        waiting = waiting[len(found) :]
        if len(found) < len(batch):
            yield Outcome(batch[len(found)], wrong=f"the process ended: {ended}")
            waiting = waiting[1:]


def _in_child(work: Callable[[Callable[[str], None]], None]) -> tuple[list[str], str]:
    """The lines that a forked process wrote, and how it ended."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            work(lambda line: (out.write(line + "\n"), out.flush()))  # type: ignore[func-returns-value]
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = told.read().splitlines()
    return lines, f"status {os.waitpid(child, 0)[1]}"


def _read_all(kind: Kind, numbers: list[int], seed: int, write: Callable[[str], None], *, loud: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        planted(folder)
        os.chdir(folder)
        files = kind.write(folder)
        whole = kind.read(folder)  # imports what it needs, ahead of the audit
        guard = Guard(folder)
        for number in numbers:
            rng = random.Random(f"{seed}/{kind.name}/{number}")
            for name, data in files.items():
                _put(folder / name, data)
            for name in rng.sample(sorted(kind.mutable(files)), 1):
                _put(folder / name, kind.mutate(rng, files[name]))
            accepted, wrong = guard.judge(lambda: kind.read(folder), whole, kind, loud=loud)
            write(json.dumps({"number": number, "accepted": accepted, "wrong": wrong}))
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def planted(folder: Path) -> None:
    """Code beside the files, which leaves a trace when it runs."""
    trace = f"open({str(folder / 'ran')!r}, 'w').close()\ndef run(*_): pass\n"
    (folder / "fuzz_planted.py").write_text(trace)
    sys.path.insert(0, str(folder))


class Guard:
    """Limits, and an audit of what runs; in force from now on."""

    FORBIDDEN = (
        "os.system",
        "subprocess.Popen",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "pickle.find_class",
        "pty.spawn",
    )

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran, self.armed = folder, list[str](), False
        sys.addaudithook(self._heard)
        signal.signal(signal.SIGPROF, self._late)
        signal.signal(signal.SIGALRM, self._late)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, -1))

    def judge(self, read: Callable[[], Any], whole: Any, kind: Kind, *, loud: bool = False) -> tuple[bool, str]:
        """Whether a file was accepted, and what is wrong with that."""
        self.ran.clear()
        try:
            accepted, wrong = self._judged(read, whole, kind)
        except BaseException as error:
            late = isinstance(error, TooLong)
            accepted, wrong = False, f"took more than {SECONDS} s" if late else f"{type(error).__name__}: {error}"
            if loud:
                traceback.print_exc()
        if self.ran or (self.folder / "ran").exists():
            wrong = f"ran {[*self.ran, 'the planted code'][0]}"
        return accepted, wrong[:300]

    def _judged(self, read: Callable[[], Any], whole: Any, kind: Kind) -> tuple[bool, str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._start()
                found = read()
        except PerturbError as error:
            one = "\n" not in str(error) and str(error).isprintable() and str(error)
            return False, "" if one and error.exit_code in (2, 4) else f"not one line of exit 2 or 4: {error!r}"
        finally:
            self._stop()
        return True, kind.differs(found, whole)

    def _start(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WALL)
        self.armed = True

    def _stop(self) -> None:
        self.armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _late(self, *_: Any) -> None:
        raise TooLong

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        code = event == "exec" and str(getattr(given[0], "co_filename", "")).startswith(str(self.folder))
        if event in self.FORBIDDEN or code or (event == "import" and given[0] == "fuzz_planted"):
            self.ran.append(f"{event} {given[:1]}"[:100])


def by_command(kind: Kind, count: int, seed: int) -> Iterator[Outcome]:
    """The same, each by the command in a process of its own: its exit code and its error stream are looked at."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = Path(scratch)
        planted(folder)
        files = kind.write(folder)
        right = _run(kind.command(folder), folder)[0]
        for number in range(count):
            rng = random.Random(f"{seed}/{kind.name}/{number}")
            for name, data in files.items():
                _put(folder / name, data)
            for name in rng.sample(sorted(kind.mutable(files)), 1):
                _put(folder / name, kind.mutate(rng, files[name]))
            code, told = _run(kind.command(folder), folder)
            lines = [line for line in told.splitlines() if not line.startswith("perturb: note:")]
            refused = code in (2, 4) and len(lines) == 1 and lines[0].isprintable() and "unforeseen" not in told
            same = not lines and (code == right or kind.any_verdict)
            wrong = "" if refused or same else f"exit {code} (unharmed: {right}), {len(lines)} lines: {told[-200:]!r}"
            yield Outcome(number, not refused, wrong or ("ran the planted code" if (folder / "ran").exists() else ""))


def _run(args: list[str], folder: Path) -> tuple[int, str]:
    """A command's exit code and its error stream, in a fork of this process, which has everything imported."""
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(folder)
            for stream, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
            resource.setrlimit(resource.RLIMIT_CPU, (4 * SECONDS, 4 * SECONDS))
            from perturb.cli import main

            main(args, standalone_mode=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), err.read_text(errors="backslashreplace")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    told = parser.parse_args()
    _say("| kind | files | accepted, as before | refused | wrong |\n| --- | --- | --- | --- | --- |")
    every = 0
    for name in told.kinds or KINDS:
        kind = KINDS[name]
        series = [(name, outcomes(kind, told.count, told.seed, only=told.only))]
        if told.commands and kind.command:
            series.append((f"{name}, by its command", by_command(kind, told.commands, told.seed)))
        for label, found in series:
            counts, wrong = Counter[str](), Counter[str]()
            for outcome in found:
                counts["wrong" if outcome.wrong else "accepted" if outcome.accepted else "refused"] += 1
                if outcome.wrong:
                    wrong[outcome.wrong] += 1
                    if wrong[outcome.wrong] == 1:
                        sys.stderr.write(f"{label} {outcome.number}: {outcome.wrong}\n")
            row = (label, sum(counts.values()), counts["accepted"], counts["refused"], counts["wrong"])
            _say(f"| {' | '.join(map(str, row))} |")
            every += counts["wrong"]
    return int(every > 0)


if __name__ == "__main__":
    sys.exit(main())
