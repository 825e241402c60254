"""Which engine computes a layer's outcomes: what changed, or the whole network anew."""

import warnings
from typing import Literal

import numpy as np
import torch

from perturb.errors import InputError, PerturbWarning
from perturb.incremental.check import check
from perturb.incremental.difference import NoRuleError
from perturb.incremental.engine import Incremental, Patches
from perturb.protocols import Differentiable
from perturb.streams import stream

PLACES = {"cpu": 8, "cuda": 64}  # that outcomes are asked for at once
Engine = Literal["auto", "incremental", "bfloat16", "dense"]


def choose(model: Differentiable, layer: str, wanted: Engine, *, places: int | None = None) -> Incremental | None:
    """The incremental engine for `layer` of `model`, checked against float64; None: dense recomputation.

    auto takes it where it saves work, `places` asked for at once (by default as many as outcomes want); a network that
    it cannot follow is said in a PerturbWarning. incremental takes it in any case, and so does bfloat16, which is no
    longer exact: see `called`. Both raise InputError for a network that it cannot follow.
    """
    if wanted == "dense":
        return None
    try:
        engine = Incremental(model, layer, bfloat16=wanted == "bfloat16")
        if wanted == "auto" and saving(engine, places or PLACES[engine.device.type]) < 1:
            return None
        check(engine)
    except Exception as error:  # tracing runs the user's own code
        reason = f"{model.name}: `{layer}` cannot be evaluated incrementally ({_why(error)})"
        if wanted != "auto":
            raise InputError(f"{reason}; use --engine dense.") from error
        warnings.warn(f"{reason}; it is recomputed densely.", PerturbWarning, stacklevel=2)
        return None
    return engine


def called(engine: Incremental | None) -> str:
    """The engine's name in reports, with its error where it is not exact."""
    if engine is None:
        return "dense"
    return f"incremental, bfloat16 (changes to {engine.error:.1%})" if engine.bfloat16 else "incremental"


def _why(error: Exception) -> str:
    if isinstance(error, NoRuleError):
        return f"no rule for {error}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def saving(engine: Incremental, places: int) -> float:
    """What recomputing densely would cost, over what one changed pixel does, at random places: an estimate.

    The more places at once, the less each step's overhead counts.
    """
    channels, rows, columns = engine.model.input_shape
    start = stream(0, "incremental/saving").integers(0, (rows, columns), (places, 2))
    patches = Patches(picture=np.zeros(places, dtype=int), start=start, values=torch.zeros(places, channels, 1, 1))
    return engine.saving(patches)
