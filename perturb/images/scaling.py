"""The numbers of a picture file become values in [0, 1], by one rule for the whole set, in the model's channels."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from perturb.errors import InputError
from perturb.images.account import CLIPPED, COMPOSITED, NARROW, Ledger
from perturb.images.decoding import Frame, UnreadableError
from perturb.images.photograph import Stored, as_values

Range = tuple[float, float] | None  # what black and white are; None: 0 and the largest value of the type
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601, as Pillow converts
ROWS = 64  # of a part
USED = 1 / 8  # of the type's range: a set that uses less is worth a word


class Scale:
    """The rule of a set, and the largest values that it met."""

    def __init__(self, given: Range, ledger: Ledger) -> None:
        self._given, self._ledger = given, ledger
        self._highest: dict[float, tuple[float, str]] = {}  # by the largest value of the type

    def stored(self, frame: Frame, channels: int, name: str) -> Stored:
        """The picture as a Photograph stores it. Raises UnreadableError where it has no finite values or other
        channels, and InputError for values outside the range of their type, where no range is given.
        """
        if frame.values.dtype.kind == "f" and not np.isfinite(frame.values).all():
            raise UnreadableError("NaN or infinite values")
        if self._given is None and frame.values.dtype.kind != "f":
            highest = (float(frame.values.max()), name)
            self._highest[frame.white] = max(highest, self._highest.get(frame.white, highest), key=lambda one: one[0])
        colour = self._in_unit(frame, name)
        if frame.alpha is not None:
            alpha = exact(scaled(frame.alpha, 0, frame.opaque))[..., None]
            if channels == colour.shape[2] + 1:
                colour = _alike(colour, alpha)
            elif frame.alpha.min() < frame.opaque:
                self._ledger.note(COMPOSITED, name)
                colour = on_white(colour, alpha, multiplied=frame.multiplied)
        return in_channels(exact(colour).transpose(2, 0, 1), channels)

    def close(self) -> None:
        """Note the sets whose values stay far below the largest of their type."""
        for white, (highest, name) in self._highest.items():
            if 0 < highest < USED * white:
                self._ledger.note(NARROW.format(highest, white, highest), name)

    def _in_unit(self, frame: Frame, name: str) -> Stored:
        """Row, column, channel; uint8 stays as it is."""
        low, high = self._given or (0.0, frame.white)
        if (low, high) == (0, 255) and frame.values.dtype == np.uint8:
            return 255 - frame.values if frame.inverted else frame.values
        least, most = frame.values.min(), frame.values.max()
        values = scaled(frame.values, low, high)
        if least < low or most > high:
            if self._given is None:
                raise InputError(
                    f"`images`: {name} has values from {least:g} to {most:g}, expected 0 to {high:g}: say in the "
                    'suite what black and white are, `[images] range = [low, high]`, or `range = "set"` for the '
                    "extremes of the set."
                )
            self._ledger.note(CLIPPED, name)
            values = values.clip(0, 1)
        return 1 - values if frame.inverted else values


def extremes(frames: Iterable[Frame]) -> Range:
    """The smallest and the largest value of a set; frames with values that are not finite do not count."""
    low, high = np.inf, -np.inf
    for frame in frames:
        least, most = float(frame.values.min()), float(frame.values.max())
        if np.isfinite([least, most]).all():
            low, high = min(low, least), max(high, most)
    if low == high:
        raise InputError(f'`images`: all pictures hold the one value {low:g}, so that range = "set" has no range.')
    return (low, high) if low < high else None


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(values - low) / (high - low) as float32, rounded once."""
    kind = np.dtype(np.uint8) if values.dtype == bool else values.dtype.newbyteorder("=")
    values = values.astype(kind, copy=False)
    if (low, high) == (0, 1):
        return values.astype(np.float32)
    found = np.empty(values.shape, dtype=np.float32)
    if kind.kind in "ui" and kind.itemsize <= 2:
        code: Any = {1: np.uint8, 2: np.uint16}[kind.itemsize]
        each = np.arange(np.iinfo(code).max + 1).astype(code).view(kind).astype(np.float64)
        table = ((each - low) / (high - low)).astype(np.float32)
        for part in _in_parts(values):
            found[part] = table[np.ascontiguousarray(values[part]).view(code)]
    else:
        for part in _in_parts(values):
            found[part] = (values[part].astype(np.float64) - low) / (high - low)
    return found


def exact(values: Stored) -> Stored:
    """uint8 where it holds every value exactly, as k / 255; otherwise the values themselves."""
    if values.dtype == np.uint8:
        return values
    eighth = np.empty(values.shape, dtype=np.uint8)
    for part in _in_parts(values):
        eighth[part] = np.rint(values[part] * np.float32(255))
        if not (as_values(eighth[part]) == values[part]).all():
            return values
    return eighth


def _in_parts(values: np.ndarray) -> Iterator[slice]:
    """Some rows after others, so that what is computed in between takes little memory."""
    return (slice(top, top + ROWS) for top in range(0, len(values), ROWS))


def on_white(colour: Stored, alpha: Stored, *, multiplied: bool) -> Stored:
    """What is seen in front of white; `multiplied` colours hold their alpha already."""
    colour, alpha = exact(colour), exact(alpha)
    if multiplied:
        return (as_values(colour) + 1 - as_values(alpha)).clip(0, 1)
    if colour.dtype == alpha.dtype == np.uint8:
        rgba = np.concatenate([np.broadcast_to(colour, (*colour.shape[:2], 3)), alpha], 2)
        front = Image.fromarray(np.ascontiguousarray(rgba))
        seen = np.asarray(Image.alpha_composite(Image.new("RGBA", front.size, "white"), front))
        return seen[..., : colour.shape[2]]
    return as_values(colour) * as_values(alpha) + (1 - as_values(alpha))


def in_channels(picture: Stored, channels: int) -> Stored:
    """Colour as grey, or grey in three channels. Raises UnreadableError for other numbers of channels."""
    given = len(picture)
    if given == channels:
        return picture
    if (given, channels) == (1, 3):
        return np.broadcast_to(picture, (3, *picture.shape[1:]))
    if (given, channels) == (3, 1):
        if picture.dtype == np.uint8:
            return np.asarray(Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))).convert("L"))[None]
        return np.tensordot(GREY, picture, 1)[None].clip(0, 1)
    raise UnreadableError(f"{given} channel{'s' * (given > 1)} where the model takes {channels}")


def _alike(colour: Stored, alpha: Stored) -> Stored:
    """Both of one type, one behind the other."""
    colour, alpha = exact(colour), exact(alpha)
    if colour.dtype != alpha.dtype:
        colour, alpha = as_values(colour), as_values(alpha)
    return np.concatenate([colour, alpha], 2)
