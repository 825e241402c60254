"""The model's boxes: was the object found where it lies?"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from perturb.answers import Answers, boxes_of
from perturb.evaluators.objects import in_photograph, objects_in, overlaps, owners
from perturb.evaluators.reading import OwnAnswer
from perturb.protocols import Asked

NOBODY, BEYOND = -1, -2  # owners of boxes that no object has


@dataclass(frozen=True, kw_only=True)
class BoxScores(OwnAnswer):
    """Evidence = the highest score among boxes of the class `target` (of any, without one) at the place, or 0.

    A box is at the place if its centre lies within `radius` pixels of the object's centre and its area is at most
    `max_area` times the object's. A false alarm is a box of that class and area in a picture without the object.

    An annotated object has an extent: the box's centre must lie within `radius` pixels of the object's own box, and a
    box belongs to the nearest object alone. With `iou` it belongs to the object with which its intersection over union
    is largest, and that must be at least `iou`; radius and max_area then play no part. Several boxes may belong to one
    object; the highest score counts, and none is a false alarm. A false alarm is a box that belongs to no object.
    """

    words: ClassVar[str] = "the highest score among the model's own boxes at the place; 0 where there is none"
    scale: ClassVar[str] = "the model's own score of a box"
    verb: ClassVar[str] = "found"
    local: ClassVar[bool] = True

    target: int | str | None = None
    radius: float = 8.0
    max_area: float = 100.0
    iou: float | None = None

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"`radius` (={self.radius}) must be above 0 pixels.")
        if not self.max_area > 0:
            raise ValueError(f"`max_area` (={self.max_area}) must be above 0 times the object's area.")
        if self.iou is not None and not 0 < self.iou <= 1:
            raise ValueError(f"`iou` (={self.iou}) must be above 0 and at most 1.")

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[np.ndarray, " picture"]:
        found = np.zeros(len(asked.place))
        for number, answer in enumerate(outputs):
            owner, score = self._owned(answer, asked, number)
            found[number] = score[owner == 0].max(initial=0.0)
        return found

    def alarms(self, outputs: Answers, asked: Asked) -> list[np.ndarray]:
        found = []
        for number, answer in enumerate(outputs):
            owner, score = self._owned(answer, asked, number)
            found.append(score if asked.boxes is None else score[owner == NOBODY])
        return found

    def _owned(self, answer: Any, asked: Asked, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the boxes of the class and area: the number of the object that each belongs to, and its score.

        NOBODY where it belongs to none, BEYOND where its centre lies beyond the photograph, too.
        """
        corners, score, label = boxes_of(answer, asked.seen)
        corners = np.stack([asked.to_picture(corners[:, i] - 0.5, 1 - i % 2) + 0.5 for i in range(4)], 1)
        if self.target is not None:
            corners, score = corners[label == str(self.target)], score[label == str(self.target)]
        centre = (corners[:, 1::-1] + corners[:, :1:-1] - 1) / 2
        nobody = np.where(in_photograph(centre, asked, number), NOBODY, BEYOND)
        if self.iou is not None:
            put = np.hstack([asked.place[number], asked.extent])[None]
            overlap = overlaps(corners, put if asked.boxes is None else asked.boxes[number])
            return np.where(overlap.max(1, initial=0) >= self.iou, overlap.argmax(1), nobody), score
        owner, away = owners(centre, objects_in(asked, number))
        area = np.prod(asked.extent) if asked.boxes is None else asked.boxes[number, owner, 2:].prod(1)
        fits = (corners[:, 2:] - corners[:, :2]).prod(1) <= self.max_area * area
        return np.where(away <= self.radius, owner, nobody)[fits], score[fits]
