"""Intervals as bars in the cells of a table: the line is the interval, the dot its estimate, shaded what is allowed.

Every value is a place in percent of the cell's width. Bars of one quantity share a scale, so that rows compare.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perturb.records import Effect, Finding
from perturb.render.charts import FINITE
from perturb.render.terminal import number

ROOM = 0.06  # of the scale, at either end


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An interval on its scale, and the same in words for those who do not see it."""

    zero: float
    low: float
    value: float
    high: float
    claim: float | None  # up to there a claim holds; None without a claim
    words: str


def of_findings(findings: Sequence[Finding]) -> list[Bar | None]:
    """A bar for each, against its claim; None where the interval has no end or no width."""
    of: dict[str, list[tuple[Effect, float | None]]] = {}
    for f in findings:
        of.setdefault(f.effect.quantity, []).append((f.effect, f.claim.at_most))
    scales = {quantity: _scale(rows) for quantity, rows in of.items()}
    return [_bar(f.effect, f.claim.at_most, scales[f.effect.quantity]) for f in findings]


def of_effects(effects: Sequence[Effect | None]) -> list[Bar | None]:
    """A bar for each, all on one scale, without a claim; None for None."""
    scale = _scale([(effect, None) for effect in effects if effect])
    return [_bar(effect, None, scale) if effect else None for effect in effects]


def _scale(rows: Sequence[tuple[Effect, float | None]]) -> tuple[float, float]:
    """From the least to the greatest that is shown, zero among them, with some room."""
    ends = [0.0] + [end for effect, claim in rows if _drawn(effect) for end in (effect.low, effect.high, claim or 0.0)]
    room = ROOM * (max(ends) - min(ends)) or ROOM
    return min(ends) - room, max(ends) + room


def _drawn(effect: Effect) -> bool:
    return max(-effect.low, effect.high) < FINITE


def _bar(effect: Effect, claim: float | None, scale: tuple[float, float]) -> Bar | None:
    if not _drawn(effect):
        return None
    least, most = scale

    def at(value: float) -> float:
        return round(100 * (value - least) / (most - least), 2)

    told = f", claimed at most {claim:g}" if claim is not None else ""
    return Bar(
        zero=at(0.0),
        low=at(effect.low),
        value=at(effect.value),
        high=at(effect.high),
        claim=None if claim is None else at(claim),
        words=f"{number(effect.value)}, between {number(effect.low)} and {number(effect.high)}{told}",
    )
