"""How often a claim at its boundary passes wrongly, and how often a model without loss passes: bets against rivals."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from perturb.stats.betting import SHARES, growth

RUNS, ERROR = 10_000, 0.025
PARTS = 20  # of the runs, one after another in memory
SIZES = (8, 20, 40, 80, 200)
CLAIMS = (0.2, 0.1, 0.05)
Losses = np.ndarray  # run, photograph


def report() -> Iterator[str]:
    """Tables in Markdown."""
    rng = np.random.default_rng(0)
    head = " | ".join(f"n = {n}" for n in SIZES)
    yield f"| true loss = claim | photographs | {head} | looked at after each |\n|{'---|' * (len(SIZES) + 3)}\n"
    for claim in CLAIMS:
        for kind in KINDS:
            any_look = "" if kind == DRIFT else f"{_passes(kind, claim, claim, max(SIZES), rng)[2]:.1%}"
            yield f"| {claim:g} | {kind} | {_cells(kind, claim, claim, rng)} | {any_look} |\n"
    yield f"\n| claim, no loss | photographs | {head} |\n|{'---|' * (len(SIZES) + 2)}\n"
    for claim in CLAIMS:
        for kind in ("one pair", "8 pairs", "32 pairs"):
            yield f"| {claim:g} | {kind} | {_cells(kind, 0.0, claim, rng)} |\n"


def _cells(kind: str, loss: float, claim: float, rng: np.random.Generator) -> str:
    shares = [_passes(kind, loss, claim, n, rng) for n in SIZES]
    return " | ".join(f"{bets:.1%} / {student:.1%}" for bets, student, _ in shares)


def _passes(kind: str, loss: float, claim: float, n: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """The share that passes with n photographs by bets, by Student's t, and by bets at any look on the way."""
    bets, student, any_look = [], [], []
    for part in np.array_split(np.arange(RUNS), PARTS):
        losses = KINDS[kind](loss, (len(part), n), rng)
        won = money(losses, claim) >= 1 / ERROR
        bets.append(won[:, -1])
        any_look.append(won.any(1))
        student.append(_student(losses, claim))
    found = [float(np.concatenate(each).mean()) for each in (bets, student, any_look)]
    return found[0], found[1], found[2]


def money(losses: Losses, claim: float) -> Losses:
    """What the bets against "the loss is the claim or more" have won after each photograph."""
    log_money = growth((losses + 1) / 2, (claim + 1) / 2).cumsum(-1)
    return np.asarray(np.exp(logsumexp(log_money, axis=0, b=SHARES[:, None, None])))


def _student(losses: Losses, claim: float) -> Losses:
    """The rule before: the t interval within the claim, and a loss of the claim's size would have been seen.

    It would if the photographs' spread allows it with power 0.8, and if a fifth of all losing everything would be met.
    """
    n = losses.shape[1]
    spread = losses.std(1, ddof=1)
    quantile, power = stats.t.ppf(1 - ERROR, n - 1), stats.t.ppf(0.8, n - 1)
    detectable = np.maximum((quantile + power) * spread / n**0.5, 1 - 0.2 ** (1 / n))
    equal = np.ptp(losses, 1) == 0
    within = losses.mean(1) + quantile * spread / n**0.5 <= claim
    enough = np.where(equal, 3.84 / (n + 3.84), detectable) <= claim
    return np.asarray(within & enough)


def _pairs(count: int, agreement: float = 0.0) -> Callable[..., Losses]:
    def draw(loss: float, shape: tuple[int, int], rng: np.random.Generator) -> Losses:
        """Live places found 85 % of the time; `agreement` makes photographs differ (beta-binomial)."""
        arms = []
        for rate in (0.85, 0.85 - loss):
            weight = (1 - agreement) / agreement if agreement else 0
            chance = rng.beta(rate * weight, (1 - rate) * weight, shape) if weight else np.full(shape, rate)
            arms.append(rng.binomial(count, chance) / count)
        return np.asarray(arms[0] - arms[1])

    return draw


DRIFT = "harder and harder"  # the mean is the claim over all n, and less before
KINDS = {
    "one pair": _pairs(1),
    "8 pairs": _pairs(8),
    "32 pairs": _pairs(32),
    "8 pairs, photographs differ": _pairs(8, 0.3),
    "a share loses everything": lambda loss, shape, rng: (rng.random(shape) < loss).astype(float),
    DRIFT: lambda loss, shape, rng: (rng.random(shape) < 2 * loss * np.linspace(0, 1, shape[1])).astype(float),
}
