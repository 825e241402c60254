"""A few pictures and a model's answers to them, which it must give again later and beside other pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers
from perturb.errors import InputError
from perturb.model.trial import differ, meeting
from perturb.protocols import Differentiable, Sees

PICTURES = 3
PATIENCE = 100  # more runs of a network that counts or stores them
Pictures = Float[Tensor, "picture channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witness:
    """Pictures, and what the layers gave for each alone before anything else was asked."""

    pictures: Pictures
    answers: dict[str, list[Answers]]  # by layer

    def confirm(self, model: Sees, *, patiently: bool = False) -> None:
        """Raises InputError where a layer gives a picture another answer now: it keeps a state, or draws numbers.

        `patiently`: the engine runs a network less often than its deployment does, so one whose numbers change from run
        to run is run PATIENCE times more before it is asked.
        """
        if patiently and isinstance(model, Differentiable) and self._counts(model):
            for _ in range(PATIENCE):
                model.measure(self.pictures[:1])
        for layer, before in self.answers.items():
            for number, (picture, answer) in enumerate(zip(self.pictures.split(1), before, strict=True)):
                if differ(answer, model.measure(picture, layer), model.input_shape):
                    raise InputError(
                        f"{model.name}: `{layer}` gives two answers to one of the judged pictures (number {number + 1} "
                        "of those that are asked again): it keeps a state, or draws random numbers; nothing is judged."
                    )

    def _counts(self, model: Differentiable) -> bool:
        """Whether a number or a buffer of the network changes when it runs."""
        before = _numbers(model)
        model.measure(self.pictures[:1])
        return _numbers(model) != before


def _numbers(model: Differentiable) -> list[object]:
    modules = [*model.module.modules()]
    plain = [v for module in modules for v in vars(module).values() if isinstance(v, int | float)]
    return [*plain, *(buffer.double().sum().item() for buffer in model.module.buffers() if not buffer.is_complex())]


def witness(model: Sees, pictures: Float[np.ndarray, "picture channel row column"], layers: Sequence[str]) -> Witness:
    """The first answers to some of these pictures, evenly chosen.

    Raises InputError where a second answer is another, or where an answer depends on the other pictures of a batch.
    """
    chosen = np.linspace(0, len(pictures) - 1, min(PICTURES, len(pictures))).astype(int)
    shown = torch.from_numpy(np.ascontiguousarray(pictures[chosen], dtype=np.float32))
    answers = {layer: [model.measure(one, layer) for one in shown.split(1)] for layer in dict.fromkeys(layers)}
    found = Witness(pictures=shown, answers=answers)
    found.confirm(model)
    for layer in answers:
        others = 1 - shown  # as unlike as can be, beside the first picture
        others[0] = shown[0]
        if differ(model.measure(shown, layer)[:1], model.measure(others, layer)[:1], model.input_shape):
            raise InputError(meeting(model.name))
    return found
