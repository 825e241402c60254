"""The number of pixels after which a layer's contribution map repeats itself."""

import math
from dataclasses import replace
from typing import TypedDict

from perturb.answers import part_of
from perturb.contribution.reach import receptive_field
from perturb.errors import UsageError
from perturb.protocols import Differentiable, Sees, Taps
from perturb.records import Lattice
from perturb.sensor import network_shape, sensor_of


class Placed(TypedDict):
    """Where the lattice of a map lies: two fields of a Contribution."""

    period: int
    lattice: Lattice | None


def place(model: Sees, layer: str, given: int | None = None) -> Placed:
    """The period of `layer`'s map in pixels of the picture. One that is `given` is in these pixels already."""
    sensor = sensor_of(model)
    if sensor is None:
        return placed(model, period_of(model, layer, given))
    if given is None:
        return placed(model, period_of(model, layer))
    _check(given, model.input_shape)
    exact = sensor.lattice(1)
    return Placed(period=given, lattice=replace(exact, cell=given, whole=True, period=(given, given), input_period=0))


def placed(model: Sees, period: int) -> Placed:
    """A period of the network's input as one of the picture."""
    sensor = sensor_of(model)
    lattice = None if sensor is None else sensor.lattice(period)
    return Placed(period=period if lattice is None else lattice.cell, lattice=lattice)


def period_of(model: Sees, layer: str, given: int | None = None) -> int:
    """The stride of `layer` (of the last feature map for the output), in both directions, in the network's own pixels.

    Read from the graph where every operation has a rule; else from the ratio of sizes, which a crop inside the network
    makes wrong. One that is `given` counts; a model without feature maps needs it. Raises UsageError where it is
    missing or does not fit the picture.
    """
    if given is not None or not isinstance(model, Taps) or not model.feature_maps:
        return _checked(model, given)
    where = model.find_layer("last") if part_of(layer) is not None else layer
    told = model.stride_of(where)
    strides = _strides(model, where) if isinstance(model, Differentiable) else None
    return math.lcm(*strides) if strides else told


def _checked(model: Sees, given: int | None) -> int:
    told = getattr(model, "period", None)  # of the graph in a file
    if given is None and told is not None:
        given = math.lcm(*told)
    if given is None:
        raise UsageError(
            f"{model.name} has no feature map whose stride would be the period of the map; say which period to look "
            "for: `period = N` under [map], or `perturb map --period N`."
        )
    _check(given, network_shape(model))
    return given


def _check(given: int, shape: tuple[int, int, int]) -> None:
    if not 1 <= given <= min(shape[1:]):
        raise UsageError(f"a period of {given} does not fit a picture of {shape[1]} x {shape[2]}.")


def _strides(model: Differentiable, layer: str) -> tuple[int, int] | None:
    """Row and column stride; None where the graph does not tell, or where there is no stride in pixels."""
    try:
        field = receptive_field(model, layer)
    except Exception:  # the user's own code runs on other values
        return None
    return field.stride if field.stride and min(field.stride) >= 1 and min(field.positions) > 1 else None
