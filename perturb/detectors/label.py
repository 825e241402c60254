"""The model's label as the detector: a perturbation shows where it changes what the model says."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, inf

from perturb.errors import UsageError
from perturb.protocols import Taps


@dataclass(frozen=True, kw_only=True)
class Label:
    """Evidence = the lead of the strongest other output over the clean picture's own; above 0 the label flips."""

    noise: float = 0.0
    layer: str = "output"

    shots = 1
    own_threshold = False
    needs_examples = False

    def fit(self, model: Taps, clean: Tensor, perturbed: Tensor) -> "Label":
        return self

    def study(self, model: Taps, shots: Tensor) -> tuple[Int[Tensor, " image"], Float[Tensor, "image shot"]]:
        labels = self._outputs(model, shots[:, :1])[:, 0].argmax(1)
        return labels, self.evidence(model, labels, shots)

    def evidence(self, model: Taps, known: Int[Tensor, " image"], retakes: Tensor) -> Float[Tensor, "image picture"]:
        outputs = self._outputs(model, retakes)
        own = known[:, None, None].expand(-1, outputs.shape[1], 1)
        others = outputs.scatter(2, own, -inf).amax(2)
        return others - outputs.gather(2, own)[..., 0]

    def _outputs(self, model: Taps, pictures: Tensor) -> Float[Tensor, "image picture output"]:
        outputs = model.measure(pictures.flatten(0, 1), self.layer)
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            raise UsageError(f"{model.name} gives {tuple(outputs.shape[1:])} for a picture: no labels to flip.")
        return outputs.unflatten(0, pictures.shape[:2])
