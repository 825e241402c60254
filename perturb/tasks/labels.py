"""Labelled pictures: the class is the picture's own, and the perturbation should not matter."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from perturb.protocols import Perturbation

Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is in the picture? Learnt from pictures as they are; tried with the perturbation at a place."""

    perturbation: Perturbation
    level: float
    outputs: int

    @property
    def size(self) -> int:
        return self.perturbation.size

    def truths(self, label: int) -> tuple[int, ...]:
        return (label,)

    def asked(self, label: int, pair: int) -> int:
        return label

    def unperturbed(self, label: int) -> int | None:
        return label

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return picture

    def trial(self, picture: Picture, truth: int, place: tuple[int, int] | None, rng: np.random.Generator) -> Picture:
        if place is None:
            return picture
        return self.perturbation.apply(picture, place, self.level, rng)
