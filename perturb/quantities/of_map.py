"""Quantities of the map alone: no sampling error is counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perturb.locations import Phases, dead_share, fold, imbalance
from perturb.records import Contribution, Effect, Observation, OperatingPoint

LARGEST = 1e308  # stands for infinity, which JSON does not have


@dataclass(frozen=True, kw_only=True)
class OfMap:
    """A number of the map's phases."""

    value: Callable[[Phases], float]
    version: int
    words: str
    range: tuple[float, float]

    def misfit(self, point: OperatingPoint) -> str:
        return ""

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        value = min(self.value(fold(contribution)), LARGEST)
        return Effect(
            value=value,
            low=value,
            high=value,
            n=contribution.images,
            method="exact" if contribution.kind in ("structural", "sensor") else "as measured",
            confidence=confidence,
            spread=0.0,
        )


IMBALANCE = OfMap(
    value=imbalance, version=1, words="contribution of the liveliest phase over that of the deadest", range=(1, np.inf)
)
UNREAD_SHARE = OfMap(
    value=lambda phases: float((phases == 0).mean()),
    version=1,
    words="share of the pixels taken of the picture that nothing reads",
    range=(0, 1),
)
DEAD_SHARE = OfMap(
    value=dead_share, version=1, words="share of phases that contribute less than half the mean", range=(0, 1)
)
