"""f(p + D) - f(p) for functions of one number, without cancellation: what each reads of the clean p, and the change.

For D = 0 every one gives exactly 0. `read` makes the clean maps once a picture; `change` uses them in a window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Read = Callable[[Tensor], tuple[Tensor, ...]]
Change = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Function:
    """A pointwise function as differences see it."""

    read: Read
    change: Change  # (D, *what read gave) -> f(p + D) - f(p)


def clamp(low: float | None, high: float | None) -> Function:
    """With c = clamp(p) and r = p - c: clamp(D + r, low - c, high - c); for relu max(D + min(p, 0), -max(p, 0))."""

    def read(p: Tensor) -> tuple[Tensor, ...]:
        c = p.clamp(low, high)
        return p - c, *(bound - c for bound in (low, high) if bound is not None)

    def change(d: Tensor, r: Tensor, *bounds: Tensor) -> Tensor:
        moved = d + r
        if low is not None and high is not None:
            return torch.clamp(moved, bounds[0], bounds[1], out=moved)
        extreme = torch.maximum if low is not None else torch.minimum
        return extreme(moved, bounds[0], out=moved)

    return Function(read, change)


def leaky(slope: float) -> Function:
    """slope x + (1 - slope) relu(x)."""
    relu = clamp(0.0, None)
    return Function(relu.read, lambda d, *kept: slope * d + (1 - slope) * relu.change(d, *kept))


def in_double(call: Callable[[Tensor], Tensor]) -> Function:
    """Any other function, subtracted in float64; where D = 0 the two may have been rounded differently."""

    def read(p: Tensor) -> tuple[Tensor, ...]:
        return p, call(p.double())

    def change(d: Tensor, p: Tensor, before: Tensor) -> Tensor:
        after = call(d.double().add_(p))
        return after.sub_(before).to(d.dtype).masked_fill_(d == 0, 0)

    return Function(read, change)


def _by_call(call: Callable[..., Tensor], *arguments: Any, **options: Any) -> Function:
    return in_double(lambda p: call(p, *arguments, **options))


def _as_clamp(call: object, low: float | None = None, high: float | None = None) -> Function:
    if (low is None and high is None) or isinstance(low, Tensor) or isinstance(high, Tensor):
        raise TypeError("clamp by tensors")
    return clamp(low, high)


FUNCTIONS = (
    "gelu silu sigmoid tanh hardswish hardsigmoid elu selu celu mish softplus "
    "exp log sqrt rsqrt square abs sin cos reciprocal"
)
# operation -> (the torch call, its further arguments) -> Function
KINDS: dict[str, Callable[..., Function]] = {
    "relu": lambda call: clamp(0.0, None),
    "relu6": lambda call: clamp(0.0, 6.0),
    "hardtanh": lambda call, low=-1.0, high=1.0: clamp(low, high),
    "clamp": _as_clamp,
    "clamp_min": lambda call, low: _as_clamp(call, low),
    "clamp_max": lambda call, high: _as_clamp(call, None, high),
    "leaky_relu": lambda call, slope=0.01: leaky(slope),
    **dict.fromkeys(FUNCTIONS.split(), _by_call),
}
