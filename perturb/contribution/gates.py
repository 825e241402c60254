"""What multiplies something is a gate: it scales a signal, and is not one.

A sigmoid or softmax is a gate only where what comes of it meets a signal in a product; elsewhere it is a nonlinearity
like any other. So each tensor has a level: the number of sigmoids and softmaxes on the path to it that has fewest. In a
product, whatever has a higher level than the other factor is the gate, or the smaller one of two behind sigmoids. One
number for the whole picture, such as its deviation, is a gate of a map too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from perturb import operations

GATES = frozenset(["sigmoid", "sigmoid_", "hardsigmoid", "softmax"])
SHAPED = frozenset("expand_as view_as reshape_as type_as".split())  # of the second tensor the shape alone counts
ELEMENTWISE = (operations.Product, operations.SumWithProduct, operations.Division)
PRODUCTS = (*ELEMENTWISE, operations.Matmul, operations.Einsum)


class Levelled(TorchFunctionMode):
    """While active, `act` does what torch functions of the picture do, and their results get a level."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        live = [value for value in tensors_in((args, kwargs)) if value.requires_grad]
        if not live:
            return func(*args, **kwargs)
        result = self.act(func, name, args, kwargs)
        source = live[:1] if name in SHAPED and live[0] is args[0] else live
        mark(result, level_of(source) + (name in GATES))
        return result

    def act(self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands in for the function; at least one argument depends on the picture."""
        raise NotImplementedError


def name_of(func: Callable[..., Any]) -> str:
    if func is F.unfold:  # Tensor.unfold has the same name
        return "im2col"
    return getattr(func, "__name__", None) or str(func)


def tensors_in(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def level_of(live: Sequence[Tensor]) -> int:
    """The lowest level of these tensors."""
    return min(getattr(x, "_gate_level", 0) for x in live)


def mark(result: Any, level: int) -> None:
    """Note the level of what an operation gives, one tensor or several."""
    for part in result if isinstance(result, tuple | list) else (result,):
        if isinstance(part, Tensor):
            part._gate_level = level  # type: ignore[attr-defined]


def gates_in(operation: operations.Operation | None, live: Sequence[Tensor]) -> dict[int, Tensor]:
    """By identity, ones in place of each tensor that is a gate of this operation."""
    if not isinstance(operation, PRODUCTS):
        return {}
    lowest, largest = level_of(live), max(x.numel() for x in live)
    maps = isinstance(operation, ELEMENTWISE) and any(x.ndim == 4 and not _is_one_number(x) for x in live)
    gates = [
        x for x in live if level_of([x]) > lowest or (lowest and x.numel() < largest) or (maps and _is_one_number(x))
    ]
    return {id(x): torch.ones_like(x, requires_grad=False) for x in gates if len(gates) < len(live)}


def _is_one_number(x: Tensor) -> bool:
    """Whether each channel has one number for the whole picture."""
    return x.ndim <= 4 and x.shape[-2:].numel() == 1


def swapped(value: Any, given: dict[int, Tensor]) -> Any:
    """Arguments with other tensors in place of some."""
    if isinstance(value, Tensor):
        return given.get(id(value), value)
    if isinstance(value, dict):
        return {name: swapped(part, given) for name, part in value.items()}
    return type(value)(swapped(part, given) for part in value) if type(value) in (tuple, list) else value
