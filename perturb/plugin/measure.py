"""Measure one model in a process of its own, so that whatever it does harms nothing else; once for all who ask."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perturb.errors import PerturbError
from perturb.plugin.options import SHARED, given_in, setting
from perturb.suite import ModelTable

if TYPE_CHECKING:
    from perturb.changes import Changes
    from perturb.report import Report

MEASURED = ("report.json", "changes.json")
BROKEN = 4  # exit code: a verdict where the report says INVALID, or INCOMPARABLE with the baseline; else an error


class MeasurementError(PerturbError):
    """The model could not be measured: it is broken, it crashed, it took too long, or the instrument failed."""


def measure(config: pytest.Config, suite: Path, name: str, model: ModelTable) -> "tuple[Report, Changes | None]":
    """What `perturb qualify` reports of this model by this suite, run in pytest's root folder; what changed since."""
    with _place(config, f"{suite}::{name}") as place:
        if not (place / "error").exists() and not (place / MEASURED[0]).exists():
            _fill(place, config, suite, name, model)
        if (place / "error").exists():
            raise MeasurementError((place / "error").read_text(encoding="utf-8"))
        report, changed = _read(place)
    failed = [f"{c.name}: expected {c.expected}; got {c.observed}" for c in report.controls if not c.passed]
    if report.verdict == "INVALID":
        raise MeasurementError(f"INVALID: the instrument failed on {name}: {'; '.join(failed)}")
    return report, changed


@contextmanager
def _place(config: pytest.Config, key: str) -> Iterator[Path]:
    """A folder for what comes out. Under xdist all workers have the same, and the others wait for the first."""
    from perturb.writing import held

    shared = config.stash.get(SHARED, None)
    if shared is None:
        with tempfile.TemporaryDirectory(prefix="perturb-") as scratch:
            yield Path(scratch)
        return
    place = shared / hashlib.sha256(key.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with held(place):
        yield place


def _fill(place: Path, config: pytest.Config, suite: Path, name: str, model: ModelTable) -> None:
    """Measure, and leave in `place` either the report or an error in one line."""
    from perturb.writing import write, write_together

    kept = setting(config, "reports")
    stem = suite.name.removesuffix(".perturb.toml")
    out = given_in(config, "reports") / kept / stem / _file_name(name) if kept else place / "run"
    before = _stamp(out)
    try:
        code = _run(_command(config, suite, model), out, config)
        if _stamp(out) in (before, None):  # an earlier run's report is none of this one
            raise MeasurementError(f"{model.reference}: exit code {code}, and no report.")
        report, changed = _read(out)
        judged = report.verdict == "INVALID" or (changed is not None and changed.verdict == "INCOMPARABLE")
        if code == BROKEN and not judged:
            raise MeasurementError(f"{model.reference}: it ended after its report was written, with exit code {code}.")
    except PerturbError as error:
        write(place / "error", str(error))
        return
    write_together(place, {n: (out / n).read_bytes() for n in MEASURED if (out / n).exists()})


def _command(config: pytest.Config, suite: Path, model: ModelTable) -> list[str]:
    """What is typed on the command line is relative to the folder of it, what a suite says to the suite's."""
    root = config.rootpath
    base = given_in(config, "model") if setting(config, "model") else suite.parent
    images = setting(config, "images")
    command = ["qualify", _located(model.reference, base, root), "--suite", os.path.relpath(suite, root)]
    for option, value in (
        ("--weights", model.weights and _located(model.weights, base, root)),
        ("--baseline", model.baseline and _located(model.baseline, base, root)),
        ("--remedy", model.remedy),
        ("--seed", str(model.seed) if model.seed else None),
        ("--images", images and _located(images, given_in(config, "images"), root)),
        ("--device", setting(config, "device")),
        ("--time-limit", setting(config, "timeout")),
        ("--memory-limit", setting(config, "memory")),
    ):
        command += [option, value] if value else []
    return command


def _located(reference: str, base: Path, root: Path) -> str:
    """The reference with the path in it as the root folder sees it, where such a file lies in `base`."""
    if ".py:" in reference:
        before, path, after = "", *reference.rsplit(":", 1)
    else:
        before, _, path = reference.rpartition(":")
        after = ""
    if os.path.isabs(path) or not path or not (base / path).exists():
        return reference
    return ":".join(part for part in (before, os.path.relpath(base / path, root), after) if part)


def _run(command: list[str], out: Path, config: pytest.Config) -> int:
    """The exit code: 0, 1 and 3 are verdicts. Raises MeasurementError where there is none."""
    limit = float(setting(config, "timeout"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with tempfile.TemporaryFile() as said:  # a pipe would stay open for as long as what the model started
        process = subprocess.Popen(
            [sys.executable, "-m", "perturb.cli", *command, "--out", str(out)],
            cwd=config.rootpath,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=limit + 5)  # it keeps to the limit by itself
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"{command[1]}: no result within {limit:g} s (--perturb-timeout).") from error
        finally:
            _end(process)
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.startswith("perturb: ")]
    last = lines[-1].removeprefix("perturb: ") if lines else ""
    if code not in (0, 1, 3, BROKEN) or (code == BROKEN and last and not last.startswith("note: ")):
        told = (last or f"exit code {code}").replace("--time-limit", "--perturb-timeout")
        told = told.replace("--memory-limit", "--perturb-memory")
        raise MeasurementError(told if command[1] in told else f"{command[1]}: {told}")
    return code


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Nothing that the model started outlives its measurement, nor the test run."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def _read(folder: Path) -> "tuple[Report, Changes | None]":
    from perturb import changes
    from perturb.files import read_text
    from perturb.report import from_json

    path, since = (folder / name for name in MEASURED)
    return from_json(read_text(path), path), changes.from_json(read_text(since), since) if since.exists() else None


def _stamp(folder: Path) -> tuple[int, ...] | None:
    """What tells this report from the next one; None where there is none."""
    try:
        found = (folder / MEASURED[0]).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
