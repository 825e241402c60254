"""What kind of answer a model gives: numbers, maps, boxes or text, seen from its answers to a few pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from perturb.answers import Answers, boxes_of, names_of, select, text_of
from perturb.errors import InputError, UsageError
from perturb.evaluators.map import SQUASHED

Kind = Literal["number", "numbers", "map", "boxes", "text"]

BOX = (4, 5, 6)  # numbers: corners, with a score, with a label


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKind:
    """One answer. Of several outputs, `output` names the one that was looked at."""

    kind: Kind
    output: str = ""  # "": the only one
    outputs: tuple[str, ...] = ()  # all, where there are several
    size: tuple[int, ...] = ()  # of the numbers for one picture
    channels: int = 1  # of a map
    rarest: int = 0  # the channel of a map that is the strongest at the fewest positions; the last of equal ones

    @property
    def words(self) -> str:
        """For people."""
        said = {
            "number": "one number a picture",
            "numbers": f"{' x '.join(map(str, self.size))} numbers a picture (scores of classes, or features)",
            "map": f"a map of {' x '.join(map(str, self.size[-2:]))} with {self.channels} channel"
            + "s" * (self.channels > 1),
            "boxes": "boxes",
            "text": "text",
        }[self.kind]
        return said + (f", as output {self.output!r} of {', '.join(self.outputs)}" if self.outputs else "")


def answer_kind(answers: Answers, shape: tuple[int, int]) -> AnswerKind:
    """The kind of these answers to pictures of `shape` (rows, columns).

    Of several outputs a map is taken, else the first that is numbers. Raises UsageError for answers of no known kind.
    """
    if isinstance(answers, Tensor):
        rows = answers.ndim == 3 and answers.shape[2] in BOX and _all_read([*answers], lambda one: boxes_of(one, shape))
        return AnswerKind(kind="boxes") if rows else _of_tensor(answers, shape)
    if _all_read(answers, lambda answer: boxes_of(answer, shape)):
        return AnswerKind(kind="boxes")
    if _all_read(answers, text_of):
        return AnswerKind(kind="text")
    names = tuple(names_of(answers))
    parts = {name: select(answers, name) for name in names}
    found = [
        _of_tensor(part, shape, output=name, outputs=names) for name, part in parts.items() if isinstance(part, Tensor)
    ]
    if not found:
        raise UsageError(
            f"the model answers with objects of type {type(answers[0]).__name__}, which no evaluator reads: write a "
            "function of yours, [evaluator] kind = 'file.py:function' (docs/suites.md)."
        )
    return next((each for each in found if each.kind == "map"), found[0])


def _all_read(answers: list[Any], read: Callable[[Any], object]) -> bool:
    try:
        for answer in answers:
            read(answer)
    except InputError:
        return False
    return True


def _of_tensor(
    values: Tensor, shape: tuple[int, int], *, output: str = "", outputs: tuple[str, ...] = ()
) -> AnswerKind:
    size = tuple(values.shape[1:])
    told: dict[str, Any] = {"output": output, "outputs": outputs, "size": size}
    if values[:1].numel() == 1:
        return AnswerKind(kind="number", **told)
    if len(size) not in (2, 3) or min(size[-2:]) < 2 or not _has_proportions(size[-2:], shape):
        return AnswerKind(kind="numbers", **told)
    if len(size) == 2 or not values.is_floating_point() or size[0] == 1:
        return AnswerKind(kind="map", **told)
    wins = values.argmax(1).flatten().bincount(minlength=size[0])
    rarest = size[0] - 1 - int(wins.flip(0).argmin())
    return AnswerKind(kind="map", channels=size[0], rarest=rarest, **told)


def _has_proportions(size: tuple[int, ...], shape: tuple[int, int]) -> bool:
    rows, columns = (whole / part for whole, part in zip(shape, size, strict=True))
    return 1 / SQUASHED <= rows / columns <= SQUASHED
