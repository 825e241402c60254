"""From a map to the two arms: the phases where a perturbation contributes least and most."""

import numpy as np
from jaxtyping import Float

from perturb.records import Contribution, Locations
from perturb.streams import stream

Phases = Float[np.ndarray, "phase_row phase_column"]

FLAT = 1 + 1e-9  # max/min up to which a structural map is balanced: its accuracy is far better, an effect far larger
SMALLEST_CELL = 8  # side of the cell in which a balanced network's arms are drawn


def fold(contribution: Contribution, period: int | None = None) -> Phases:
    """Mean contribution of each phase (row mod T, column mod T), counted from the image's top left.

    Rows and columns nearer to the border than an eighth of the map are left out of a measured map, as far as whole
    cells remain; a structural map has no border. Scaled to mean 1. `period` defaults to the map's own.
    """
    values = contribution.values
    period = period or contribution.period
    if contribution.kind != "structural":
        cuts = [period * -(-(n // 8) // period) for n in values.shape]
        cuts = [c if n - 2 * c >= 2 * period else 0 for c, n in zip(cuts, values.shape, strict=True)]
        values = values[cuts[0] : values.shape[0] - cuts[0], cuts[1] : values.shape[1] - cuts[1]]
    else:
        repeats = np.lcm(period, contribution.period) // contribution.period
        values = np.tile(values, (repeats, repeats))
    rows, columns = (n // period for n in values.shape)
    cells = values[: rows * period, : columns * period].reshape(rows, period, columns, period)
    folded: np.ndarray = cells.mean((0, 2))
    return folded / folded.mean()


def imbalance(phases: Phases) -> float:
    """max/min over the phases; infinity where a phase is strictly dead."""
    smallest = float(phases.min())
    return float(phases.max()) / smallest if smallest > 0 else float("inf")


def dead_share(phases: Phases, below: float = 0.5) -> float:
    """Share of phases that contribute less than `below` times the mean."""
    return float((phases < below * phases.mean()).mean())


def patch_sum(phases: Phases, size: int) -> Phases:
    """What a size x size patch with its top left at each phase covers; the lattice repeats."""
    return sum(np.roll(phases, (-r, -c), (0, 1)) for r in range(size) for c in range(size))  # type: ignore[return-value]


def choose(contribution: Contribution, *, size: int = 1, share: float = 0.05, seed: int = 0) -> Locations:
    """The `share` of phases (at least one) where a size x size patch contributes least, and most.

    Of a structural map, equal phases stay together, so an arm may be larger than its share. A balanced map has no
    dead arm: both arms are then drawn at random, without overlap, so that "no loss" is measured and not assumed.
    """
    phases = patch_sum(fold(contribution), size)
    if phases.max() <= FLAT * phases.min():
        return _random_arms(contribution.period, share, seed)
    flat = np.sort(phases.ravel())
    last = max(1, round(share * flat.size)) - 1
    slack = 1e-9 * flat[-1]
    dead, live = phases <= flat[last] + slack, phases >= flat[-1 - last] - slack
    return Locations(
        dead=np.argwhere(dead & ~live), live=np.argwhere(live & ~dead), period=contribution.period, balanced=False
    )


def below_and_above(contribution: Contribution, *, dead_below: float, live_above: float, size: int = 1) -> Locations:
    """Phases whose patch contributes less than `dead_below`, and more than `live_above`, times the mean.

    Raises ValueError where the thresholds cross or an arm is empty.
    """
    if not dead_below < live_above:
        raise ValueError(f"`dead_below` (={dead_below}) must be below `live_above` (={live_above}).")
    phases = patch_sum(fold(contribution), size) / size**2
    dead, live = np.argwhere(phases < dead_below), np.argwhere(phases > live_above)
    for name, arm in (("dead_below", dead), ("live_above", live)):
        if not len(arm):
            raise ValueError(f"`{name}`: no phase qualifies; phases span {phases.min():.3g} to {phases.max():.3g}.")
    return Locations(dead=dead, live=live, period=contribution.period, balanced=False)


def anywhere(period: int) -> Locations:
    """Both arms are all phases: what a detector is trained on."""
    every = np.argwhere(np.ones((period, period), dtype=bool))
    return Locations(dead=every, live=every, period=period, balanced=True)


def _random_arms(period: int, share: float, seed: int) -> Locations:
    period *= -(-SMALLEST_CELL // period)
    every = stream(seed, "locations/random").permutation(np.argwhere(np.ones((period, period), dtype=bool)))
    count = max(1, round(share * len(every)))
    return Locations(dead=every[:count], live=every[count : 2 * count], period=period, balanced=True)
