"""What estimators of contribution maps are given, and how one is called by the name of its kind."""

from __future__ import annotations  # a suite reads the table of kinds without NumPy

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from perturb import protocols
from perturb.errors import UsageError
from perturb.protocols import Tick, silent

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from perturb.incremental import Engine
    from perturb.protocols import Sees
    from perturb.records import Contribution

    Pictures = Float[np.ndarray, "image channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an estimator may be told besides the model, the pictures and the layer; each kind reads what it needs."""

    probes: int = 8  # energy: random directions
    output: int | None = None  # target: the output's number; None: each picture's largest
    batch: int | None = None  # energy, target, centre: pictures at once
    level: float = 0.5  # response: what a pixel is changed by, a fraction of the range
    full: bool = False  # response: every pixel instead of phases and borders
    precision: float = 0.05  # response: of half of the phases' means, where pictures end
    period: int | tuple[int, int] | None = None  # (rows, columns) of a model whose strides do not tell
    engine: Engine = "auto"  # response: how outputs are computed
    seed: int = 0
    tick: Tick = silent


DEFAULTS = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """One kind of map: where its function is, what it asks of a model, and where it looks unless told."""

    function: str  # "module:function", imported when it is called
    needs: Literal["Sees", "Differentiable"] = "Differentiable"  # a seat of perturb.protocols
    layer: str = "output"
    pictures: bool = True  # whether it is measured on pictures

    def check(self, model: Sees) -> None:
        """Raises UsageError for a model that lacks what this kind needs."""
        if not isinstance(model, getattr(protocols, self.needs)):
            raise UsageError(
                f"{model.name} is a plain function: it has no layers or gradients for this kind of map; "
                "ask `--kind response --period N`."
            )

    def __call__(self, model: Sees, pictures: Pictures | None, layer: str, options: Options = DEFAULTS) -> Contribution:
        """The map of what `layer` gives."""
        self.check(model)
        module, _, name = self.function.partition(":")
        estimate: Callable[..., Any] = getattr(import_module(module), name)
        return estimate(model, pictures, layer, options) if self.pictures else estimate(model, layer)
