"""Nothing is put into the picture: it shows a real object already, where the annotation says."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """The picture as it is. Its object has the extent of its annotation."""

    words: ClassVar[str] = "an annotated object"

    size: Literal[1] = 1

    def apply(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        return picture
