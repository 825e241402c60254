"""What models return, as their libraries return it, read by structure: rows and entries, boxes, text.

Nothing here imports those libraries.
"""

from perturb.answers.boxes import Boxes, boxes_of
from perturb.answers.content import content_of
from perturb.answers.structure import (
    Answers,
    Part,
    by_picture,
    head_of,
    names_of,
    part_by_picture,
    part_of,
    rows_of,
    select,
    take,
    tensor_of,
)
from perturb.answers.text import text_of

__all__ = [
    "Answers",
    "Boxes",
    "Part",
    "boxes_of",
    "by_picture",
    "content_of",
    "head_of",
    "names_of",
    "part_by_picture",
    "part_of",
    "rows_of",
    "select",
    "take",
    "tensor_of",
    "text_of",
]
