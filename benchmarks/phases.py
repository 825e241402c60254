"""How often a claim about every phase is decided: wrongly at its boundary, rightly where no or one phase loses."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import logsumexp

from perturb.stats.betting import log_money

RUNS, ERROR = 400, 0.025
SIZES = (20, 40, 80, 200)
PHASES = (4, 16, 64)
CLAIM = 0.2
Losses = np.ndarray  # phase, photograph


def report() -> Iterator[str]:
    """A table in Markdown: PASS / FAIL."""
    rng = np.random.default_rng(0)
    head = " | ".join(f"n = {n}" for n in SIZES)
    yield f"| what is true | phases | {head} |\n|{'---|' * (len(SIZES) + 2)}\n"
    for name, draw in KINDS.items():
        for phases in PHASES:
            cells = (decided(draw, phases, n, rng) for n in SIZES)
            yield f"| {name} | {phases} | {' | '.join(f'{passed:.1%} / {failed:.1%}' for passed, failed in cells)} |\n"


def decided(draw: Callable[..., Losses], phases: int, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """The shares of runs that PASS (each phase excludes the claim) and that FAIL (the phases' money together does)."""
    verdicts = []
    for _ in range(RUNS):
        scaled, margin = (draw(phases, n, rng) + 1) / 2, (CLAIM + 1) / 2
        below = log_money(scaled, margin).min()
        above = logsumexp(log_money(1 - scaled, 1 - margin)) - np.log(phases)
        verdicts.append((below >= -np.log(ERROR), above >= -np.log(ERROR)))
    passed, failed = np.mean(verdicts, 0)
    return float(passed), float(failed)


def _rare(bad: int | None) -> Callable[..., Losses]:
    """A fifth of the photographs loses everything: at `bad` phases, or at all."""

    def draw(phases: int, n: int, rng: np.random.Generator) -> Losses:
        losses = np.zeros((phases, n))
        losses[:bad] = rng.random(n) < CLAIM
        return losses

    return draw


def _found(rate: float, worst: float, visits: int) -> Callable[..., Losses]:
    """Live places and all phases but the first are found at `rate`, the first at `worst`; so many visits to each."""

    def draw(phases: int, n: int, rng: np.random.Generator) -> Losses:
        rates = np.full((phases, 1), rate)
        rates[0] = worst
        anywhere = rng.binomial(phases * visits, rates.mean(), n) / (phases * visits)
        return np.asarray(anywhere - rng.binomial(visits, np.broadcast_to(rates, (phases, n))) / visits)

    return draw


KINDS = {
    "a fifth loses everything at one phase": _rare(1),
    "a fifth loses everything at all": _rare(None),
    "no loss, all found 95 %, one visit": _found(0.95, 0.95, 1),
    "no loss, all found 95 %, 4 visits": _found(0.95, 0.95, 4),
    "no loss, all found 85 %, 4 visits": _found(0.85, 0.85, 4),
    "one phase never, others 85 %, one visit": _found(0.85, 0.0, 1),
}
