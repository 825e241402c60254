"""The model is itself the detector: one of its numbers is the evidence."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, tensor_of
from perturb.errors import UsageError
from perturb.evaluators.reading import OwnAnswer, check_number
from perturb.protocols import Asked


@dataclass(frozen=True, kw_only=True)
class Score(OwnAnswer):
    """Evidence = number `target` (from 0) of the chosen output, or its only number; more means "something is there"."""

    words: ClassVar[str] = "one number of the model's own answer: an anomaly score, or the score of class `target`"
    scale: ClassVar[str] = "the model's own number"

    target: int | None = None

    def __post_init__(self) -> None:
        check_number(self.target)

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[Tensor, " picture"]:
        scores = tensor_of(outputs, "a score")
        shape = tuple(scores.shape[1:])
        if sum(size > 1 for size in shape) > 1:
            raise UsageError(f"the model gives {shape} a picture, which is no score: use kind = 'map', or 'boxes'.")
        scores = scores.reshape(len(scores), -1)
        if self.target is None and scores.shape[1] == 1:
            return scores[:, 0]
        if self.target is None or not 0 <= self.target < scores.shape[1]:
            has = f"the model has outputs 0 to {scores.shape[1] - 1}"
            raise UsageError(
                f"`target` = {self.target}: {has}." if self.target is not None else f"{has}: give `target`."
            )
        return scores[:, self.target]
