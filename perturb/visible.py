"""Text from outside, made safe to show: what a terminal would obey and what a reader would not see is written out.

Every output passes here: errors and warnings, the terminal, Markdown, HTML, JUnit and summaries.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

Kind = TypeVar("Kind")

# Letters and marks that leave no trace, which Python counts as printable: fillers, joiners, selectors of variants. The
# selectors of emoji (U+FE00 to U+FE0F) change what stands before them, and stay.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]")


def plain(text: object) -> str:
    """In one line, with every control, bidirectional or invisible character and half of a surrogate pair as its escape.

    A text that is plain already comes back as it is.
    """
    told = str(text)
    if told.isprintable() and not UNSEEN.search(told):
        return told
    return "".join(c if c.isprintable() and not UNSEEN.match(c) else _escape(c) for c in told)


def visible(text: str) -> str:
    """As `plain`, but lines stay lines."""
    return "\n".join(map(plain, text.split("\n")))


def plained(found: Kind) -> Kind:
    """A record whose every text is plain, at any depth; what is no text is the same object."""
    made: Any = found
    if type(made) is str:  # the words of an enum are ours, and so is markup
        return plain(made)  # type: ignore[return-value]
    if isinstance(made, Mapping):
        made = {plained(key): plained(value) for key, value in made.items()}
    elif isinstance(made, tuple) and hasattr(made, "_make"):
        made = made._make(map(plained, made))
    elif isinstance(made, tuple | list):
        made = type(made)(map(plained, made))
    elif dataclasses.is_dataclass(made) and not isinstance(made, type):
        given = [field.name for field in dataclasses.fields(made) if field.init]
        made = dataclasses.replace(made, **{name: plained(getattr(made, name)) for name in given})
    return made


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
