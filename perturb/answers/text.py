"""Text in the forms in which recognition libraries return it, for one picture."""

from collections.abc import Mapping
from typing import Any

from perturb.errors import InputError

FORMS = (
    "a string, pairs of (text, score), rows of (box, text, score) or (box, (text, score)), `.txts`, `.rec_texts` or "
    "`.generated_text`"
)


def text_of(answer: Any) -> str:
    """The lines of one picture, joined by a space; empty for None. Raises InputError for an answer without text.

    RapidOCR's (lines, seconds) counts as its lines. Text in bytes is read as UTF-8.
    """
    found = _lines(answer)
    if found is None:
        raise InputError(f"the answer ({type(answer).__name__}) holds no text; known are {FORMS}.")
    return " ".join(found)


def _lines(answer: Any) -> list[str] | None:
    if answer is None:
        return []
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, bytes):
        return [answer.decode(errors="replace")]
    for name in ("txts", "rec_texts", "generated_text", "text"):
        if not (name in answer if isinstance(answer, Mapping) else hasattr(answer, name)):
            continue
        inner = answer[name] if isinstance(answer, Mapping) else getattr(answer, name)
        if inner is None:
            return []
        if isinstance(inner, str | list | tuple):
            return _lines(list(inner) if not isinstance(inner, str) else inner)
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], list | None):
        return _lines(answer[0])
    if isinstance(answer, list | tuple):
        if len(answer) == 2 and isinstance(answer[0], str) and isinstance(answer[1], float | int):
            return [answer[0]]
        rows = [_line(row) for row in answer]
        if rows == [None]:
            return _lines(answer[0])
        return None if any(row is None for row in rows) else [row for row in rows if row is not None]
    return None


def _line(row: Any) -> str | None:
    """The text of a row: itself, or the first string in it."""
    if isinstance(row, str):
        return row
    if isinstance(row, Mapping):
        row = list(row.values())
    if not isinstance(row, list | tuple):
        return None
    inner = row[1] if len(row) == 2 and isinstance(row[1], list | tuple) else ()  # PaddleOCR: (box, (text, score))
    return next((value for value in (*row, *inner) if isinstance(value, str)), None)
