"""Interleaved timing on a shared machine, and Markdown tables."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from statistics import median

import torch

from perturb.incremental.products import Weights
from perturb.precision import full_float32

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def interleaved(rivals: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each rival. They run in turn; the first round does not count.

    On a CPU this is the processor time of the process: other processes do not affect it, and on one thread it equals
    wall time. On an accelerator it is wall time until the device is idle.
    """
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(rounds + 1):
        for name, run in rivals.items():
            seconds = once(run)
            if turn:
                taken[name].append(seconds)
    return {name: median(seconds) for name, seconds in taken.items()}


def once(run: Callable[[], object]) -> float:
    start = _now()
    run()
    return _now() - start


def _now() -> float:
    if DEVICE == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def fastest(rivals: Mapping[int, Callable[[], object]]) -> int:
    """The batch size with the shortest run."""
    taken = {size: interleaved({"": run}, 1)[""] for size, run in rivals.items()}
    return min(taken, key=taken.__getitem__)


def digits(seconds: float) -> str:
    """Milliseconds to three significant digits."""
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table, one line at a time."""
    for line in chain([head, ["---"] * len(head)], rows):
        yield "| " + " | ".join(str(cell) for cell in line) + " |\n"


def peak() -> float:
    """Multiply-adds per second of a large float32 matrix product, with the faster of torch and oneDNN.

    On some processors torch is half as fast.
    """
    size = 1024 if DEVICE == "cpu" else 8192
    a = torch.randn(size, size, device=DEVICE)
    weights = Weights(a[:, :, None, None])
    with torch.inference_mode(), full_float32():
        seconds = interleaved({"torch": lambda: a @ a, "ours": lambda: weights.over(a[:, :, None, None])}, 5)
    return float(size**3 / min(seconds.values()))
