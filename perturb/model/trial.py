"""What a model must pass when it is loaded: it answers, finitely, the same again, and each picture by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, content_of, rows_of
from perturb.answers.structure import by_picture, leaves
from perturb.errors import InputError
from perturb.precision import full_float32

ALIKE = 1e-2  # of the answer's norm: batches of other sizes are rounded otherwise, in bfloat16 by 0.2 %
SAME = 1e-5  # of the answer's largest number: pictures of one batch, asked again, are rounded alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of a model's answers."""

    rows: bool  # tensors with a row for each picture; else any objects, and pictures are asked one by one
    single: bool  # one output alone
    several: bool  # whether it takes several pictures at once


def noise(shape: tuple[int, int, int], count: int) -> Float[Tensor, "picture channel row column"]:
    """Always the same pictures of random pixels, each in a narrower and darker range than the one before."""
    pictures = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    width = (0.4 ** torch.arange(count))[:, None, None, None]
    return 0.15 * (1 - width) + width * pictures


@full_float32()
def try_out(
    name: str,
    answer: Callable[[Tensor], object],
    shape: tuple[int, int, int],
    first: object,
    exact: Callable[[Tensor], object] | None = None,
) -> Form:
    """The form of the answers. `first` is what the model gives for the first picture of noise.

    Some networks without trained weights multiply the rounding of float32, which differs between batches of different
    sizes, to the size of the answer. Such answers are compared in float64, by `exact`.
    Raises InputError for what is not finite, for answers that are drawn, and for tensors that depend on the batch.
    """
    pictures = noise(shape, 2)
    one, again = (_content(by_picture(raw, 1, name), shape) for raw in (first, answer(pictures[:1])))
    if not all(np.isfinite(leaf).all() for leaf in one if not isinstance(leaf, str)):
        raise InputError(f"{name} returns NaN or infinity for a picture of random pixels.")
    if not _same(one, again):
        raise InputError(
            f"{name} gives two outputs for one picture: it draws random numbers in evaluation mode, or keeps a state."
        )
    single = len(rows_of(first, 1)) == 1
    if not rows_of(first, 1):
        return Form(rows=False, single=False, several=False)
    other = answer(pictures[1:])
    if _shapes(first) != _shapes(other):  # what is found, such as one box in one picture and two in another
        return Form(rows=False, single=False, several=False)
    try:
        both, twice = answer(pictures), answer(pictures[[0, 0]])
    except InputError:
        raise
    except Exception:  # the user's own code may be made for one picture
        return Form(rows=True, single=single, several=False)
    together = rows_of(both, 2)
    if not together:  # a list of one tensor for each picture
        by_picture(both, 2, name)
        return Form(rows=False, single=False, several=False)
    if _differ_alone((first, other), both) and (
        exact is None or _differ_alone([exact(one) for one in pictures.split(1)], exact(pictures))
    ):
        raise InputError(meeting(name))
    if not _same(_first_rows(both), _first_rows(twice)):
        raise InputError(meeting(name))
    return Form(rows=True, single=single, several=True)


def meeting(name: str) -> str:
    """The complaint about a model that is no function of one picture."""
    return (
        f"{name} answers a picture differently in a batch with others: f(batch)[i] is not f(x_i). Let the factory "
        'return `(lambda x: network(x), perturb.Preprocessing(layout="CHW", ...))`, a function of one picture.'
    )


def _differ_alone(alone: Sequence[object], both: object) -> bool:
    """Whether two pictures are answered differently beside one another."""
    together = rows_of(both, 2)
    for number, one in enumerate(alone):
        for key, row in rows_of(one, 1).items():
            beside = together.get(key)
            if beside is None or beside.shape[1:] != row.shape[1:] or _apart(row[0], beside[number]):
                return True
    return False


def differ(one: Answers, again: Answers, shape: tuple[int, int, int]) -> bool:
    """Whether two answers to one picture say different things."""
    return not _same(_content(one, shape), _content(again, shape))


def _first_rows(raw: object) -> list[np.ndarray | str]:
    return [rows[0].detach().double().cpu().numpy() for rows in rows_of(raw, 2).values()]


def _shapes(raw: object) -> dict[str, torch.Size]:
    return {key: rows.shape for key, rows in rows_of(raw, 1).items()}


def _content(answers: Answers, shape: tuple[int, int, int]) -> list[np.ndarray | str]:
    """What the answers to one picture say."""
    return leaves(answers) if isinstance(answers, Tensor) else content_of(answers[0], shape[1:])


def _apart(alone: Tensor, beside: Tensor) -> bool:
    alone, beside = alone.double(), beside.double()
    return bool((beside - alone).norm() > ALIKE * alone.norm())


def _same(one: list[np.ndarray | str], again: list[np.ndarray | str]) -> bool:
    """Whether two answers have the same texts, and the same numbers but for what a GPU adds up in another order."""
    if len(one) != len(again):
        return False
    for a, b in zip(one, again, strict=True):
        if isinstance(a, str) or isinstance(b, str):
            if not isinstance(a, str) or not isinstance(b, str) or a != b:
                return False
        elif a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=SAME * np.abs(a).max(initial=0)):
            return False
    return True
