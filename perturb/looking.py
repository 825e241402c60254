"""How a layer's outputs are computed: for whole pictures, or only what a small change of a picture changes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from perturb.answers import part_of
from perturb.errors import UsageError
from perturb.incremental import ChangedCopies, Engine, Incremental, choose_engine, engine_name, measure_copies
from perturb.protocols import Differentiable, Sees, Taps

Answer = Callable[[Tensor, np.ndarray], Any]  # pictures, the number of the clean picture that each copies -> outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One layer of a model. With an `engine`, changed copies of clean pictures are computed as what changed."""

    model: Sees
    layer: str
    engine: Incremental | None = None
    double: bool = False  # float64, where differences of float32 outputs would be rounding

    @property
    def name(self) -> str:
        return engine_name(self.engine)

    def plain(self, pictures: Tensor) -> Any:
        """What the layer gives for pictures that have nothing to do with one another."""
        if not self.double or not isinstance(self.model, Differentiable):
            return self.model.measure(pictures, self.layer)
        with _in_double(self.model):
            return self.model.measure(pictures.double(), self.layer)

    def along(self, pictures: Tensor, layers: Sequence[str]) -> list[Any]:
        """What each of these layers gives for such pictures, in one pass where the model can."""
        maps = all(part_of(layer) is None for layer in layers)
        if len(layers) > 1 and maps and not self.double and isinstance(self.model, Differentiable):
            return self.model.measure_layers(pictures, layers)
        return [replace(self, layer=each).plain(pictures) for each in layers]

    def at(self, clean: Tensor) -> Answer:
        """What the layer gives for changed copies of these clean pictures."""
        if self.engine is None:
            return lambda pictures, copied: self.plain(pictures)
        if len(clean) == 1:
            return ChangedCopies(self.engine, clean).measure
        return partial(measure_copies, self.engine, clean)


def look_at(model: Sees, layer: str, wanted: Engine, *, double: bool = False) -> Look:
    """The quickest exact way to look at a layer: see incremental.choose_engine.

    Raises UsageError for a layer of a model that shows its outputs alone.
    """
    if part_of(layer) is None and not isinstance(model, Taps):
        raise UsageError(f"{model.name} shows its outputs alone, not `{layer}`: use an evaluator of the output.")
    followed = isinstance(model, Differentiable) and not double and model.gives_tensor(layer)
    engine = choose_engine(model, layer, wanted) if followed else None  # type: ignore[arg-type]
    return Look(model=model, layer=layer, engine=engine, double=double)


@contextmanager
def _in_double(model: Differentiable) -> Iterator[None]:
    model.module.double()
    try:
        yield
    finally:
        model.module.float()
