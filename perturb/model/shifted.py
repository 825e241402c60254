"""Ask twice: a model asked at several shifts of the picture, its answers moved back and joined, is one model."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, names_of, part_of, select, take, text_of
from perturb.answers.structure import stacked
from perturb.errors import InputError, UsageError
from perturb.model.callable import BlackBox
from perturb.model.network import Network
from perturb.model.preprocessing import Preprocessing
from perturb.model.running import in_batches, joined
from perturb.model.whole import Corner, cut, joined_boxes, joined_numbers
from perturb.sensor import network_shape
from perturb.tiling import Tiling

ASK_TWICE = "ask-twice"
SHIFTS = 2  # along rows, and along columns
OVERLAPPING = 0.5  # intersection over union above which two boxes of one label are the same
WIDEST = 6  # numbers of a box: an array with longer rows holds none
Moves = tuple[Corner, ...]  # rows, columns by which a view begins further down and right


def shifts_of(remedy: str | None) -> int | None:
    """2 for "ask-twice", K for "ask-twice:K"; None for another remedy. Raises UsageError for another K."""
    kind, _, count = (remedy or "").partition(":")
    if kind != ASK_TWICE:
        return None
    if count and not (count.isdecimal() and int(count) >= SHIFTS):
        raise UsageError(f"`remedy` {remedy!r}: expected {ASK_TWICE}, or {ASK_TWICE}:K with K of {SHIFTS} or more.")
    return int(count or SHIFTS)


def ask_twice(model: Network | BlackBox, *, shifts: int = SHIFTS, step: int = 1) -> BlackBox:
    """The model asked at shifts x shifts shifts of each picture, 0, step, 2 step, ... pixels along rows and columns.

    It takes the pictures that the model takes and answers in the same form, at shifts^2 times the cost. Boxes are moved
    back, and of those of one label that overlap by more than half (intersection over union) the best is kept. A map is
    moved back, repeated to the input's pixels, and has the largest value at each; a score is the largest. Of text the
    longest reading counts, of equally long ones the most frequent: what a dead pixel costs is a mark that is missing.
    Pixels moved in from outside repeat the picture's edge. With a step of 1 each place meets `shifts` neighbouring
    rows and columns of the lattice, whatever its period.
    Raises UsageError for shifts that leave nothing of the picture, and for a network without trained weights, whose
    normalisation statistics would not be settled; answers of another kind raise InputError or UsageError.
    """
    if not isinstance(model, Network | BlackBox):
        raise UsageError(f"{ASK_TWICE} takes a loaded model, not a {type(model).__name__}: use perturb.load(...).")
    if model.untrained:
        raise UsageError(f"{ASK_TWICE}: {model.name} is untrained; name weights.")
    if shifts < SHIFTS or step < 1 or (shifts - 1) * step >= min(network_shape(model)[1:]):
        raise UsageError(
            f"{ASK_TWICE}: shifts={shifts}, step={step}: expected {SHIFTS} shifts or more, a step of 1 or more, "
            f"and together less than the picture's {network_shape(model)[1:]}."
        )
    before = model.preprocessing
    bare = replace(before, input_shape=network_shape(model), steps=())
    moves = tuple((step * row, step * column) for row in range(shifts) for column in range(shifts))
    return Shifted(
        _Asking(model=model.with_preprocessing(bare) if before.steps else model, moves=moves),
        name=f"{model.name} at {shifts} x {shifts} shifts",
        preprocessing=Preprocessing(input_shape=before.input_shape, steps=before.steps, usual=before.usual),
        device=model.device,
        period=getattr(model, "period", None),
        windows=getattr(model, "windows", ()),
    )


class Shifted(BlackBox):
    """A black box that asks another model, which also chooses among its outputs."""

    function: "_Asking"

    def measure(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Answers:
        if part_of(layer) is None:
            return super().measure(pictures, layer)

        def answer(batch: Tensor) -> Answers:
            return self.function(self._normaliser(batch.float()), layer)

        return joined(self, in_batches(self, pictures, answer), layer)


@dataclass(frozen=True, kw_only=True)
class _Asking:
    model: Network | BlackBox
    moves: Moves

    def __call__(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Answers:
        size, count = (pictures.shape[-2], pictures.shape[-1]), len(self.moves)
        views = torch.cat([cut(picture, self.moves, size) for picture in pictures])
        answers, whole = self.model.measure(views, layer), Tiling(picture=size, tile=size)
        return stacked(
            [
                _join(take(answers, range(at, at + count)), self.moves, whole)
                for at in range(0, count * len(pictures), count)
            ]
        )


def _join(answers: Answers, moves: Moves, whole: Tiling) -> Any:
    """One answer of those at all shifts: of their boxes, or else their text, or else each of their numbers."""
    if isinstance(answers, Tensor) and (answers.ndim < 3 or answers.shape[-1] > WIDEST):
        return joined_numbers(answers, moves, whole, "max")
    if all(answer is None or (isinstance(answer, list | tuple) and not answer) for answer in answers):
        return answers[0]
    for join in (_boxes, _text):
        try:
            return join(answers, moves, whole)
        except InputError:
            continue
    if names := names_of(answers):
        return {name: _join(select(answers, name), moves, whole) for name in names}
    return joined_numbers(answers, moves, whole, "max")


def _boxes(answers: Answers, moves: Moves, whole: Tiling) -> Any:
    return joined_boxes(answers, moves, whole, OVERLAPPING)


def _text(answers: Answers, moves: Moves, whole: Tiling) -> str:
    readings = [text_of(answer) for answer in answers]
    return max(readings, key=lambda one: (len(one), readings.count(one)))
