"""The number of pixels after which a layer's contribution map repeats itself."""

import math

from perturb.answers import part_of
from perturb.contribution.reach import receptive_field
from perturb.errors import UsageError
from perturb.protocols import Differentiable, Sees, Taps


def period_of(model: Sees, layer: str, given: int | None = None) -> int:
    """The stride of `layer` (of the last feature map for the output), in both directions.

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
    if not 1 <= given <= min(model.input_shape[1:]):
        raise UsageError(
            f"a period of {given} does not fit a picture of {model.input_shape[1]} x {model.input_shape[2]}."
        )
    return given


def _strides(model: Differentiable, layer: str) -> tuple[int, int] | None:
    """Row and column stride; None where the graph does not tell, or where there is no stride in pixels."""
    try:
        field = receptive_field(model, layer)
    except Exception:  # the user's own code runs on other values
        return None
    return field.stride if field.stride and min(field.stride) >= 1 and min(field.positions) > 1 else None
