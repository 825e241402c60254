"""A model's return value as answers: one row of a tensor, or one entry of a list, for each picture."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturb.errors import InputError, UsageError

Answers = Tensor | list[Any]  # one row, or one entry, for each picture
Part = str | int  # which of several outputs: a key, an attribute or an index; dots lead further down
CLOCKS = {"speed", "elapse", "elapse_list", "durations_in_seconds"}  # where libraries keep the seconds that they took


def part_of(layer: str) -> str | None:
    """The part of the model's own answer that a layer's name means; None for a layer inside the model.

    "output" is the whole answer, part ""; "output:NAME" is the part NAME.
    """
    name, _, part = layer.partition(":")
    return part if name == "output" else None


def rows_of(raw: object, count: int) -> dict[str, Tensor]:
    """The outputs that are tensors with a row for each of `count` pictures, by name; empty where there are none.

    A single tensor has the name "". The outputs of a tuple or list are named by their numbers.
    """
    single = _tensor(raw)
    if single is not None:
        return {"": single} if single.ndim and len(single) == count else {}
    found = {name: _tensor(value) for name, value in _named(raw).items()}
    return {name: v for name, v in found.items() if v is not None and v.ndim and len(v) == count}


def by_picture(raw: object, count: int, name: str, *, rowwise: bool = True) -> Answers:
    """The answers to `count` pictures. Raises InputError where they are not one for each picture.

    A list that holds an entry for each picture is taken as it is. Of several named outputs, each picture's entry is a
    dictionary. The answer to one picture may also be an object of any other kind. Without `rowwise`, the model is known
    to answer one picture at a time: a tensor with one row is then the answer itself, such as the only box.
    """
    if not rowwise and count == 1:
        return list(raw) if isinstance(raw, list) and len(raw) == 1 else [raw]
    rows = None if _lists_pictures(raw, count) else rows_of(raw, count)
    if rows:
        if len(rows) == 1:
            return next(iter(rows.values()))
        return [{key: value[i] for key, value in rows.items()} for i in range(count)]
    if _lists_pictures(raw, count):
        return list(raw)  # type: ignore[call-overload]
    if count == 1 and _tensor(raw) is None:
        return [raw]
    shape = getattr(raw, "shape", None)
    got = f"{tuple(shape)}" if shape is not None else f"a {type(raw).__name__}"
    raise InputError(f"{name} returns {got} for {count} pictures, not one row a picture.")


def part_by_picture(raw: object, count: int, part: Part, name: str, *, rowwise: bool = True) -> Answers:
    """One of several outputs, for `count` pictures: see `by_picture` and `select`. A single output has its name too."""
    if rowwise and not _lists_pictures(raw, count):
        rows = rows_of(raw, count)
        head, rest = head_of(str(part), rows)
        if head and head in rows:
            return select(rows[head], rest, name)
    return select(by_picture(raw, count, name, rowwise=rowwise), part, name)


def stacked(answers: Sequence[Any]) -> Answers:
    """Answers that were given picture by picture: a tensor where all are numbers of one shape."""
    tensors = [_tensor(answer) for answer in answers]
    if all(t is not None for t in tensors) and len({t.shape for t in tensors if t is not None}) == 1:
        return torch.stack(tensors)  # type: ignore[arg-type]
    return list(answers)


def select(answers: Answers, part: Part, name: str = "the model") -> Answers:
    """One of several outputs. Of a tensor, a number chooses the column. Raises UsageError where there is none such."""
    rest = str(part)
    while rest:
        step, rest = head_of(rest, names_of(answers))
        answers = _step(answers, step, name)
    return answers


def head_of(part: str, names: Collection[str]) -> tuple[str, str]:
    """The first step of a part, and the rest. Names may hold dots themselves: the longest known one counts."""
    steps = part.split(".")
    for count in range(len(steps), 1, -1):
        if (head := ".".join(steps[:count])) in names:
            return head, ".".join(steps[count:])
    return steps[0], ".".join(steps[1:])


def take(answers: Answers, which: Sequence[int] | np.ndarray) -> Answers:
    """The answers to these pictures."""
    if isinstance(answers, Tensor):
        return answers[torch.as_tensor(np.asarray(which), device=answers.device)]
    return [answers[int(i)] for i in which]


def tensor_of(answers: Answers, wanted: str) -> Tensor:
    """The answers as one tensor. Raises UsageError that says what there is instead of what is `wanted`."""
    if isinstance(answers, Tensor):
        return answers
    together = stacked(answers)
    if isinstance(together, Tensor):
        return together
    tensors = [_tensor(answer) for answer in answers]
    if shapes := sorted({tuple(t.shape) for t in tensors if t is not None}):
        told = " or ".join(map(str, shapes[:2]))
        raise UsageError(
            f"{wanted} is wanted, and the model gives {told} for one picture or another: use kind = 'boxes'."
        )
    if names := names_of(answers):
        raise UsageError(
            f"{wanted} is wanted, and the model returns {', '.join(names)}: choose one, output = {names[0]!r}."
        )
    raise UsageError(f"{wanted} is wanted, and the model returns {_kind(answers[0])} for each picture.")


def names_of(answers: Answers) -> list[str]:
    """The names of the outputs that can be chosen; empty where there is one alone."""
    return [] if isinstance(answers, Tensor) or not answers else list(_named(answers[0]))


def leaves(answer: object) -> list[Any]:
    """The numbers (as arrays) and texts inside an answer, in order; what holds neither is left out, and clocks are."""
    tensor = _tensor(answer)
    if tensor is not None:
        return [tensor.detach().double().cpu().numpy()] if not tensor.is_complex() else []
    if isinstance(answer, str):
        return [answer]
    inner = _named(answer)
    return [leaf for name, value in inner.items() if name not in CLOCKS for leaf in leaves(value)]


def _step(answers: Answers, step: str, name: str) -> Answers:
    if isinstance(answers, Tensor):
        if step.isdecimal() and answers.ndim > 1 and int(step) < answers.shape[1]:
            return answers[:, int(step)]
        has = f"outputs 0 to {answers.shape[1] - 1}" if answers.ndim > 1 else "one number a picture"
        if answers.ndim > 1 and not answers.shape[1]:
            has = "nothing there, such as no box, in some pictures; use kind = 'boxes'"
        raise UsageError(f"`output` = {step!r}: {name} has {has}.")
    return stacked([_entry(answer, step, name) for answer in answers])


def _entry(answer: object, step: str, name: str) -> Any:
    inner = _named(answer)
    if step in inner:
        return inner[step]
    if isinstance(answer, list | tuple) and len(answer) == 1 and not isinstance(answer[0], str):
        return _entry(answer[0], step, name)
    if (numbers := _tensor(answer)) is not None and step.isdecimal():
        if numbers.ndim and int(step) < len(numbers):
            return numbers[int(step)]
        raise UsageError(
            f"`output` = {step!r}: {name} gives {tuple(numbers.shape)} for a picture; use kind = 'boxes' for boxes."
        )
    if not step.startswith("_") and hasattr(answer, step) and not callable(getattr(answer, step)):
        return getattr(answer, step)
    known = f"expected one of {list(inner)}" if inner else f"it returns {_kind(answer)} for each picture"
    raise UsageError(f"`output` = {step!r}: {name} has no such output; {known}.")


def _lists_pictures(raw: object, count: int) -> bool:
    """Whether this is a list with an entry for each picture. Tensors with a row for each picture are outputs."""
    if not isinstance(raw, list) or len(raw) != count:
        return False
    return not all(t is not None and t.ndim and len(t) == count for t in map(_tensor, raw))


def _named(raw: object) -> dict[str, Any]:
    """The entries of a mapping, named tuple, data class, list or tuple, and of an object with public attributes."""
    if isinstance(raw, Mapping):
        return {str(key): value for key, value in raw.items()}
    if isinstance(raw, tuple) and hasattr(raw, "_asdict"):
        return dict(raw._asdict())
    if isinstance(raw, list | tuple):
        return {str(i): value for i, value in enumerate(raw)}
    if is_dataclass(raw) and not isinstance(raw, type):
        return {f.name: getattr(raw, f.name) for f in fields(raw)}
    return {key: value for key, value in getattr(raw, "__dict__", {}).items() if not key.startswith("_")}


def _tensor(value: object) -> Tensor | None:
    """The value as a tensor, if it is numbers."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return torch.as_tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.array(value))
    return None


def _kind(answer: object) -> str:
    name = type(answer).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" or name == "ndarray" else f"a {name}"
