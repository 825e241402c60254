"""Dead and live phases of a contribution map: where a perturbation contributes least, and most."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from perturb.errors import InputError
from perturb.records import Contribution, Lattice, Locations, Phase
from perturb.streams import stream

Phases = Float[np.ndarray, "phase_row phase_column"]
Area = tuple[int, int, int, int]  # top, left, bottom, right

SLACK = 1e-9  # share of the largest phase below which phases count as equal: above rounding, below any real effect
SMALLEST_CELL = 8  # least side of the cell in which the random arms of a balanced map are drawn


def fold(contribution: Contribution, period: int | None = None) -> Phases:
    """Mean contribution of each phase (row mod T, column mod T), scaled to mean 1; the image's top left is (0, 0).

    A measured map loses an eighth of its rows and columns at each border, rounded up to whole cells, as long as two
    cells remain along that axis. A structural map has no border. `period` defaults to the map's own; where its rows and
    columns have periods of their own, phases that these make the same have one mean. Of a resized picture only the
    part that is taken counts; where its lattice has no whole period, each pixel inside the border is a phase by itself.
    """
    values, periods = contribution.values, None if period else contribution.periods
    period = period or contribution.period
    if (lattice := contribution.lattice) is not None:
        top, left, bottom, right = interior(lattice.area, period)
        values = values[top:bottom, left:right]
        if not lattice.whole:
            return values / values.mean()
    elif contribution.kind != "structural":
        cuts = [period * -(-(n // 8) // period) for n in values.shape]
        cuts = [c if n - 2 * c >= 2 * period else 0 for c, n in zip(cuts, values.shape, strict=True)]
        values = values[cuts[0] : values.shape[0] - cuts[0], cuts[1] : values.shape[1] - cuts[1]]
    else:
        repeats = np.lcm(period, contribution.period) // contribution.period
        values = np.tile(values, (repeats, repeats))
    folded = _means(values, (period, period))
    if periods:
        folded = np.tile(_means(folded, periods), [period // each for each in periods])
    return folded / folded.mean()


def _means(values: Phases, periods: tuple[int, int]) -> Phases:
    """The mean of each phase over whole cells of so many rows and columns."""
    rows, columns = (n // each for n, each in zip(values.shape, periods, strict=True))
    cells = values[: rows * periods[0], : columns * periods[1]].reshape(rows, periods[0], columns, periods[1])
    return np.asarray(cells.mean((0, 2)))


def interior(area: Area, period: int) -> Area:
    """Top, left, bottom and right of the whole cells that lie an eighth of the area away from its border.

    Cells begin at multiples of the period. Where fewer than two would be left along an axis there is no border.
    Raises InputError where not even one is left.
    """
    spans = []
    for first, last in zip(area[:2], area[2:], strict=True):
        for border in (-(-((last - first) // 8) // period) * period, 0):
            begin, end = -(-(first + border) // period) * period, (last - border) // period * period
            if end - begin >= 2 * period:
                break
        if end <= begin:
            raise InputError(f"a lattice of {period} pixels does not fit {last - first} pixels of the picture.")
        spans.append((begin, end))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def middle_cell(lattice: Lattice) -> Phase:
    """(row, column) of the top left of the cell in the middle."""
    top, left, bottom, right = interior(lattice.area, lattice.cell)
    row, column = ((last - first) // lattice.cell // 2 for first, last in ((top, bottom), (left, right)))
    return top + row * lattice.cell, left + column * lattice.cell


def one_cell(contribution: Contribution) -> Phases:
    """The mean contribution of each phase; of a lattice without a whole period, of each pixel of the middle cell."""
    lattice = contribution.lattice
    if lattice is None or lattice.whole:
        return fold(contribution)
    top, left, _, _ = interior(lattice.area, lattice.cell)
    row, column = middle_cell(lattice)
    return fold(contribution)[row - top :, column - left :][: lattice.cell, : lattice.cell]


def imbalance(phases: Phases) -> float:
    """max/min over the phases; infinity where a phase is strictly dead."""
    smallest = float(phases.min())
    return float(phases.max()) / smallest if smallest > 0 else float("inf")


def dead_share(phases: Phases, below: float = 0.5) -> float:
    """Share of phases that contribute less than `below` times the mean."""
    return float((phases < below * phases.mean()).mean())


def patch_sum(phases: Phases, size: int | tuple[int, int]) -> Phases:
    """The sum of the phases under a patch whose top left lies at each phase; the lattice repeats.

    `size` is its side, or its rows and columns.
    """
    for axis, length in enumerate((size, size) if isinstance(size, int) else size):
        phases = np.sum([np.roll(phases, -n, axis) for n in range(length)], 0)
    return phases


def choose(
    contribution: Contribution, *, size: int | tuple[int, int] = 1, share: float = 0.05, seed: int = 0
) -> Locations:
    """The `share` of phases (at least one) where a patch of this size contributes least, and most: see `patch_sum`.

    Equal phases stay together, so an arm may be larger than its share. The two arms have no phase in common: a value
    that both would hold goes to the dead arm if it is the smallest, to the live arm if it is the largest, and else to
    neither. A balanced map has no dead arm: both arms are then drawn at random, without overlap, so that "no loss" is
    measured and not assumed.
    """
    lattice = contribution.lattice
    if lattice is not None and not lattice.whole:
        return _by_pixel(contribution.values, lattice, size, share, seed)
    phases = patch_sum(fold(contribution), size)
    area = None if lattice is None else lattice.area
    flat = np.sort(phases.ravel())
    slack = SLACK * flat[-1]
    if flat[-1] - flat[0] <= slack:
        return replace(_random_arms(contribution.period, share, seed), area=area)
    last = max(1, round(share * flat.size)) - 1
    dead = (phases <= flat[last] + slack) & (phases < flat[-1] - slack)
    live = (phases >= flat[-1 - last] - slack) & (phases > flat[0] + slack)
    return Locations(
        dead=np.argwhere(dead & ~live),
        live=np.argwhere(live & ~dead),
        period=contribution.period,
        balanced=False,
        area=area,
    )


def _by_pixel(values: Phases, lattice: Lattice, size: int | tuple[int, int], share: float, seed: int) -> Locations:
    """The arms of a lattice without a whole period: in each cell the pixels that contribute least, and most."""
    cell = lattice.cell
    top, left, bottom, right = interior(lattice.area, cell)
    patch = (size, size) if isinstance(size, int) else size
    room = np.pad(values[: bottom + patch[0] - 1, : right + patch[1] - 1], [(0, n) for n in patch])
    under = np.lib.stride_tricks.sliding_window_view(room, patch)[top:bottom, left:right].sum((2, 3))
    if under.max() - under.min() <= SLACK * under.max():
        return replace(_random_arms(cell, share, seed), area=lattice.area)
    rows, columns = (n // cell for n in under.shape)
    cells = under.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows, columns, cell**2)
    flat = np.sort(cells, -1)
    last, slack = max(1, round(share * cell**2)) - 1, SLACK * under.max()
    least, most = flat[..., :1], flat[..., -1:]
    dead = (cells <= flat[..., last : last + 1] + slack) & (cells < most - slack)
    live = (cells >= flat[..., -1 - last : flat.shape[-1] - last] - slack) & (cells > least + slack)
    arms = dead & ~live, live & ~dead
    usable = (arms[0].any(-1) & arms[1].any(-1))[..., None]

    def places(arm: np.ndarray) -> np.ndarray:
        whole = (arm & usable).reshape(rows, columns, cell, cell).swapaxes(1, 2).reshape(under.shape)
        return np.argwhere(whole) + np.array([top, left])

    return Locations(
        dead=places(arms[0]),
        live=places(arms[1]),
        period=cell,
        balanced=False,
        area=lattice.area,
        pixels=True,
    )


def below_and_above(contribution: Contribution, *, dead_below: float, live_above: float, size: int = 1) -> Locations:
    """Phases whose patch contributes less than `dead_below`, and more than `live_above`, times the mean.

    Raises ValueError where the thresholds cross or an arm is empty.
    """
    if not dead_below < live_above:
        raise ValueError(f"`dead_below` (={dead_below}) must be below `live_above` (={live_above}).")
    if contribution.lattice is not None and not contribution.lattice.whole:
        raise ValueError("the lattice has no whole period in the picture, and thresholds are for phases; give a share.")
    phases = patch_sum(fold(contribution), size) / size**2
    dead, live = np.argwhere(phases < dead_below), np.argwhere(phases > live_above)
    for name, arm in (("dead_below", dead), ("live_above", live)):
        if not len(arm):
            raise ValueError(f"`{name}`: no phase qualifies; phases span {phases.min():.3g} to {phases.max():.3g}.")
    area = None if contribution.lattice is None else contribution.lattice.area
    return Locations(dead=dead, live=live, period=contribution.period, balanced=False, area=area)


def anywhere(period: int, area: Area | None = None) -> Locations:
    """Every phase in both arms: where a detector is trained."""
    every = np.argwhere(np.ones((period, period), dtype=bool))
    return Locations(dead=every, live=every, period=period, balanced=True, area=area)


def _random_arms(period: int, share: float, seed: int) -> Locations:
    period *= -(-SMALLEST_CELL // period)
    every = stream(seed, "locations/random").permutation(np.argwhere(np.ones((period, period), dtype=bool)))
    count = max(1, round(share * len(every)))
    return Locations(dead=every[:count], live=every[count : 2 * count], period=period, balanced=True)
