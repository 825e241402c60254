"""What the machine has: versions of packages, processors, devices, room on disks. The one way in which it is asked."""

import os
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from torch import device

OURS = "perturb-suite"
GIB = 2**30
UNDER_UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"  # unless it is 0, Ray repeats `uv run` for every worker


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of installed packages. Raises PackageNotFoundError for one that is not."""
    return {name: version(name) for name in packages}


def device_name(where: "device") -> str:
    """A GPU by its maker's name; else cpu."""
    import torch

    return torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu"


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_bytes(folder: Path) -> int:
    """Left on the disk of the folder, or of the nearest one above it that exists."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def requirements() -> dict[str, tuple[Requirement, ...]]:
    """What perturb needs here, by extra; "" has what it needs in any case."""
    found: dict[str, tuple[Requirement, ...]] = {"": ()}
    for line in requires(OURS) or ():
        one = Requirement(line)
        extra = _extra(one)
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            found[extra] = (*found.get(extra, ()), one)
    return found


def unmet(needed: Requirement) -> str:
    """What is wrong with it, in words; empty where it is installed in a fitting version."""
    try:
        has = version(needed.name)
    except PackageNotFoundError:
        return f"{needed.name} is missing"
    fits = needed.specifier.contains(has, prereleases=True)
    return "" if fits else f"{needed.name} is {has}, wanted {needed.specifier}"


def _extra(needed: Requirement) -> str:
    """The extra that asks for it; empty where it is asked for in any case."""
    _, equals, name = str(needed.marker or "").partition('extra == "')
    return name.partition('"')[0] if equals else ""
