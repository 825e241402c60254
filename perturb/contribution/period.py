"""The number of pixels after which a layer's contribution map repeats itself."""

import math
from dataclasses import replace
from typing import TypedDict

from perturb.answers import part_of
from perturb.contribution.reach import strides
from perturb.errors import UsageError
from perturb.operations import Pair
from perturb.protocols import Differentiable, Sees, Taps
from perturb.records import Lattice
from perturb.sensor import network_shape, sensor_of


class Placed(TypedDict):
    """Where the lattice of a map lies: three fields of a Contribution."""

    period: int
    periods: Pair | None
    lattice: Lattice | None


def place(model: Sees, layer: str, given: int | Pair | None = None) -> Placed:
    """The period of `layer`'s map in pixels of the picture. One that is `given` is in these pixels already."""
    sensor = sensor_of(model)
    if sensor is None or given is None:
        return placed(model, periods_of(model, layer, given))
    cell = math.lcm(*_both(given))
    _check(cell, model.input_shape)
    lattice = replace(sensor.lattice(1), cell=cell, whole=True, period=(cell, cell), input_period=0)
    return Placed(period=cell, periods=None, lattice=lattice)


def placed(model: Sees, periods: Pair) -> Placed:
    """The periods of rows and columns of the network's input as those of the picture."""
    period, sensor = math.lcm(*periods), sensor_of(model)
    if sensor is not None:
        lattice = sensor.lattice(period)
        return Placed(period=lattice.cell, periods=None, lattice=lattice)
    return Placed(period=period, periods=periods if periods[0] != periods[1] else None, lattice=None)


def periods_of(model: Sees, layer: str, given: int | Pair | None = None) -> Pair:
    """The stride of `layer` (of the last feature map for the output) along rows and columns, in the network's pixels.

    Read from the graph where every operation has a rule; else from the ratio of sizes, which a crop inside the network
    makes wrong. One that is `given` counts; a model without feature maps needs it. Raises UsageError where it is
    missing or does not fit the picture.
    """
    if given is not None or not isinstance(model, Taps) or not model.feature_maps:
        return _checked(model, given)
    where = model.find_layer("last") if part_of(layer) is not None else layer
    told = strides(model, where) if isinstance(model, Differentiable) else None
    return told or _both(max(1, model.stride_of(where)))  # an enlarged map has several positions a pixel


def _both(given: int | Pair) -> Pair:
    return (given, given) if isinstance(given, int) else given


def _checked(model: Sees, given: int | Pair | None) -> Pair:
    if given is None:
        given = getattr(model, "period", None)  # of the graph in a file
    if given is None:
        raise UsageError(
            f"{model.name} has no feature map whose stride would be the period of the map; say which period to look "
            "for: `period = N` under [map], or `perturb map --period N`."
        )
    _check(math.lcm(*_both(given)), network_shape(model))
    return _both(given)


def _check(given: int, shape: tuple[int, int, int]) -> None:
    if not 1 <= given <= min(shape[1:]):
        raise UsageError(f"a period of {given} does not fit a picture of {shape[1]} x {shape[2]}.")
