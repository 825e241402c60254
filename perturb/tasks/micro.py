"""Micro objects: something small that carries the class itself, or is absent (Kim et al. 2023)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from perturb.protocols import Perturbation

Picture = Float[np.ndarray, "channel row column"]
Place = tuple[int, int]
DIGIT = 14  # side of a micro digit in the paper, on a canvas of 224 x 224


@dataclass(frozen=True, kw_only=True)
class Existence:
    """Is it there? Two classes: the picture as it is, and with the perturbation at a uniform place."""

    perturbation: Perturbation
    level: float

    outputs = 2

    @property
    def size(self) -> int:
        return self.perturbation.size

    def truths(self, label: int) -> tuple[int, ...]:
        return (0, 1)

    def asked(self, label: int, pair: int) -> int:
        return 1

    def unperturbed(self, label: int) -> int | None:
        return 0

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return self.trial(picture, truth, anywhere(picture.shape, self.size, rng), rng)

    def trial(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        if place is None or truth == 0:
            return picture
        return self.perturbation.apply(picture, place, self.level, rng)


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """How strong is it? Class k of `outputs` is the perturbation at (k + 1) / outputs of the level, always there."""

    perturbation: Perturbation
    level: float
    outputs: int

    @property
    def size(self) -> int:
        return self.perturbation.size

    def truths(self, label: int) -> tuple[int, ...]:
        return tuple(range(self.outputs))

    def asked(self, label: int, pair: int) -> int:
        return pair % self.outputs

    def unperturbed(self, label: int) -> int | None:
        return None

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return self.trial(picture, truth, anywhere(picture.shape, self.size, rng), rng)

    def trial(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        if place is None:
            return picture
        return self.perturbation.apply(picture, place, self.level * (truth + 1) / self.outputs, rng)


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Which digit is it? A small digit at a uniform place on a black canvas; a picture here is the digit alone."""

    canvas: tuple[int, int, int]
    level: float = 1.0
    size: int = DIGIT

    outputs = 10

    def truths(self, label: int) -> tuple[int, ...]:
        return (label,)

    def asked(self, label: int, pair: int) -> int:
        return label

    def unperturbed(self, label: int) -> int | None:
        return None

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return self.trial(picture, truth, anywhere(self.canvas, self.size, rng), rng)

    def trial(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        shown = np.zeros(self.canvas, dtype=np.float32)
        if place is not None:
            row, column = place
            shown[:, row : row + self.size, column : column + self.size] = np.float32(self.level) * picture
        return shown


def anywhere(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Place:
    """The top left of a patch, uniform over all places where it lies within the picture."""
    return int(rng.integers(shape[1] - size + 1)), int(rng.integers(shape[2] - size + 1))
