"""The model's text: does it hold what was written?"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from perturb.answers import Answers, text_of
from perturb.evaluators.reading import OwnAnswer
from perturb.protocols import Asked


@dataclass(frozen=True, kw_only=True)
class Text(OwnAnswer):
    """Evidence = 1 where the regular expression `pattern` is found in the text that the model read, else 0."""

    words: ClassVar[str] = "whether the text that the model reads holds the regular expression `pattern`"
    scale: ClassVar[str] = "1 where it is read, 0 where not"
    verb: ClassVar[str] = "read"

    pattern: str = ""

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ValueError("`pattern` is missing: what must the text hold? For a decimal point, pattern = '[.]'.")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"`pattern` (={self.pattern!r}) is no regular expression: {error}.") from error

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[np.ndarray, " picture"]:
        found = re.compile(self.pattern)
        return np.array([float(found.search(text_of(answer)) is not None) for answer in outputs])
