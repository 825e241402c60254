"""The parts that the document is made of, before they are HTML or Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

MISSING = "not recorded"
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of short statements."""

    kind: ClassVar[str] = "points"
    points: Row


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values. An empty value is shown as not recorded."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head. An empty cell is shown as not recorded."""

    kind: ClassVar[str] = "table"
    head: Row
    rows: Sequence[Row]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, as a data address, and what it shows."""

    kind: ClassVar[str] = "figure"
    picture: str
    caption: str
    pixels: bool = False  # each pixel is a value, and stays a square


@dataclass(frozen=True, slots=True)
class Lines:
    """An empty form: a row for each who signs."""

    kind: ClassVar[str] = "lines"
    head: Row
    names: Row


Block = Text | Points | Facts | Table | Figure | Lines


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered section."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """All of it. `status` is one sentence: what is qualified."""

    status: str
    reasons: Row
    cover: Facts
    sections: Sequence[Section]
    sources: Row
    digest: str  # of the report, printed at the foot of each sheet; hexadecimal or empty


def recorded(value: str) -> str:
    """The value, or that there is none."""
    return value or MISSING


def joined(parts: Sequence[str]) -> str:
    """Without repetitions, in order."""
    return ", ".join(dict.fromkeys(parts))
