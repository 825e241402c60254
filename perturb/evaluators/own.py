"""The user's own function of the model's answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from perturb.answers import Answers
from perturb.errors import InputError, PerturbError
from perturb.evaluators.reading import OwnAnswer
from perturb.protocols import Asked


@dataclass(frozen=True, kw_only=True)
class OwnFunction(OwnAnswer):
    """Evidence = `function(answer, row, column)`: the answer to one picture, and the object's top left."""

    words: ClassVar[str] = "a function of yours: (answer, row, column) -> a number"
    scale: ClassVar[str] = "what your function returns"
    local: ClassVar[bool] = True

    function: Callable[[Any, int, int], float]

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[np.ndarray, " picture"]:
        places = asked.place.tolist()
        try:
            found = [self.function(answer, row, column) for answer, (row, column) in zip(outputs, places, strict=True)]
        except PerturbError:
            raise
        except Exception as error:  # the user's own code
            raise InputError(f"{self.function.__name__}() raised {type(error).__name__}: {error}") from error
        try:
            return np.array([float(value) for value in found])
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.function.__name__}() gives {found[0]!r}, wanted one number.") from error
