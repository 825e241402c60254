"""Arguments by name, from the positional and keyword arguments of a call and a signature in one string."""

from collections.abc import Callable, Sequence
from typing import Any

from perturb.operations.records import Operation

Given = dict[str, Any]
Reader = Callable[[Given], Operation | None]


def bind(signature: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Given | None:
    """Each given argument under its first name; None where the signature lacks one.

    A signature lists names: `a/b` are two names for one argument, `a...` takes one list or all further positional
    arguments, and those behind `*` are keywords only.
    """
    positional, _, keywords = signature.partition("*")
    if positional.rstrip().endswith("..."):
        positional = positional.rstrip().removesuffix("...")
        args = _gathered(args, len(positional.split()) - 1)
    order = [names.split("/") for names in positional.split()]
    first = {name: names[0] for names in [*order, *([name] for name in keywords.split())] for name in names}
    if len(args) > len(order) or not kwargs.keys() <= first.keys():
        return None
    given = {names[0]: value for names, value in zip(order, args, strict=False)}
    return given | {first[name]: value for name, value in kwargs.items()}


def _gathered(args: Sequence[Any], fixed: int) -> Sequence[Any]:
    """The arguments after the first `fixed` ones as one list."""
    rest = args[fixed:]
    if not rest or (len(rest) == 1 and isinstance(rest[0], list | tuple)):
        return args
    return (*args[:fixed], tuple(rest))
