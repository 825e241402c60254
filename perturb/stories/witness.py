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
from perturb.stack import Stack

PICTURES = 3
PATIENCE = 100  # more runs of a network that counts or stores them
Pictures = Float[Tensor, "picture channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witness:
    """Pictures, and what the layers gave for each alone before anything else was asked."""

    pictures: Pictures
    answers: dict[str, list[Answers]]  # by layer

    def confirm(self, model: Sees) -> None:
        """Raises InputError where a layer gives a picture another answer now: it keeps a state, or draws numbers."""
        for layer, before in self.answers.items():
            for picture, answer in zip(self.pictures.split(1), before, strict=True):
                if differ(answer, model.measure(picture, layer), model.input_shape):
                    raise InputError(_two_answers(model, layer))

    def confirm_patiently(self, model: Sees) -> None:
        """The same at the end of a run, which may have run a network less often than its deployment does.

        One that counts, or whose buffers change from run to run, is run PATIENCE times more before it is asked again.
        """
        self.confirm(model)
        for layer in self.answers:
            if not isinstance(model, Differentiable) or not model.gives_tensor(layer):
                continue
            before, numbers = _plain(model, self.pictures, layer), _numbers(model)
            after = _plain(model, self.pictures, layer)
            if _numbers(model) != numbers:
                for _ in range(PATIENCE):
                    after = _plain(model, self.pictures, layer)
                if differ(before, after, model.input_shape):
                    raise InputError(_two_answers(model, layer))


def _two_answers(model: Sees, layer: str) -> str:
    return (
        f"{model.name}: `{layer}` gives two answers to one judged picture: it keeps a state or draws random numbers; "
        "let the factory return a model without either."
    )


def _plain(model: Differentiable, pictures: Pictures, layer: str) -> Tensor:
    """What the network itself gives for the first picture, rather than its quicker form, which is a copy."""
    with torch.inference_mode():
        return model.propagate(model.normalise(pictures[:1]), layer)


def _numbers(model: Differentiable) -> list[object]:
    """What a network may count in."""
    modules = [*model.module.modules()]
    plain = [v for module in modules for v in vars(module).values() if isinstance(v, int | float)]
    return [*plain, *(buffer.double().sum().item() for buffer in model.module.buffers() if not buffer.is_complex())]


def witness(model: Sees, pictures: np.ndarray | Stack, layers: Sequence[str]) -> Witness:
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
