"""The loss at the worst phase: a claim about every phase of the lattice at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from perturb.errors import InputError
from perturb.quantities.detection import ByCause, OfTrials, at_floor_or_ceiling, detected
from perturb.quantities.statistics import BETTING, for_seeds, rate
from perturb.records import Contribution, Effect, Observation, PhaseRate
from perturb.stats.clusters import spread
from perturb.stats.largest import largest_interval

HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class LargestByPhase(OfTrials):
    """The largest loss over the phases: detection anywhere minus detection at one phase, mean over photographs."""

    every_phase: ClassVar[bool] = True
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def effect(self, seen: Observation, contribution: Contribution, *, confidence: float, seed: int) -> Effect:
        phases, table = losses(seen)
        means = table.mean(1)
        worst = int(means.argmax())
        low, high = largest_interval(table, self.range, confidence)
        row, column = (int(n) for n in phases[worst])
        luck = f"; as the largest of {len(phases)} it is somewhat too large" if len(phases) > 1 else ""
        return Effect(
            value=float(means[worst]),
            low=low,
            high=high,
            n=table.shape[1],
            method=BETTING.format(table.shape[1]) + for_seeds(seen.evidence.shape[0]),
            confidence=confidence,
            spread=spread(table[worst]),
            saturated=self.saturated(seen),
            where=f"worst at phase ({row}, {column}){luck}",
            among=len(phases),
        )

    def by_cause(self, seen: Observation) -> ByCause:
        """Of the trials at phases that lose at least half as much as the worst: one phase alone may be so by chance."""
        assert seen.phase is not None
        phases, table = losses(seen)
        bad = phases[table.mean(1) >= HALF * table.mean(1).max()]
        here = (seen.phase[..., None, :] == bad).all(-1).any(-1)
        dead, live = (detected(seen, arm)[:, 0] for arm in ("dead", "live"))
        anywhere = np.empty_like(live)
        for photograph in np.unique(seen.photograph):
            own = seen.photograph == photograph
            anywhere[:, own] = live[:, own].mean((1, 2))[:, None, None]
        lost = np.where(here, anywhere - dead, np.nan)
        return ByCause(lost=lost, paired=lost, bounds=self.range)


def losses(seen: Observation) -> tuple[Int[np.ndarray, "phase 2"], Float[np.ndarray, "phase cluster"]]:
    """The phases, and for each the loss of every photograph: detected anywhere minus detected at this phase.

    "Anywhere" is the mean of all the photograph's live places. Mean over the seeds. Raises InputError where a
    photograph did not show every phase.
    """
    assert seen.phase is not None
    phases, number = np.unique(seen.phase.reshape(-1, 2), axis=0, return_inverse=True)
    photographs, owner = np.unique(seen.photograph, return_inverse=True)
    shape = len(phases), len(photographs)
    cell = number.reshape(seen.phase.shape[:-1]) * shape[1] + owner[:, None]  # seed, image, pair
    dead, live = (detected(seen, arm)[:, 0] for arm in ("dead", "live"))
    tables = []
    for here, at_phase, anywhere in zip(cell, dead, live, strict=True):
        count = np.bincount(here.ravel(), minlength=shape[0] * shape[1])
        if not count.all():
            raise InputError(f"a photograph was not asked about each of {len(phases)} phases: raise `pairs`.")
        there = (np.bincount(here.ravel(), at_phase.ravel(), len(count)) / count).reshape(shape)
        of_photograph = np.bincount(owner, anywhere.mean(1)) / np.bincount(owner)
        tables.append(of_photograph - there)
    return phases, np.mean(tables, 0)


def rates(seen: Observation) -> tuple[PhaseRate, ...]:
    """The share detected at each phase, of the first seed, with an interval for reading."""
    assert seen.phase is not None
    phase, yes = seen.phase[0], detected(seen, "dead")[0, 0]
    owner = np.repeat(seen.photograph[:, None], yes.shape[1], 1)
    found = []
    for row, column in np.unique(phase.reshape(-1, 2), axis=0):
        here = (phase == (row, column)).all(-1)
        found.append(PhaseRate(phase=(int(row), int(column)), rate=rate(yes[here][None, :, None], owner[here])))
    return tuple(found)


WORST_PHASE = LargestByPhase(
    value=detected,
    version=1,
    words="accuracy lost at the worst phase",
    saturated=at_floor_or_ceiling,
    clean=("absent", "none", "unmatched"),
)
