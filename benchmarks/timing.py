"""Interleaved timing on a machine that others use too, and Markdown tables of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from statistics import median

import torch

from perturb.incremental.products import Weights
from perturb.precision import full_float32

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def interleaved(rivals: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each rival, all in turn, after one round that does not count.

    On a CPU processor time of this process: what others do on the machine does not enter it, and on one thread it is
    wall time. On an accelerator wall time until all is done there.
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
    """The batch size whose run is shortest."""
    taken = {size: interleaved({"": run}, 1)[""] for size, run in rivals.items()}
    return min(taken, key=taken.__getitem__)


def digits(seconds: float) -> str:
    """Milliseconds to three digits."""
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table, line by line as the rows come."""
    for line in chain([head, ["---"] * len(head)], rows):
        yield "| " + " | ".join(str(cell) for cell in line) + " |\n"


def peak() -> float:
    """Multiply-adds a second of a float32 matrix product that fills the device, by the quicker library.

    torch's own is half as quick as oneDNN on some processors.
    """
    size = 1024 if DEVICE == "cpu" else 8192
    a = torch.randn(size, size, device=DEVICE)
    weights = Weights(a[:, :, None, None])
    with torch.inference_mode(), full_float32():
        seconds = interleaved({"torch": lambda: a @ a, "ours": lambda: weights.over(a[:, :, None, None])}, 5)
    return float(size**3 / min(seconds.values()))
