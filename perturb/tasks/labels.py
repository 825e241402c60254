"""Labelled pictures: the class is the picture's own, and the perturbation should not matter."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from perturb.protocols import Perturbation, TaskSetting
from perturb.records import Clean
from perturb.tasks.asking import AskingLabels, Picture, Place


@dataclass(frozen=True, kw_only=True)
class Labels(AskingLabels):
    """What is in the picture? Learnt from pictures as they are, asked with the perturbation at a place."""

    words: ClassVar[str] = "the picture's own class, learnt without the perturbation"
    clean: ClassVar[Clean] = "right"

    perturbation: Perturbation

    @classmethod
    def prepare(cls, put: Perturbation, level: float, setting: TaskSetting) -> "Labels":
        return cls(perturbation=put, level=level, outputs=setting.labels)

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return picture

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        return picture if place is None else self.perturbation.apply(picture, place, self.level, rng)
