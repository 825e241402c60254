"""Picture files become photographs, one by one; what is done to them goes into a ledger."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perturb.images.account import CONSTANT, ENLARGED, FRAMES, LEFT_OUT, Ledger
from perturb.images.decoding import Asked, Frame, UnreadableError, decode
from perturb.images.photograph import Photograph, Stored, digest_of
from perturb.images.scaling import Range, Scale, extremes
from perturb.visible import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How picture files are read: keys of a suite's [images]."""

    range: Literal["type", "set"] | tuple[float, float] = "type"  # what black and white are
    frames: Literal["first", "all"] = "first"


def opened_in_turn(paths: dict[Path, str], channels: int, reading: Reading, ledger: Ledger) -> Iterator[Photograph]:
    """Each picture that can be read, under its name; the others are in the ledger, with why not.

    All frames of a file that are asked for are one photograph. Raises InputError for values outside the range of
    their type, where `reading` names no range.
    """
    asked = Asked(channels=channels, all_frames=reading.frames == "all", window=reading.range == "type")
    scale = Scale(_range(paths, asked, reading), ledger)
    for path, name in paths.items():
        try:
            found = decode(path, asked)
            stored = [scale.stored(frame, channels, name) for frame in found.frames]
        except UnreadableError as why:
            ledger.note(LEFT_OUT.format(plain(why)), name)
            continue
        for note in found.notes:
            ledger.note(note, name)
        if found.left:
            ledger.note(FRAMES, name, found.left)
        yield Photograph(stored=stored[0], more=tuple(stored[1:]), name=name, path=path, digest=_digest(stored))
    scale.close()


def note_constant(photograph: Photograph, ledger: Ledger) -> None:
    """A picture in which everything has one value tells little."""
    if photograph.stored.min() == photograph.stored.max():
        ledger.note(CONSTANT, photograph.name)


def note_enlarged(photograph: Photograph, shape: tuple[int, int, int], ledger: Ledger) -> None:
    """A picture with a side below the input's is enlarged, which takes away its finest detail."""
    if photograph.size[0] < shape[1] or photograph.size[1] < shape[2]:
        ledger.note(ENLARGED, photograph.name)


def _digest(frames: list[Stored]) -> str:
    digests = [digest_of(frame) for frame in frames]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _range(paths: Iterable[Path], asked: Asked, reading: Reading) -> Range:
    if isinstance(reading.range, str):
        return extremes(_frames(paths, asked)) if reading.range == "set" else None
    return reading.range


def _frames(paths: Iterable[Path], asked: Asked) -> Iterator[Frame]:
    for path in paths:
        try:
            yield from decode(path, asked).frames
        except UnreadableError:  # left out, and said, when the pictures are read
            continue
