"""What a whole run costs as the suite grows, and what `perturb plan` predicts of it."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

from benchmarks.timing import table
from perturb import load, qualify
from perturb.protocols import Sees
from perturb.stories import cost, outline
from perturb.suite import Suite, parse_suite

NETWORKS = ("torchvision:resnet18", "torchvision:mobilenet_v3_small")
BASE: dict[str, Any] = {"photographs": 40, "pairs": 4, "levels": 0, "checks": 1}
GROWN = {"photographs": (80, 160), "pairs": (16, 64), "levels": (3, 6, 12), "checks": (2, 4)}
SUITE = """
name = "cost"
[images]
source = "dead-leaves"
count = {photographs}
{levels_table}
[map]
kind = "structural"
[evaluator]
layer = "stride:8"
noise = 0.01
"""
CHECK = """
[[check]]
name = "pixel-{number}"
perturbation = {{ kind = "box", size = {number} }}
{level}
pairs = {pairs}
claim = {{ quantity = "accuracy-loss", at_most = 0.2 }}
"""


def report() -> Iterator[str]:
    """A Markdown table: one number of the suite grows, the others stay."""
    # Processor time, as other processes share the machine.
    cost.perf_counter = outline.perf_counter = time.process_time  # type: ignore[attr-defined]
    warnings.simplefilter("ignore")
    head = ["network", *BASE, "whole run, s", "planned, s", "measured / planned"]
    yield from table(head, (_row(load(name), design) for name in NETWORKS for design in _designs()))


def _designs() -> Iterator[dict[str, Any]]:
    yield BASE
    for name, values in GROWN.items():
        yield from ({**BASE, name: value} for value in values)


def _row(model: Sees, design: dict[str, Any]) -> list[str]:
    suite = _suite(design)
    begun = time.process_time()
    qualify(model, suite)
    taken = time.process_time() - begun
    planned = outline.prospect(suite, model).seconds or float("nan")
    return [model.name, *map(str, design.values()), f"{taken:.1f}", f"{planned:.1f}", f"**{taken / planned:.2f}**"]


def _suite(design: dict[str, Any]) -> Suite:
    levels = "[levels]\nlow = 0.03125\ncount = {levels}\n".format(**design) if design["levels"] else ""
    level = "" if levels else "level = 0.5"
    checks = (CHECK.format(number=number + 1, level=level, **design) for number in range(design["checks"]))
    return parse_suite(SUITE.format(levels_table=levels, **design) + "".join(checks), "cost")
