"""How often a verdict is wrong where that is easiest: at the boundary, after any number of photographs up to 200."""

from collections.abc import Iterator

import numpy as np

from benchmarks.decisions import DRIFT, ERROR, KINDS, PARTS, RUNS, money

CLAIM = 0.1  # and the margin of a change
CHECKS = (1, 3, 10)
PHOTOGRAPHS = 200
Wins = np.ndarray  # run: the most money that was ever won


def report() -> Iterator[str]:
    """A table in Markdown."""
    columns = [f"{name} of {n}" for name in ("FAIL", "REGRESSED or IMPROVED") for n in CHECKS]
    yield f"| photographs | PASS | {' | '.join(columns)} | EQUIVALENT | the interval misses |\n"
    yield f"|{'---|' * (len(columns) + 4)}\n"
    rng = np.random.default_rng(0)
    for kind in KINDS:
        if kind != DRIFT:
            yield f"| {kind} | {' | '.join(f'{share:.1%}' for share in _shares(kind, rng))} |\n"


def _shares(kind: str, rng: np.random.Generator) -> Iterator[float]:
    """Of all runs, looked at after each photograph; each check of a run is drawn anew."""
    high, low = _most_won(kind, CLAIM, rng)
    rose, fell = _most_won(kind, 0.0, rng)
    yield _wrong(high, 1)
    yield from (_wrong(low, n) for n in CHECKS)
    yield from (_wrong(np.maximum(rose, fell), 2 * n, checks=n) for n in CHECKS)
    yield _wrong(high, 1)
    yield _wrong(np.maximum(high, low), 1)


def _wrong(won: Wins, tests: int, *, checks: int | None = None) -> float:
    """The share of runs in which a check is decided, wrongly; Holm's first step shares the error among the tests."""
    runs = won[: len(won) // (checks or tests) * (checks or tests)].reshape(-1, checks or tests)
    return float((runs.max(1) >= tests / ERROR).mean())


def _most_won(kind: str, mean: float, rng: np.random.Generator) -> tuple[Wins, Wins]:
    """The most ever won against "the mean is `mean` or more", and or less, where it is `mean`."""
    above, below = [], []
    for part in np.array_split(np.arange(RUNS), PARTS):
        values = KINDS[kind](CLAIM, (len(part), PHOTOGRAPHS), rng) + mean - CLAIM
        above.append(money(values, mean).max(1))
        below.append(money(-values, -mean).max(1))
    return np.concatenate(above), np.concatenate(below)
