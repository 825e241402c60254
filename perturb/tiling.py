"""Tiles over a picture: where they lie, at which phases each place is seen, and what another tiling would leave unseen.

A model with a lattice of period T sees the pixel p of a tile that begins at a at the phase (p - a) mod T. A place that
several tiles see is as good as its best look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from perturb.errors import UsageError

Pair = tuple[int, int]
Last = Literal["back", "over"]
MOST_OVERLAP = 3 / 4  # of a tile, that the planner looks at: 16 times the tiles
ENOUGH = 0.1  # of what is unseen now, at most, where something has to stay unseen
EQUAL = 1e-9  # shares that differ by less are equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Tiles of one size, (rows, columns), that cover a picture.

    From the top left a tile begins every `tile - overlap` pixels until the picture is covered. A last tile that would
    hang over the edge is moved back to end there (`last="back"`, the rule of SAHI, MONAI and mmsegmentation), or it
    hangs over and is padded (`last="over"`; the tile may then be larger than the picture). Each of the `passes` covers
    the picture anew, enlarged by so many rows and columns on every side: its tiles lie so much further up and left, and
    the last ones so much further down and right. Pixels outside the picture repeat the nearest one inside.
    Raises UsageError for a tile larger than the picture, and for an overlap that is no smaller than the tile.
    """

    picture: Pair
    tile: Pair
    overlap: Pair = (0, 0)
    last: Last = "back"
    passes: tuple[Pair, ...] = ((0, 0),)

    def __post_init__(self) -> None:
        for n, tile, overlap in zip(self.picture, self.tile, self.overlap, strict=True):
            if min(n, tile) < 1 or (tile > n and self.last == "back"):
                raise UsageError(
                    f"a tile of {_by(self.tile)} does not fit into a picture of {_by(self.picture)}; "
                    "last = over pads the picture."
                )
            if not 0 <= overlap < tile:
                raise UsageError(f"overlap {_by(self.overlap)}: expected 0 or more, and less than {_by(self.tile)}.")
        if self.last not in ("back", "over"):
            raise UsageError(f"last `{self.last}` is unknown, expected back or over.")
        if not self.passes or min(map(min, self.passes)) < 0:
            raise UsageError(f"passes {self.passes}: expected one shift or more, each of 0 or more rows and columns.")

    @property
    def step(self) -> Pair:
        """Rows and columns from tile to tile."""
        return self.tile[0] - self.overlap[0], self.tile[1] - self.overlap[1]

    @property
    def count(self) -> int:
        """How many tiles there are, of all passes: the cost."""
        return sum(len(self.starts(0, rows)) * len(self.starts(1, columns)) for rows, columns in self.passes)

    def starts(self, axis: int, shift: int = 0) -> Int[np.ndarray, " tile"]:
        """The first row (axis 0) or column (axis 1) of each tile of a pass with this shift, negative in the padding."""
        covered, tile, step = self.picture[axis] + 2 * shift, self.tile[axis], self.step[axis]
        starts = np.arange(1 + max(0, -(-(covered - tile) // step))) * step
        if self.last == "back":
            starts[-1] = covered - tile
        return starts - shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """How well an object is seen at each phase of its top left, and what counts as seen."""

    values: Float[np.ndarray, "phase_row phase_column"]  # >= 0; rates of detection, or contributions
    least: float  # a value below this is blind
    extent: Pair = (1, 1)  # rows, columns of the object
    margin: int = 0  # pixels from the edge of a tile within which nothing is seen
    every: int = 1  # the object's top left lies on multiples of this: a picture that was enlarged so many times


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the best look of each place comes to, as shares of all places at which an object can lie."""

    blind: float  # whole and clear of tiles' edges, but at blind phases only
    edge: float  # nowhere whole and clear of tiles' edges
    frame: float  # the same, closer than the margin to the picture's own edge, where a padded picture alone can help
    mean: float  # value of the best look; places without one count as 0

    @property
    def unseen(self) -> float:
        return self.blind + self.edge + self.frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A tiling, what it leaves unseen, and whether no other that was tried is as good at a lower cost."""

    words: str
    tiling: Tiling
    coverage: Coverage
    efficient: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """Rows or columns that are seen at the same phases are one kind."""

    seen: Bool[np.ndarray, "kind pass phase"]
    frame: Bool[np.ndarray, " kind"]  # closer than the margin to the picture's own edge
    kind: Int[np.ndarray, " place"]
    count: Int[np.ndarray, " kind"]


def cover(tiling: Tiling, lattice: Lattice) -> Coverage:
    """What a tiling leaves unseen; exact, at the cost of kinds of rows times kinds of columns."""
    rows, columns = (_axis(tiling, lattice, axis) for axis in (0, 1))
    best, weight = _best(rows, columns, lattice), np.outer(rows.count, columns.count)
    hidden, frame = np.isneginf(best), rows.frame[:, None] | columns.frame

    def share(chosen: Bool[np.ndarray, "row_kind column_kind"]) -> float:
        return float(weight[chosen].sum() / weight.sum())

    return Coverage(
        blind=share(~hidden & (best < lattice.least)),
        edge=share(hidden & ~frame),
        frame=share(hidden & frame),
        mean=float((weight * np.where(hidden, 0, best)).sum() / weight.sum()),
    )


def best_look(tiling: Tiling, lattice: Lattice) -> Float[np.ndarray, "row column"]:
    """The value of the best look at each place of the object's top left; -inf where no tile sees it whole and clear."""
    rows, columns = (_axis(tiling, lattice, axis) for axis in (0, 1))
    return _best(rows, columns, lattice)[np.ix_(rows.kind, columns.kind)]


def depth(tiling: Tiling, place: Int[np.ndarray, "place 2"], extent: Pair = (1, 1)) -> Int[np.ndarray, " place"]:
    """Pixels between an object and the edge of the tile in which it lies deepest; negative where every tile cuts it."""
    passes = []
    for shifts in tiling.passes:
        axes = []
        for axis, shift in enumerate(shifts):
            above = place[:, axis] - tiling.starts(axis, shift)[:, None]
            axes.append(np.minimum(above, tiling.tile[axis] - extent[axis] - above).max(0))
        passes.append(np.minimum(*axes))
    return np.asarray(np.max(passes, 0))


def plan(now: Tiling, lattices: Mapping[int, Lattice]) -> tuple[Option, ...]:
    """What leaves less unseen than the tiling does now: the tiling itself, then the best of each kind of change,
    cheapest first.

    Changes: the smallest overlap that clears the tiles' edges, the picture padded by the margin, and both; any overlap
    up to three quarters of a tile; a second pass, or three further ones, shifted by less than the period; the picture
    enlarged, for each key above 1 of `lattices`, which holds the lattice by how many times the picture is enlarged.
    The best of a kind is the cheapest that leaves nothing unseen, or else the cheapest that leaves a tenth of what is
    unseen now, or else what leaves least.
    """
    families = [
        [Option(words=words, tiling=tiling, coverage=cover(tiling, lattices[times])) for words, tiling, times in family]
        for family in _changes(now, lattices)
    ]
    every = [option for family in families for option in family]
    start = every[0]
    others = (min(family, key=partial(_rank, start.coverage.unseen)) for family in families[1:] if family)
    better = [one for one in others if one.coverage.unseen < start.coverage.unseen - EQUAL]
    return tuple(
        replace(one, efficient=not any(_beats(other, one) for other in every))
        for one in (start, *sorted({one.words: one for one in better}.values(), key=_cost))
    )


def _changes(now: Tiling, lattices: Mapping[int, Lattice]) -> list[list[tuple[str, Tiling, int]]]:
    """By kind of change: its words, the tiling, and how many times the picture is enlarged. The first is none."""
    lattice = lattices[1]
    down, right = lattice.values.shape
    most = int(MOST_OVERLAP * min(now.tile)) if now.tile[0] < now.picture[0] or now.tile[1] < now.picture[1] else -1
    clear = max(lattice.extent) - 1 + 2 * lattice.margin  # with which each place is whole and clear in some tile
    clearing = [(f"overlap {clear}", _overlapping(now, clear))] if min(now.overlap) < clear <= most else []
    if lattice.margin:
        padded = [
            (f"{words}picture padded by {lattice.margin} pixels", _moved(tiling, [(lattice.margin, lattice.margin)]))
            for words, tiling in [("", now), *((f"{words}, ", tiling) for words, tiling in clearing)]
        ]
        clearing += padded
    bases = [("", now), *((f", {words}", tiling) for words, tiling in clearing)]
    both = [(n, n) for n in range(1, max(down, right)) if min(down, right) > 1]
    shifts = [(n, 0) for n in range(1, down)] + [(0, n) for n in range(1, right)] + both
    return [
        [("now", now, 1)],
        [(words, tiling, 1) for words, tiling in clearing],
        [(f"overlap {n}", _overlapping(now, n), 1) for n in range(most + 1)],
        [
            (f"second pass shifted by {_rows_and_columns(shift)}{more}", _moved(base, [(0, 0), shift]), 1)
            for more, base in bases
            for shift in shifts
        ],
        [
            (f"four passes, shifts of 0 and {n} both ways{more}", _moved(base, _crossed(n)), 1)
            for more, base in bases
            for n, _ in both
        ],
        [(f"picture enlarged {times} x", _enlarged(now, times), times) for times in lattices if times > 1],
    ]


def _overlapping(now: Tiling, overlap: int) -> Tiling:
    return replace(now, overlap=(overlap, overlap))


def _moved(now: Tiling, shifts: Sequence[Pair]) -> Tiling:
    """Each pass once with each of the shifts."""
    return replace(now, passes=tuple((a + rows, b + columns) for a, b in now.passes for rows, columns in shifts))


def _crossed(shift: int) -> list[Pair]:
    return list(product((0, shift), (0, shift)))


def _enlarged(now: Tiling, times: int) -> Tiling:
    return replace(now, picture=(now.picture[0] * times, now.picture[1] * times))


def _cost(option: Option) -> tuple[int, float]:
    return option.tiling.count, option.coverage.unseen


def _rank(unseen_now: float, option: Option) -> tuple[float, ...]:
    unseen, tiles = option.coverage.unseen, option.tiling.count
    if unseen <= EQUAL:
        return 0, tiles
    return (1, tiles, unseen) if unseen <= ENOUGH * unseen_now else (2, round(unseen, 9), tiles)


def _beats(one: Option, other: Option) -> bool:
    """Whether it costs less and leaves no more unseen, or costs no more and leaves less."""
    cheaper = one.tiling.count - other.tiling.count
    unseen = one.coverage.unseen - other.coverage.unseen
    return (cheaper < 0 and unseen <= EQUAL) or (cheaper <= 0 and unseen < -EQUAL)


def _axis(tiling: Tiling, lattice: Lattice, axis: int) -> _Axis:
    """The phases at which each row (or column) of places is seen whole and clear of tiles' edges, in each pass."""
    size, tile, extent = tiling.picture[axis], tiling.tile[axis], lattice.extent[axis]
    period, margin = lattice.values.shape[axis], lattice.margin
    if extent > size:
        raise UsageError(f"an object of {_by(lattice.extent)} does not fit into a picture of {_by(tiling.picture)}.")
    place = np.arange(0, size - extent + 1, lattice.every)
    seen = np.zeros((len(place), len(tiling.passes), period), dtype=bool)
    for number, shifts in enumerate(tiling.passes):
        starts = tiling.starts(axis, shifts[axis])[:, None]
        tiles, where = np.nonzero((place >= starts + margin) & (place + extent <= starts + tile - margin))
        seen[where, number, (place[where] - starts[tiles, 0]) % period] = True
    frame = (place < margin) | (place + extent > size - margin)
    told = np.concatenate([frame[:, None], seen.reshape(len(place), -1)], 1)
    packed, kind, count = np.unique(np.packbits(told, axis=1), axis=0, return_inverse=True, return_counts=True)
    told = np.unpackbits(packed, axis=1, count=told.shape[1]).astype(bool)
    return _Axis(told[:, 1:].reshape(-1, *seen.shape[1:]), told[:, 0], kind.ravel(), count)


def _best(rows: _Axis, columns: _Axis, lattice: Lattice) -> Float[np.ndarray, "row_kind column_kind"]:
    """The best value over passes and phases; -inf where there is none."""
    best = np.full((len(rows.count), len(columns.count)), -np.inf)
    for number in range(rows.seen.shape[1]):
        seen, across = rows.seen[:, number], columns.seen[:, number]
        by_phase = np.where(seen[:, :, None], lattice.values, -np.inf).max(1)  # row kind, column phase
        for phase in range(by_phase.shape[1]):
            np.maximum(best, np.where(across[:, phase], by_phase[:, phase, None], -np.inf), out=best)
    return best


def _rows_and_columns(shift: Pair) -> str:
    rows, columns = shift
    told = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((rows, "row"), (columns, "column")) if n]
    return " and ".join(told)


def _by(pair: Pair) -> str:
    return f"{pair[0]} x {pair[1]}"
