"""Quantities of the map alone: no sampling error is counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perturb.locations import dead_share, fold, imbalance
from perturb.quantities.detection import CEILING, FLOOR
from perturb.records import Contribution, Effect, Observation, OperatingPoint, Saturation

LARGEST = 1e308  # stands for infinity, which JSON does not have


@dataclass(frozen=True, kw_only=True)
class OfMap:
    """A number of the map."""

    value: Callable[[Contribution], float]
    version: int
    words: str
    range: tuple[float, float]

    def misfit(self, point: OperatingPoint) -> str:
        return ""

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        value = min(self.value(contribution), LARGEST)
        return Effect(
            value=value,
            low=value,
            high=value,
            n=contribution.images,
            method="exact" if self.is_exact(contribution) else "as measured",
            confidence=confidence,
            spread=0.0,
            saturated=reported(contribution),
        )

    def is_exact(self, contribution: Contribution) -> bool:
        return contribution.kind in ("structural", "sensor")


@dataclass(frozen=True, kw_only=True)
class Unread(OfMap):
    """A share of the picture's own pixels, border included: a lattice that is folded hides what no window reaches."""

    def is_exact(self, contribution: Contribution) -> bool:
        return contribution.unread is not None or OfMap.is_exact(self, contribution)


def unread(contribution: Contribution) -> float:
    """What the architecture does not read, where that is known; else the pixels at which the map is 0."""
    return float((contribution.values == 0).mean()) if contribution.unread is None else contribution.unread


def reported(contribution: Contribution) -> Saturation:
    """Of a map of the model's own answer: where next to nothing or all is reported, phases that are alike say nothing.

    Its level is sought where about half is reported.
    """
    if not contribution.rates:
        return ""
    share = float(np.mean([one.rate.value for one in contribution.rates]))
    return "floor" if share < FLOOR / 2 else "ceiling" if share > CEILING else ""


IMBALANCE = OfMap(
    value=lambda found: imbalance(fold(found)),
    version=1,
    words="contribution of the liveliest phase over that of the deadest",
    range=(1, np.inf),
)
UNREAD_SHARE = Unread(
    value=unread,
    version=2,
    words="share of the picture's pixels that nothing reads",
    range=(0, 1),
)
DEAD_SHARE = OfMap(
    value=lambda found: dead_share(fold(found)),
    version=1,
    words="share of phases that contribute less than half the mean",
    range=(0, 1),
)
