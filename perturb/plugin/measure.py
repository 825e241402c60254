"""Measure one model in a process of its own, so that a crash or a hang harms nothing else."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perturb.errors import PerturbError
from perturb.plugin.options import setting
from perturb.suite import ModelTable

if TYPE_CHECKING:
    from perturb.changes import Changes
    from perturb.report import Report


class MeasurementError(PerturbError):
    """The model could not be measured: it is broken, it crashed, it took too long, or the instrument failed."""


def measure(config: pytest.Config, suite: Path, name: str, model: ModelTable) -> "tuple[Report, Changes | None]":
    """What `perturb qualify` reports of this model by this suite, run in pytest's root folder; what changed since."""
    from perturb import changes
    from perturb.files import read_text
    from perturb.report import from_json

    kept = setting(config, "reports")
    with tempfile.TemporaryDirectory(prefix="perturb-") as scratch:
        out = Path(kept, suite.name.removesuffix(".perturb.toml"), _file_name(name)) if kept else Path(scratch)
        command = ["qualify", model.reference, "--suite", os.path.relpath(suite, config.rootpath)]
        for option, value in (
            ("--weights", model.weights),
            ("--baseline", model.baseline),
            ("--remedy", model.remedy),
            ("--seed", str(model.seed) if model.seed else None),
            ("--images", setting(config, "images")),
            ("--device", setting(config, "device")),
        ):
            command += [option, value] if value else []
        _run(command, out, config)
        path, since = (config.rootpath / out / name for name in ("report.json", "changes.json"))
        try:
            report = from_json(read_text(path), path)
            changed = changes.from_json(read_text(since), since) if since.exists() else None
        except PerturbError as error:
            raise MeasurementError(str(error)) from error
    failed = [f"{c.name}: expected {c.expected}; got {c.observed}" for c in report.controls if not c.passed]
    if report.verdict == "INVALID":
        raise MeasurementError(f"INVALID: the instrument failed on {name}: {'; '.join(failed)}")
    return report, changed


def _run(command: list[str], out: Path, config: pytest.Config) -> None:
    """Exit codes 0, 1 and 3 are verdicts, and so is 4 where a report was written."""
    limit = float(setting(config, "timeout"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "perturb.cli", *command, "--out", str(out)],
            cwd=config.rootpath,
            env=environment,
            timeout=limit,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{command[1]}: no result within {limit:g} s (--perturb-timeout)") from error
    if done.returncode < 0:
        raise MeasurementError(f"{command[1]} crashed the process that measured it (signal {-done.returncode})")
    if not (config.rootpath / out / "report.json").is_file():
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise MeasurementError(last.removeprefix("perturb: "))


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
