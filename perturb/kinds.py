"""Tables of kinds: the names that a suite may use, and the object that each name stands for.

A package's `KINDS` maps a name to "module:Object". The object is loaded when it is first used, so reading a suite loads
neither NumPy nor torch. Anybody's object goes by its own "package.module:Object" or "file.py:Object".
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perturb.code import load_object

Kinds = Mapping[str, str]
CUSTOM = r"^[^:]+:\w+$"


def is_custom(kind: str) -> bool:
    return re.match(CUSTOM, kind) is not None


def complaint(kind: str, kinds: Iterable[str]) -> str:
    """What is wrong with a kind, in words; empty if it is in the table or names an object of somebody's own."""
    known = list(kinds)
    if kind in known or is_custom(kind):
        return ""
    return f"is unknown, expected one of {known} or package.module:Name.{near(kind, known)}"


def load_kind(kind: str, kinds: Kinds, beside: Path | None = None) -> Any:
    """The object that a kind stands for. Files and modules of the user's are looked for in the folder `beside` first.

    Raises UsageError or InputError where the user's own code cannot be loaded.
    """
    return load_object(kinds.get(kind, kind), beside)


def near(name: str, known: Iterable[str]) -> str:
    """A suggestion for a name that is not known, as a sentence; empty if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def table(kinds: Kinds) -> str:
    """A Markdown table of the kinds and their words, for the docs."""
    rows = [("kind", "what it is"), ("---", "---"), *((f"`{name}`", load_kind(name, kinds).words) for name in kinds)]
    return "".join(f"| {name} | {words} |\n" for name, words in rows)
