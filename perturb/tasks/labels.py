"""Labelled pictures: the class is the picture's own, and the perturbation should not matter."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from perturb.protocols import Perturbation, TaskSetting
from perturb.records import Clean

Picture = Float[np.ndarray, "channel row column"]
OWN = -1  # the class of a picture without a label: whatever the model answers without the perturbation


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is in the picture? Learnt from pictures as they are, asked with the perturbation at a place."""

    words: ClassVar[str] = "the picture's own class, learnt without the perturbation"
    clean: ClassVar[Clean] = "right"
    needs_labels: ClassVar[bool] = True

    perturbation: Perturbation
    level: float
    outputs: int

    @classmethod
    def prepare(cls, put: Perturbation, level: float, setting: TaskSetting) -> "Labels":
        return cls(perturbation=put, level=level, outputs=setting.labels)

    @property
    def size(self) -> int:
        return self.perturbation.size

    def truths(self, label: int) -> tuple[int, ...]:
        return (label,)

    def asked(self, label: int, pair: int) -> int:
        return label

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return picture

    def show(self, picture: Picture, truth: int, place: tuple[int, int] | None, rng: np.random.Generator) -> Picture:
        if place is None:
            return picture
        return self.perturbation.apply(picture, place, self.level, rng)
