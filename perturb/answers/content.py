"""What an answer says, without what a library adds, such as the seconds that it took."""

from typing import Any

import numpy as np

from perturb.answers.boxes import boxes_of
from perturb.answers.structure import leaves
from perturb.answers.text import text_of
from perturb.errors import InputError


def content_of(answer: Any, shape: tuple[int, int]) -> list[np.ndarray | str]:
    """The boxes of one answer, or else its text, or else every number and text in it. `shape`: rows, columns."""
    for read in (_boxes, _text):
        try:
            return read(answer, shape)
        except (InputError, TypeError, ValueError):
            continue
    return leaves(answer)


def _boxes(answer: Any, shape: tuple[int, int]) -> list[np.ndarray | str]:
    corners, score, label = boxes_of(answer, shape)
    return [corners, score, " ".join(label)]


def _text(answer: Any, shape: tuple[int, int]) -> list[np.ndarray | str]:
    return [text_of(answer)]
