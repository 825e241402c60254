"""Annotated objects: are the things found that a picture shows already?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from perturb.records import Clean
from perturb.tasks.asking import Picture, Place
from perturb.tasks.micro import Presence


@dataclass(frozen=True, kw_only=True)
class Recalled(Presence):
    """Is it found? There is no picture without it; a false alarm is a report that matches no annotated object."""

    words: ClassVar[str] = "each annotated object of the picture: is it found?"
    clean: ClassVar[Clean] = "unmatched"

    level: float = 1.0

    def show(self, picture: Picture, truth: int, place: Place | None, rng: np.random.Generator) -> Picture:
        return picture
