"""The model is itself the detector: one of its outputs is the evidence."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from perturb.errors import UsageError
from perturb.protocols import Taps


@dataclass(frozen=True, kw_only=True)
class AsIs:
    """Evidence = output number `output` (counted from 0) on the re-take; more means "something is there".

    The threshold is pinned on the clean calibration images.
    """

    output: int = 0
    noise: float = 0.0
    layer: str = "output"

    shots = 1
    own_threshold = False
    needs_examples = False

    def fit(self, model: Taps, clean: Tensor, perturbed: Tensor) -> "AsIs":
        return self

    def study(self, model: Taps, shots: Tensor) -> tuple[None, Float[Tensor, "image shot"]]:
        return None, self.evidence(model, None, shots)

    def evidence(self, model: Taps, known: None, retakes: Tensor) -> Float[Tensor, "image picture"]:
        outputs = model.measure(retakes.flatten(0, 1), self.layer).flatten(1)
        if not 0 <= self.output < outputs.shape[1]:
            raise UsageError(f"`output` (={self.output}): {model.name} has outputs 0 to {outputs.shape[1] - 1}.")
        return outputs[:, self.output].unflatten(0, retakes.shape[:2])
