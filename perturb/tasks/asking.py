"""Base classes for tasks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from perturb.perturbations.digit import Digit
from perturb.protocols import Perturbation

Picture = Float[np.ndarray, "channel row column"]
Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A perturbation at a level, asked about in one of `outputs` classes."""

    needs_labels: ClassVar[bool] = False

    perturbation: Perturbation | Digit
    level: float
    outputs: int

    @property
    def size(self) -> int:
        return self.perturbation.size

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of the perturbation, where it is no square."""
        return getattr(self.perturbation, "extent", (self.size, self.size))


@dataclass(frozen=True, kw_only=True)
class AskingLabels(Asking):
    """The right class is the picture's own label."""

    needs_labels: ClassVar[bool] = True

    def truths(self, label: int) -> tuple[int, ...]:
        return (label,)

    def asked(self, label: int, pair: int) -> int:
        return label
