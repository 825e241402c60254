"""Which engine evaluates a layer: the incremental one, or dense recomputation of the whole network."""

import warnings
from typing import Literal

import numpy as np
import torch

from perturb.errors import InputError, PerturbWarning, first_line
from perturb.incremental.activations import NoRuleError
from perturb.incremental.check import check
from perturb.incremental.engine import Incremental, Patches
from perturb.protocols import Differentiable
from perturb.sensor import sensor_of
from perturb.streams import stream

PLACES = {"cpu": 8, "cuda": 64}  # places per picture that an experiment asks for at once
Engine = Literal["auto", "incremental", "bfloat16", "dense"]


def choose_engine(
    model: Differentiable, layer: str, wanted: Engine, *, places: int | None = None
) -> Incremental | None:
    """The incremental engine for `layer`, checked against float64, or None for dense recomputation.

    `auto` uses the engine where it saves work for `places` asked for at once (default: as many as an experiment asks
    for). If the network cannot be followed, it warns with a PerturbWarning and returns None.
    `incremental` and `bfloat16` use the engine in any case and raise InputError if the network cannot be followed.
    `bfloat16` is not exact; `engine_name` states its error. Behind a resized picture everything is dense.
    """
    if wanted == "dense":
        return None
    if sensor_of(model) is not None:
        if wanted != "auto":
            raise InputError(f"{model.name}: the picture is resized, cropped or padded first; use --engine dense.")
        return None
    try:
        engine = Incremental(model, layer, bfloat16=wanted == "bfloat16")
        if wanted == "auto" and estimated_saving(engine, places or PLACES[engine.device.type]) < 1:
            return None
        check(engine)
    except Exception as error:  # tracing runs the user's own code, which may raise anything
        reason = f"{model.name}: layer `{layer}` cannot be evaluated incrementally ({_reason(error)})"
        if wanted != "auto":
            raise InputError(f"{reason}; use --engine dense.") from error
        warnings.warn(f"{reason}; using dense recomputation instead.", PerturbWarning, stacklevel=2)
        return None
    return engine


def engine_name(engine: Incremental | None) -> str:
    """The engine's name in reports, with its error if it is not exact."""
    if engine is None:
        return "dense"
    return f"incremental, bfloat16 (changes to {engine.error:.1%})" if engine.bfloat16 else "incremental"


def estimated_saving(engine: Incremental, places: int) -> float:
    """The estimated cost of dense recomputation over that of the engine, for one pixel changed at random places.

    It grows with the number of places, because they share the overhead of each step.
    """
    channels, rows, columns = engine.model.input_shape
    start = stream(0, "incremental/saving").integers(0, (rows, columns), (places, 2))
    patches = Patches(picture=np.zeros(places, dtype=int), start=start, values=torch.zeros(places, channels, 1, 1))
    return engine.saving(patches)


def _reason(error: Exception) -> str:
    """One line that says why the network cannot be followed."""
    return f"no rule for {error}" if isinstance(error, NoRuleError) else first_line(error)
