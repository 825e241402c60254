"""A model behind a camera: the same network or function, for the user's pictures as the camera takes them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perturb.errors import UsageError
from perturb.model.callable import BlackBox
from perturb.model.network import Network
from perturb.sensor import Pair, network_shape, steps_for


def behind(model: Any, shape: Pair, given: Mapping[str, Any]) -> Any:
    """The model with steps ahead of it that bring pictures of `shape` (rows, columns) to its input: see steps_for.

    A model that has steps already stays as it is where these are the same. Raises UsageError for other ones, and for
    steps that do not fit the pictures.
    """
    before = model.preprocessing if isinstance(model, Network | BlackBox) else None
    if before is None:
        raise UsageError(f"{model!r} is no model of perturb, so nothing can be put ahead of it.")
    try:
        steps = before.steps if before.steps and not given else steps_for(network_shape(model)[1:], before.usual, given)
        after = replace(before, input_shape=(before.input_shape[0], *shape), steps=steps)
    except ValueError as error:
        raise UsageError(f"[sensor]: {error}") from error
    if after == before:
        return model
    if before.steps:
        raise UsageError(f"{model.name} says itself how its pictures are resized; leave out [sensor] or --sensor.")
    return model.with_preprocessing(after)
