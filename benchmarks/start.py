"""Waiting times: starting the command line, and lint of every torchvision network for images."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torchvision

from benchmarks.timing import once, table
from perturb.errors import InputError
from perturb.model import load
from perturb.stories.lint import lint

ROUNDS = 7
PERTURB = str(Path(sys.executable).with_name("perturb"))


def report() -> Iterator[str]:
    rows = [
        [" ".join([Path(words[0]).name, *words[1:]]), f"{_wall(words):.2f} s"]
        for words in ((sys.executable, "-c", "pass"), (PERTURB, "--help"))
    ]
    seconds = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        try:
            model = load(f"torchvision:{name}", device="cpu")
            seconds[name] = once(lambda: lint(model))  # noqa: B023
        except InputError:  # lint has no rule for an operation
            continue
    slowest = max(seconds, key=seconds.__getitem__)
    rows.append([f"lint, median of {len(seconds)} networks", f"{median(seconds.values()):.2f} s"])
    rows.append([f"lint, the slowest: {slowest}", f"{seconds[slowest]:.2f} s"])
    rows.append(["lint, networks above a second", ", ".join(n for n, s in seconds.items() if s > 1) or "none"])
    return table(["", ""], rows)


def _wall(words: tuple[str, ...]) -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return median(taken)
