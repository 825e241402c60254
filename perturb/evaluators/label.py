"""The model's label: is the right class the strongest?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, inf

from perturb.answers import Answers, tensor_of
from perturb.errors import UsageError
from perturb.evaluators.reading import Reading
from perturb.protocols import Asked

Scores = Float[Tensor, "picture output"]
Head = Callable[[Tensor], Tensor]  # what the layer gives -> scores


def identity(outputs: Tensor) -> Tensor:
    return outputs


@dataclass(frozen=True, kw_only=True)
class Label(Reading):
    """Evidence = the right class's lead over the strongest other one; the answer is right where it is above 0.

    y are the scores of the clean twin, y' those of the picture, C their number, t the right class. The measures are
    score (t's share of the softmax), flips (1 where the strongest class is another than the clean twin's), target-drop
    (y_t - y'_t), squared-change (sum (y' - y)^2 / C), absolute-change (sum |y' - y| / C) and rectified-drop
    (sum relu(y - y') / C): Kim et al. (2023).
    """

    words: ClassVar[str] = "the right class must have the highest score"
    scale: ClassVar[str] = "the score of the right class minus the highest score of another"
    verb: ClassVar[str] = "right"
    needs_task: ClassVar[bool] = True

    noise: float = 0.0
    layer: str = "output"
    threshold: float = 0.0
    head: Head = identity

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[Tensor, " picture"]:
        scores = self._scores(outputs)
        truth = _truth(scores, asked)[:, None]
        others = scores.scatter(1, truth, -inf).amax(1)
        return scores.gather(1, truth)[:, 0] - others

    def measures(self, outputs: Answers, asked: Asked) -> Mapping[str, Float[Tensor, " picture"]]:
        scores = self._scores(outputs)
        truth, clean = _truth(scores, asked)[:, None], scores[torch.from_numpy(asked.twin)]
        change = scores - clean
        return {
            "truth": truth[:, 0].double(),
            "score": scores.softmax(1).gather(1, truth)[:, 0],
            "flips": (scores.argmax(1) != clean.argmax(1)).double(),
            "target-drop": -change.gather(1, truth)[:, 0],
            "squared-change": change.square().mean(1),
            "absolute-change": change.abs().mean(1),
            "rectified-drop": (-change).relu().mean(1),
        }

    def _scores(self, outputs: Answers) -> Scores:
        scores = self.head(tensor_of(outputs, "a score for each class"))
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise UsageError(f"the model gives {tuple(scores.shape[1:])} for a picture: no labels to compare.")
        return scores.double()


def _truth(scores: Scores, asked: Asked) -> Int[Tensor, " picture"]:
    own = scores.argmax(1)[torch.from_numpy(asked.twin)]
    told = torch.from_numpy(asked.truth).to(scores.device)
    return torch.where(told < 0, own, told)
