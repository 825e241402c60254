"""The same trials in two runs -> Changes: what got worse, what got better, and how sure that is.

Tested are detection at dead and at live places, each pair of outcomes being one trial in both runs. The loss is shown
and not tested: it is their difference, and it rises too where a model merely sees more at live places.

Places that one model's map chose favour the other: they are the worst of the one alone. Where the maps of two models
choose different places, each is tested at its own, paired by photograph. At the baseline's dead places a fall alone
counts, and at its live places nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from perturb.files import SEALED, Upgrade, decode
from perturb.quantities.statistics import by_photograph, mean_effect
from perturb.records import Arm, Effect, Saturation
from perturb.stats.multiplicity import holm
from perturb.stats.power import clusters_to_decide
from perturb.verdict import SATURATED

Against = Literal["accepted", "best"]
SCHEMA = 3  # 2 had no digest; 1 had p-values, and counted pairs in place of photographs
UPGRADES: Mapping[int, Upgrade] = {2: dict}
CONFIDENCE = 0.95  # that nothing is called REGRESSED or IMPROVED by chance, over all tests of a comparison
LOSS = "loss"
TESTED: dict[Arm, str] = {"dead": "detection at dead places", "live": "detection at live places"}  # by arm
OWN: dict[Arm, str] = {
    "dead": "detection at each model's own dead places",
    "live": "detection at each model's own live places",
}
Asked = Literal["any change", "a fall", "nothing"]


class ChangeVerdict(StrEnum):
    REGRESSED = "REGRESSED"
    IMPROVED = "IMPROVED"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPARABLE = "INCOMPARABLE"


MOVED = (ChangeVerdict.REGRESSED, ChangeVerdict.IMPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """One quantity of one check, trial by trial, before and after."""

    check: str
    quantity: str
    against: Against
    among: int = 1  # runs that the one before was picked from, as the best
    before: Float[np.ndarray, "image pair"]
    after: Float[np.ndarray, "image pair"]
    photograph: Int[np.ndarray, " image"]
    saturated: Saturation = ""
    identical: bool = False  # the detector gave the same evidence in every trial
    asked: Asked = "any change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A pairing, decided. The effect is after minus before."""

    check: str
    quantity: str
    against: Against
    before: float
    after: float
    effect: Effect
    fell: int  # photographs whose mean is lower than before
    rose: int
    verdict: ChangeVerdict | None  # None where nothing is asked, or a fall alone and none is shown
    reason: str
    needed: int | None = None  # judged photographs that would decide an INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Which run it was, of what, where and when."""

    run: str  # its digest
    model: str
    weights: str  # a digest
    device: str
    timestamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A candidate beside its baseline."""

    schema: int
    suite: str
    verdict: ChangeVerdict
    margin: float
    baseline: RunSummary
    candidate: RunSummary
    changes: tuple[Change, ...]
    differs: tuple[str, ...] = ()  # what makes them INCOMPARABLE
    warnings: tuple[str, ...] = ()  # what limits the comparison
    digest: str = field(default="", compare=False, metadata=SEALED)  # of the rest; written by `encode`


def judge(pairings: Sequence[Pairing], *, margin: float, seed: int) -> tuple[Change, ...]:
    """A change for each pairing.

    Each is EQUIVALENT at its own confidence, since all must be. Any REGRESSED or IMPROVED is told, so Holm's procedure
    shares the error rate of these.
    """

    @cache
    def effect(i: int, confidence: float) -> Effect:
        return _effect(pairings[i], confidence, seed)

    def moves_at(i: int) -> Callable[[float], bool]:
        return lambda confidence: _decide(pairings[i], effect(i, confidence), margin)[0] in MOVED

    tested = [i for i, pairing in enumerate(pairings) if pairing.asked != "nothing"]
    shared = dict(zip(tested, holm([moves_at(i) for i in tested], [CONFIDENCE] * len(tested)), strict=True))
    used = [shared[i] if i in shared and moves_at(i)(CONFIDENCE) else CONFIDENCE for i in range(len(pairings))]
    return tuple(_change(p, effect(i, used[i]), margin) for i, p in enumerate(pairings))


def decide(effect: Effect, margin: float, *, identical: bool = False) -> tuple[ChangeVerdict, str]:
    """REGRESSED: lower, and not shown to be so by `margin` at most. EQUIVALENT: within the margin.

    Trials whose evidence is the same to the last bit need no statistics.
    """
    if identical:
        return ChangeVerdict.EQUIVALENT, "every trial gave the very same evidence"
    if effect.high < 0 and effect.low < -margin:
        beyond = effect.high < -margin
        why = f"the whole interval lies below {-margin:g}" if beyond else f"a fall beyond {margin:g} is not ruled out"
        return ChangeVerdict.REGRESSED, f"surely lower; {why}"
    if effect.low > 0 and effect.high > margin:
        beyond = effect.low > margin
        why = f"the whole interval lies above {margin:g}" if beyond else f"a rise beyond {margin:g} is not ruled out"
        return ChangeVerdict.IMPROVED, f"surely higher; {why}"
    if effect.low < -margin or effect.high > margin:
        return ChangeVerdict.INCONCLUSIVE, f"the interval leaves room for no change and for one beyond {margin:g}"
    if effect.saturated:
        return ChangeVerdict.INCONCLUSIVE, f"the baseline is at the {effect.saturated}: {SATURATED[effect.saturated]}"
    return ChangeVerdict.EQUIVALENT, f"the whole interval lies within {margin:g}"


def overall(changes: Sequence[Change]) -> ChangeVerdict:
    """The worst of them: one REGRESSED is a regression, an improvement elsewhere does not make up for it."""
    verdicts = {change.verdict for change in changes}
    for verdict in (ChangeVerdict.REGRESSED, ChangeVerdict.INCONCLUSIVE, ChangeVerdict.IMPROVED):
        if verdict in verdicts:
            return verdict
    return ChangeVerdict.EQUIVALENT


def from_json(text: str, where: object = "changes.json") -> Changes:
    """The Changes that `files.encode` wrote. Raises InputError for any other text."""
    return decode(Changes, text, where, schema=SCHEMA, upgrades=UPGRADES, check=_contradictions)


def _contradictions(found: Changes) -> Iterator[str]:
    worst = ChangeVerdict.INCOMPARABLE if found.differs else overall(found.changes)
    if found.verdict != worst:
        yield f"verdict: {found.verdict}, but the changes make it {worst}"


def _decide(pairing: Pairing, effect: Effect, margin: float) -> tuple[ChangeVerdict | None, str]:
    if pairing.asked == "nothing":
        return None, ""
    verdict, reason = decide(effect, margin, identical=pairing.identical)
    if pairing.asked == "a fall" and verdict != ChangeVerdict.REGRESSED:
        return None, "no fall shown, and nothing else is asked here"
    return verdict, reason


def _means(values: np.ndarray, pairing: Pairing) -> Float[np.ndarray, "1 cluster"]:
    return by_photograph(values[None], pairing.photograph)


def _effect(pairing: Pairing, confidence: float, seed: int) -> Effect:
    """Of many runs the best is the best by luck too: to be held against it asks so many times the certainty."""
    table = _means(pairing.after - pairing.before, pairing)
    confidence = 1 - (1 - confidence) / pairing.among
    limit = 2.0 if pairing.quantity == LOSS else 1.0
    effect = mean_effect(table, confidence=confidence, seed=seed, limit=limit, saturated=pairing.saturated)
    return replace(effect, quantity=pairing.quantity, version=3)


def _change(pairing: Pairing, effect: Effect, margin: float) -> Change:
    verdict, reason = _decide(pairing, effect, margin)
    effects, needed = _means(pairing.after - pairing.before, pairing), None
    if verdict == ChangeVerdict.INCONCLUSIVE and not effect.saturated:
        needed = _needed(effect, margin)
    return Change(
        check=pairing.check,
        quantity=pairing.quantity,
        against=pairing.against,
        before=float(_means(pairing.before, pairing).mean()),
        after=float(_means(pairing.after, pairing).mean()),
        effect=effect,
        fell=int((effects < 0).sum()),
        rose=int((effects > 0).sum()),
        verdict=verdict,
        reason=reason,
        needed=needed,
    )


def _needed(effect: Effect, margin: float) -> int | None:
    """Photographs whose interval would exclude no change, or would fit within the margin."""

    def beyond(limit: float) -> int | None:
        return clusters_to_decide(effect.value, effect.spread, limit, (-1, 1), effect.confidence, have=effect.n)

    within = [beyond(limit) for limit in (-margin, margin)] if abs(effect.value) < margin else [None]
    ways = [beyond(0.0), None if None in within else max(n for n in within if n)]
    return min((n for n in ways if n), default=None)
