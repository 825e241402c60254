"""Interleaved timing on a machine that others use too, and Markdown tables of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from statistics import median

import torch


def interleaved(rivals: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each rival, all in turn, after one round that does not count.

    Processor time of this process: what others do on the machine does not enter it. On one thread it is wall time.
    """
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(rounds + 1):
        for name, run in rivals.items():
            seconds = once(run)
            if turn:
                taken[name].append(seconds)
    return {name: median(seconds) for name, seconds in taken.items()}


def once(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def fastest(rivals: Mapping[int, Callable[[], object]]) -> int:
    """The batch size whose run is shortest."""
    taken = {size: interleaved({"": run}, 1)[""] for size, run in rivals.items()}
    return min(taken, key=taken.__getitem__)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table, line by line as the rows come."""
    for line in chain([head, ["---"] * len(head)], rows):
        yield "| " + " | ".join(str(cell) for cell in line) + " |\n"


def peak(size: int = 1024) -> float:
    """Multiply-adds a second of a float32 matrix product of this size."""
    a = torch.randn(size, size)
    seconds = interleaved({"": lambda: a @ a}, 5)[""]
    return float(size**3 / seconds)
