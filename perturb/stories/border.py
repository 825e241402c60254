"""Border against lattice: how far the distance to the edge and the phase explain measured gradients."""

import numpy as np
from jaxtyping import Float, Int

from perturb.comparisons import Border, Estimate
from perturb.contribution.aliasing import even_shape
from perturb.protocols import Differentiable
from perturb.stats.border import two_way, variance_shares
from perturb.stats.jackknife import jackknife_interval
from perturb.stories.chain import CHOOSING, CONFIDENCE, FAINTEST, JUDGING, Maps, mean_of

SIDES = ("top", "bottom", "left", "right")

Grid = Int[np.ndarray, "row column"]


def border_of(model: Differentiable, layer: str, maps: Maps) -> Border:
    """ln S = mean + b(nearest side, distance to it) + f(phase) + rest, of each photograph."""
    squares, periods = maps.squares, maps.measured.periods or (maps.period, maps.period)
    side, distance = _edges(squares.shape[1:])
    depth = int(distance.max()) + 1
    levels, edge = np.unique((side * depth + distance).ravel(), return_inverse=True)
    phase = _phase(squares.shape[1:], periods).ravel()
    logs = np.stack([_logs(each) for each in squares])
    fit = two_way(logs, edge, phase)

    def shares(which: Int[np.ndarray, " image"]) -> Float[np.ndarray, "3"]:
        return variance_shares(logs[which].mean(0), fit.fitted[which].mean(0), edge, phase)

    parts = [
        Estimate(value=value, low=low, high=high, n=len(logs))
        for value, low, high in np.transpose(jackknife_interval(shares, len(logs), CONFIDENCE)).tolist()
    ]
    inside = fit.first[:, edge[distance.ravel() >= depth // 2]].mean(1)
    weaker = inside[:, None] - fit.first[:, np.searchsorted(levels, depth * np.arange(len(SIDES)))]
    weakest = int(weaker[CHOOSING].mean(0).argmax())
    return Border(
        edge=parts[0],
        phase=parts[1],
        rest=parts[2],
        side=SIDES[weakest],
        weaker=mean_of(weaker[JUDGING, weakest]),
        even_shape=even_shape(model, model.find_layer("last") if layer == "output" else layer, maps.period),
    )


def _logs(squares: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " pixel"]:
    """ln S, beside the median of the pixels that are read at all."""
    return np.log(np.maximum(squares.ravel() / np.median(squares[squares > 0]), FAINTEST**2)) / 2


def _edges(shape: tuple[int, ...]) -> tuple[Grid, Grid]:
    """The nearest side of each pixel, as a number of SIDES, and the pixels between the two."""
    rows, columns = np.indices(shape)
    away = np.stack([rows, shape[0] - 1 - rows, columns, shape[1] - 1 - columns])
    return away.argmin(0), away.min(0)


def _phase(shape: tuple[int, ...], periods: tuple[int, int]) -> Grid:
    rows, columns = np.indices(shape)
    return np.asarray(rows % periods[0] * periods[1] + columns % periods[1])
