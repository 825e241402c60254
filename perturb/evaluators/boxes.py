"""The model's boxes: was the object found where it lies?"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from perturb.answers import Answers, boxes_of
from perturb.evaluators.reading import OwnAnswer
from perturb.protocols import Asked


@dataclass(frozen=True, kw_only=True)
class BoxScores(OwnAnswer):
    """Evidence = the highest score among boxes of the class `target` (of any, without one) at the place, or 0.

    A box is at the place if its centre lies within `radius` pixels of the object's centre and its area is at most
    `max_area` times the object's. A false alarm is a box of that class and area in a picture without the object.
    """

    words: ClassVar[str] = "the highest score among the model's own boxes at the place; 0 where there is none"
    verb: ClassVar[str] = "found"
    local: ClassVar[bool] = True

    target: int | str | None = None
    radius: float = 8.0
    max_area: float = 100.0

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"`radius` (={self.radius}) must be above 0 pixels.")
        if not self.max_area > 0:
            raise ValueError(f"`max_area` (={self.max_area}) must be above 0 times the object's area.")

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[np.ndarray, " picture"]:
        found = np.zeros(len(asked.place))
        for number, answer in enumerate(outputs):
            centre, score = self._fitting(answer, asked)
            row, column = asked.centre[number]
            near = np.hypot(centre[:, 0] - column, centre[:, 1] - row) <= self.radius
            found[number] = score[near].max(initial=0.0)
        return found

    def alarms(self, outputs: Answers, asked: Asked) -> list[np.ndarray]:
        return [self._fitting(answer, asked)[1] for answer in outputs]

    def _fitting(self, answer: Any, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """Centres (x, y), in the numbering of pixels, and scores of the boxes of the class and area."""
        corners, score, label = boxes_of(answer, asked.seen)
        corners = np.stack([asked.to_picture(corners[:, i] - 0.5, 1 - i % 2) + 0.5 for i in range(4)], 1)
        sides = corners[:, 2:] - corners[:, :2]
        fits = sides.prod(1) <= self.max_area * asked.extent[0] * asked.extent[1]
        if self.target is not None:
            fits &= label == str(self.target)
        return (corners[fits, :2] + corners[fits, 2:] - 1) / 2, score[fits]
