"""Response maps: what a change of one pixel does to the output, black box; no gradient is asked for."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from perturb.answers import tensor_of
from perturb.contribution.kinds import DEFAULTS, Options
from perturb.contribution.period import Placed, place
from perturb.errors import InputError, UsageError
from perturb.incremental import Incremental, Patches, choose_engine
from perturb.protocols import Differentiable, Sees, Tick, silent
from perturb.records import Contribution
from perturb.streams import stream

Pictures = Float[np.ndarray, "image channel row column"]
Places = Int[np.ndarray, "place 2"]
Look = Callable[[Float[np.ndarray, "channel row column"], Places, Tick], Float[np.ndarray, " place"]]
AT_ONCE = 64  # pictures recomputed densely: a multiple of the batches that a model makes of them
SHARE = 0.0145  # of a picture's pixels that a quotient scan spends on phases, and again on borders
PLACES = 1000  # asked for at once, at least


def response(model: Sees, pictures: Pictures, layer: str = "output", options: Options = DEFAULTS) -> Contribution:
    """R(p) = E ||F(x + d e_p) - F(x)||: a full scan where `options` ask for one, else a quotient scan."""
    return (full_scan if options.full else quotient_scan)(model, pictures, layer, options)


def full_scan(model: Sees, pictures: Pictures, layer: str = "output", options: Options = DEFAULTS) -> Contribution:
    """R(p) = E ||F(x + d e_p) - F(x)|| at every pixel p; F is what `layer` gives, d the level, away from the bound.

    Of a model with gradients the change is propagated where that saves work (`options.engine`), exact however small;
    else it is a difference of two float32 outputs. `tick` counts places.
    """
    shape, placed, look = model.input_shape[1:], place(model, layer, options.period), _look(model, layer, options)
    places = np.argwhere(np.ones(shape, dtype=bool))
    total = np.zeros(len(places))
    for picture in pictures:
        total += look(picture, places, options.tick)
    return _record(model.name, total.reshape(shape), layer, placed, len(pictures))


def quotient_scan(model: Sees, pictures: Pictures, layer: str = "output", options: Options = DEFAULTS) -> Contribution:
    """The same map from T x T phases in the interior, times one factor for each row and column near the border.

    Each picture is asked at 2.9 % of its pixels. Pictures are taken until the 95 % interval of a phase's mean, over
    pictures, is within `precision` of it for half of the phases, or none are left. `tick` counts pictures.
    """
    placed, look = place(model, layer, options.period), _look(model, layer, options)
    period, lattice = placed["period"], placed["lattice"]
    if lattice is not None and not lattice.whole:
        raise UsageError(
            f"{model.name}: the lattice has no whole period in the picture ({lattice.period[0]:.4g} x "
            f"{lattice.period[1]:.4g} pixels), and a response map needs one or every pixel: `perturb map --full`, or "
            "[map] kind = 'energy' or 'sensor'."
        )
    top, left, bottom, right = (0, 0, *model.input_shape[1:]) if lattice is None else lattice.area
    grid, corner = _Grid(bottom - top, right - left, period), np.array([top, left])
    by_phase: list[np.ndarray] = []
    seen: list[tuple[Places, np.ndarray]] = []
    for number, picture in enumerate(pictures):
        places, edges = grid.draw(stream(options.seed, f"response/{number}"))
        found = look(picture, np.concatenate([places, edges]) + corner, silent)
        by_phase.append(_phase_means(places % period, found[: len(places)], period))
        seen.append((edges, found[len(places) :]))
        options.tick(1)
        if _precise(np.stack(by_phase), options.precision):
            break
    values = np.zeros(model.input_shape[1:])  # outside of what is taken of the picture
    values[top:bottom, left:right] = _spread(grid, np.mean(by_phase, 0), seen)
    return _record(model.name, values, layer, placed, len(by_phase))


def at_places(
    model: Sees,
    pictures: Pictures,
    places: Int[np.ndarray, "image place 2"],
    layer: str = "output",
    options: Options = DEFAULTS,
) -> Float[np.ndarray, "image place"]:
    """||F(x + d e_p) - F(x)|| of each picture at its own places, as `full_scan` finds it. `tick` counts places."""
    look = _look(model, layer, options)
    return np.stack([look(picture, each, options.tick) for picture, each in zip(pictures, places, strict=True)])


def _spread(
    grid: "_Grid", phases: Float[np.ndarray, "phase_row phase_column"], seen: list[tuple[Places, np.ndarray]]
) -> Float[np.ndarray, "row column"]:
    """The phases' lattice over the whole picture, times what is seen near the border over what the phase alone says."""
    size = grid.rows, grid.columns
    border = [np.zeros((n, 2)) for n in size]  # response, and what the phase alone would give
    for edges, found in seen:
        expected = phases[tuple((edges % grid.period).T)]
        for axis in (0, 1):
            at_edge = grid.is_border(edges, axis)
            np.add.at(border[axis], edges[at_edge, axis], np.stack([found, expected], 1)[at_edge])
    row, column = (np.divide(b[:, 0], b[:, 1], out=np.ones(len(b)), where=b[:, 1] > 0) for b in border)
    lattice = np.tile(phases, [-(-n // grid.period) for n in size])[: grid.rows, : grid.columns]
    return np.asarray(lattice * row[:, None] * column[None])


class _Grid(NamedTuple):
    """Where a quotient scan looks: cells in the interior, and rows and columns near the border."""

    rows: int
    columns: int
    period: int

    def width(self, axis: int) -> int:
        """How far in the border reaches: an eighth of the picture, in whole cells as far as they leave an interior."""
        n = self[axis]
        return min(-(-(n // 8) // self.period) * self.period, (n - self.period) // 2 // self.period * self.period)

    def is_border(self, places: Places, axis: int) -> np.ndarray:
        return (places[:, axis] < self.width(axis)) | (places[:, axis] >= self[axis] - self.width(axis))

    def draw(self, rng: np.random.Generator) -> tuple[Places, Places]:
        """Places in the interior, each phase alike often; and places in each border row and column."""
        budget = SHARE * self.rows * self.columns
        each = np.argwhere(np.ones((self.period, self.period), dtype=bool))
        phases = np.repeat(each, max(1, round(budget / len(each))), 0)
        interior = np.stack([self._cells(axis, len(phases), rng) for axis in (0, 1)], 1) + phases
        lines = 2 * (self.width(0) + self.width(1))
        edges = []
        for axis in (0, 1):
            near = np.arange(self.width(axis))
            line = np.repeat(np.concatenate([near, self[axis] - 1 - near]), max(1, round(budget / max(1, lines))))
            across = self._cells(1 - axis, len(line), rng) + rng.integers(0, self.period, len(line))
            edges.append(np.stack([line, across] if axis == 0 else [across, line], 1))
        return interior, np.concatenate(edges)

    def _cells(self, axis: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, " place"]:
        """The first pixel of cells drawn evenly from the interior."""
        first, last = self.width(axis), self[axis] - self.width(axis) - self.period
        return first + self.period * rng.integers(0, (last - first) // self.period + 1, count)


def _phase_means(phase: Places, values: np.ndarray, period: int) -> Float[np.ndarray, "phase_row phase_column"]:
    index = phase[:, 0] * period + phase[:, 1]
    count = np.bincount(index, minlength=period**2)
    return np.asarray(np.bincount(index, values, period**2) / count).reshape(period, period)


def _precise(by_phase: Float[np.ndarray, "image phase_row phase_column"], precision: float) -> bool:
    n = len(by_phase)
    if n < 4:
        return False
    half = stats.t.ppf(0.975, n - 1) * by_phase.std(0, ddof=1) / n**0.5
    return bool(np.median(half / np.maximum(by_phase.mean(0), 1e-300)) <= precision)


def _look(model: Sees, layer: str, options: Options) -> Look:
    """What gives ||F(x + d e_p) - F(x)|| at each of some places of a picture."""
    followed = isinstance(model, Differentiable) and model.gives_tensor(layer)
    engine = choose_engine(model, layer, options.engine, places=PLACES) if followed else None  # type: ignore[arg-type]

    def look(picture: Float[np.ndarray, "channel row column"], places: Places, tick: Tick) -> np.ndarray:
        clean = torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32))[None]
        if engine is None:
            looks = _dense(_answers(model, layer), clean, places, options.level)
        else:
            looks = _swift(engine, clean, places, options.level)
        norms, order = [], []
        for which, norm in looks:
            norms.append(norm)
            order.append(which)
            tick(len(which))
        found = np.empty(len(places))
        found[np.concatenate(order)] = torch.cat(norms).cpu().numpy()  # a device is waited for here alone
        if not np.isfinite(found).all():
            raise InputError(f"{model.name}: the response of `{layer}` is not finite.")
        return found

    return look


def _answers(model: Sees, layer: str) -> Callable[[Tensor], Tensor]:
    """Pictures -> what `layer` gives."""
    return lambda pictures: tensor_of(model.measure(pictures, layer), "a tensor for a response map")


def _changed(clean: Tensor, places: Places, level: float) -> Float[Tensor, "place channel 1 1"]:
    """Each place's pixel, moved by the level away from the nearer bound."""
    pixels = clean[0, :, places[:, 0], places[:, 1]].T[:, :, None, None]
    inward = torch.where(pixels.mean(1, keepdim=True) > 0.5, -1.0, 1.0)
    return (pixels + level * inward).clamp(0, 1)


def _swift(engine: Incremental, clean: Tensor, places: Places, level: float) -> Iterator[tuple[np.ndarray, Tensor]]:
    after, before = _changed(clean, places, level), clean[0, :, places[:, 0], places[:, 1]].T[:, :, None, None]
    values = (engine.model.normalise(after.double()) - engine.model.normalise(before.double())).float()
    patches = Patches(picture=np.zeros(len(places), dtype=int), start=places, values=values)
    for which, move in engine.run_clean(clean).changes(patches):
        still = values.new_zeros(len(which), 1)
        yield which, (still if move is None else move.values).flatten(1).double().norm(dim=1)


def _dense(
    answers: Callable[[Tensor], Tensor], clean: Tensor, places: Places, level: float
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Changed pictures, filled up with clean ones: in batches of one size all are rounded alike."""
    pixels = _changed(clean, places, level)[:, :, 0, 0]
    for which in np.array_split(np.arange(len(places)), -(-len(places) // (AT_ONCE - 1))):
        batch = clean.repeat(AT_ONCE, 1, 1, 1)
        batch[torch.arange(len(which)), :, places[which, 0], places[which, 1]] = pixels[which]
        output = answers(batch).double().reshape(AT_ONCE, -1)
        yield which, (output[: len(which)] - output[-1:]).norm(dim=1)


def _record(
    name: str, values: Float[np.ndarray, "row column"], layer: str, placed: Placed, images: int
) -> Contribution:
    if not values.any():
        raise InputError(f"{name}: no pixel moves `{layer}`.")
    return Contribution(values=values / values.sum(), kind="response", layer=layer, images=images, **placed)
