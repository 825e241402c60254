"""Micro objects: something small that carries the class itself, or is absent (Kim et al. 2023)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from perturb.perturbations.digit import Digit
from perturb.protocols import Perturbation, TaskSetting
from perturb.records import Clean
from perturb.tasks.asking import Asking, AskingLabels, Picture, Place


@dataclass(frozen=True, kw_only=True)
class _Micro(Asking):
    """A perturbation whose place matters; a lesson shows it at a uniform place."""

    perturbation: Perturbation

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return self.show(picture, truth, anywhere(picture.shape, self.size, rng), rng)

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Presence(_Micro):
    """Is it there? Two classes: 0 the picture as it is, 1 with the perturbation."""

    words: ClassVar[str] = "each picture as it is and with the perturbation at a uniform place: is it there?"
    clean: ClassVar[Clean] = "absent"

    outputs: int = 2

    @classmethod
    def prepare(cls, put: Perturbation, level: float, setting: TaskSetting) -> "Presence":
        return cls(perturbation=put, level=level)

    def truths(self, label: int) -> tuple[int, ...]:
        return (0, 1)

    def asked(self, label: int, pair: int) -> int:
        return 1

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        if place is None or truth == 0:
            return picture
        return self.perturbation.apply(picture, place, self.level, rng)


@dataclass(frozen=True, kw_only=True)
class Intensity(_Micro):
    """How strong is it? Class k of `outputs` is the perturbation at (k + 1) / outputs of the level, always there."""

    words: ClassVar[str] = "the perturbation in `classes` equal steps up to the level: how strong is it?"
    clean: ClassVar[Clean] = "none"

    @classmethod
    def prepare(cls, put: Perturbation, level: float, setting: TaskSetting) -> "Intensity":
        return cls(perturbation=put, level=level, outputs=setting.steps)

    def truths(self, label: int) -> tuple[int, ...]:
        return tuple(range(self.outputs))

    def asked(self, label: int, pair: int) -> int:
        return pair % self.outputs

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        if place is None:
            return picture
        return self.perturbation.apply(picture, place, self.level * (truth + 1) / self.outputs, rng)


@dataclass(frozen=True, kw_only=True)
class Digits(AskingLabels):
    """Which digit is it? A small digit at a uniform place on a black canvas; a picture here is the digit alone."""

    words: ClassVar[str] = "a small digit on a black canvas, of pictures that are digits: which is it?"
    clean: ClassVar[Clean] = "none"

    perturbation: Digit
    canvas: tuple[int, int, int]
    outputs: int = 10

    @classmethod
    def prepare(cls, put: Any, level: float, setting: TaskSetting) -> "Digits":
        return cls(perturbation=put, level=level, canvas=setting.shape)

    def lesson(self, picture: Picture, truth: int, rng: np.random.Generator) -> Picture:
        return self.show(picture, truth, anywhere(self.canvas, self.size, rng), rng)

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        canvas = np.zeros(self.canvas, dtype=np.float32)
        return canvas if place is None else self.perturbation.put(canvas, picture, place, self.level)


def anywhere(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Place:
    """The top left of a patch, uniform over all places where it lies within the picture."""
    return int(rng.integers(shape[1] - size + 1)), int(rng.integers(shape[2] - size + 1))
