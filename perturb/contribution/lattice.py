"""The structural map: the lattice that strides and kernels alone impose, exact, without data or trained weights."""

import math

import numpy as np
from jaxtyping import Float

from perturb.contribution.architecture import on_some_torus, propagate
from perturb.contribution.bordered import BORDERED
from perturb.contribution.period import placed
from perturb.contribution.torus import NoTorusError
from perturb.errors import InputError, PerturbError
from perturb.protocols import Differentiable
from perturb.records import Contribution, Window
from perturb.sensor import network_shape, sensor_of

ALIKE = 1e-9  # of the largest value: how near cells of a picture with borders are

Cell = Float[np.ndarray, "row column"]


def structural(model: Differentiable, layer: str = "output") -> Contribution:
    """The expected squared input gradient of `layer` under independent zero-mean weights of variance 1/fan_in.

    Propagated on a torus, whose period is the returned map's size: `values` is one T x T cell, in float64, scaled to
    sum 1. Weights count by their shape alone, nonlinearities as the identity, gates as 1, fixed coefficients by their
    square. Deterministic; relative accuracy about 1e-12.
    A network that a torus cannot follow, or that cuts its picture so that nothing repeats, is run on a picture of its
    own size, and `values` is the cell that repeats inside of what it reads.
    Where the picture is resized, cropped or padded ahead of the network, `values` is the whole picture: the lattice
    laid over the network's input and brought back through the steps. As on the torus, the network has no border.
    Raises UnsupportedOperationError naming the operation and layer through which a gradient cannot be followed.
    """
    squared, windows = _repeating(model, layer)
    if not squared.any():
        raise InputError(f"{model.name}: `{layer}` does not depend on the picture, or only through gates.")
    periods = _periods(squared)
    period = math.lcm(*periods)
    values, sensor = squared[:period, :period], sensor_of(model)
    if sensor is not None:
        rows, columns = sensor.inside
        values = sensor.onto_picture(np.tile(values, (-(-rows // period), -(-columns // period)))[:rows, :columns])
    return Contribution(
        values=values / values.sum(),
        kind="structural",
        layer=layer,
        windows=tuple(windows),
        **placed(model, periods),
    )


def _repeating(model: Differentiable, layer: str) -> tuple[Cell, list[Window]]:
    """A square that repeats, and the windows: a torus, or where it cannot be followed a cell of a whole picture."""
    try:
        squared, windows = on_some_torus(model, layer)
    except NoTorusError:
        if (found := _inside(model, layer)) is None:
            raise
        return found
    cut = max(_periods(squared)) == len(squared) and not squared.all()
    return (_inside(model, layer) if cut else None) or (squared, windows)


def _periods(values: Cell) -> tuple[int, int]:
    return _period(values, 0), _period(values, 1)


def _period(values: Cell, axis: int) -> int:
    """The smallest T that divides the canvas and by which a shift along this axis changes nothing."""
    size = len(values)
    for period in (t for t in range(1, size) if size % t == 0):
        if np.abs(values - np.roll(values, period, axis)).max() <= 1e-12 * values.max():
            return period
    return size


def _inside(model: Differentiable, layer: str) -> tuple[Cell, list[Window]] | None:
    """The cell that repeats in a picture of the network's own size, and the windows; None where there is none."""
    try:
        values, recorder = propagate(model, layer, network_shape(model)[1:], BORDERED)
    except PerturbError:
        raise
    except Exception:  # the user's own code runs on other values
        return None
    cell = _cell(values)
    return None if cell is None else (cell, recorder.windows)


def _cell(values: Float[np.ndarray, "row column"]) -> Cell | None:
    """The cell that repeats in the middle of what is read of a picture; None where no cell does."""
    read = np.argwhere(values)
    if not len(read):
        return None
    first, last = read.min(0), read.max(0) + 1
    quarter = (last - first) // 4
    top, left = first + quarter
    middle = values[top : last[0] - quarter[0], left : last[1] - quarter[1]]
    for period in range(1, min(middle.shape) // 2 + 1):
        rest = (middle[period:, :] - middle[:-period, :], middle[:, period:] - middle[:, :-period])
        if all(np.abs(part).max() <= ALIKE * middle.max() for part in rest):
            return np.roll(middle[:period, :period], (top % period, left % period), (0, 1))
    return None
