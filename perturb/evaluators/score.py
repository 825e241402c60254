"""The model is itself the detector: one of its outputs is the evidence."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from perturb.errors import UsageError
from perturb.evaluators.reading import Reading
from perturb.protocols import Asked


@dataclass(frozen=True, kw_only=True)
class Score(Reading):
    """Evidence = output number `output` (counted from 0); more means "something is there"."""

    words: ClassVar[str] = "the model's own output number `output` is the evidence"

    output: int = 0
    noise: float = 0.0
    layer: str = "output"

    def evidence(self, outputs: Float[Tensor, "picture ..."], asked: Asked, known: Any) -> Float[Tensor, " picture"]:
        flat = outputs.flatten(1)
        if not 0 <= self.output < flat.shape[1]:
            raise UsageError(f"`output` (={self.output}): the model has outputs 0 to {flat.shape[1] - 1}.")
        return flat[:, self.output]
