"""f(p + D) - f(p) for functions of one number, without cancellation: what each reads of the clean p, and the change.

For D = 0 every one gives exactly 0. `read` makes the clean maps once a picture; `change` uses them in a window.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.special import erf

Read = Callable[[Tensor], tuple[Tensor, ...]]
Change = Callable[..., Tensor]
SMALL = 0.25  # |D| below which the midpoint series of the normal distribution is right to float32


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


def _itself(p: Tensor) -> tuple[Tensor, ...]:
    return (p,)


def _gate(d: Tensor, p: Tensor) -> Tensor:
    """6 times the change of the hard sigmoid relu6(p + 3) / 6."""
    c = (p + 3).clamp_(0, 6)
    return torch.clamp(d + (p + 3 - c), -c, 6 - c)


def _hardsigmoid(d: Tensor, p: Tensor) -> Tensor:
    return _gate(d, p).div_(6)


def _hardswish(d: Tensor, p: Tensor) -> Tensor:
    """p g(p): D g(p + D) + p (g(p + D) - g(p))."""
    gate = _gate(d, p)
    return (d * (gate + (p + 3).clamp_(0, 6))).add_(p * gate).div_(6)


def _sigmoid(d: Tensor, p: Tensor) -> Tensor:
    """sigma(p + D) sigma(-p) (1 - exp(-D)); below -80 the exponential would overflow and changes nothing."""
    return torch.sigmoid(p + d) * torch.sigmoid(-p) * -torch.expm1(-d.clamp(min=-80))


def _tanh(d: Tensor, p: Tensor) -> Tensor:
    return 2 * _sigmoid(2 * d, 2 * p)


def _silu(d: Tensor, p: Tensor) -> Tensor:
    gate = _sigmoid(d, p)
    return (d * (gate + torch.sigmoid(p))).add_(p * gate)


def _gelu(d: Tensor, p: Tensor) -> Tensor:
    """D Phi(p + D) + p (Phi(p + D) - Phi(p)); for small D from the density at the midpoint m: D phi(m) (1 + ...)."""
    end = _phi(p + d)
    middle = p + d / 2
    square = middle * middle
    density = torch.exp(-square / 2) / math.sqrt(2 * math.pi)
    series = d * density * (1 + d * d * (square - 1) / 24)
    return d * end + p * torch.where(d.abs() < SMALL, series, end - _phi(p))


def _phi(x: Tensor) -> Tensor:
    return (erf(x / math.sqrt(2)) + 1) / 2


def leaky(slope: float) -> Function:
    """slope x + (1 - slope) relu(x)."""
    relu = clamp(0.0, None)
    return Function(relu.read, lambda d, *kept: slope * d + (1 - slope) * relu.change(d, *kept))


def in_double(call: Callable[[Tensor], Tensor]) -> Function:
    """Any other function: subtracted in float64 on the window."""

    def change(d: Tensor, p: Tensor) -> Tensor:
        wide = p.double()
        return (call(wide + d) - call(wide)).to(d.dtype)

    return Function(_itself, change)


def _of_gelu(call: Callable[..., Tensor], approximate: str = "none") -> Function:
    return Function(_itself, _gelu) if approximate == "none" else in_double(partial(call, approximate=approximate))


def _fixed(change: Change) -> Callable[..., Function]:
    return lambda call: Function(_itself, change)


def _by_call(call: Callable[..., Tensor], *arguments: Any, **options: Any) -> Function:
    return in_double(lambda p: call(p, *arguments, **options))


def _as_clamp(call: object, low: float | None = None, high: float | None = None) -> Function:
    if (low is None and high is None) or isinstance(low, Tensor) or isinstance(high, Tensor):
        raise TypeError("clamp by tensors")
    return clamp(low, high)


# operation -> (the torch call, its further arguments) -> Function
KINDS: dict[str, Callable[..., Function]] = {
    "relu": lambda call: clamp(0.0, None),
    "relu6": lambda call: clamp(0.0, 6.0),
    "hardtanh": lambda call, low=-1.0, high=1.0: clamp(low, high),
    "clamp": _as_clamp,
    "clamp_min": lambda call, low: _as_clamp(call, low),
    "clamp_max": lambda call, high: _as_clamp(call, None, high),
    "leaky_relu": lambda call, slope=0.01: leaky(slope),
    "hardsigmoid": _fixed(_hardsigmoid),
    "hardswish": _fixed(_hardswish),
    "sigmoid": _fixed(_sigmoid),
    "tanh": _fixed(_tanh),
    "silu": _fixed(_silu),
    "gelu": _of_gelu,
    **dict.fromkeys("elu selu celu mish softplus exp log sqrt rsqrt square abs sin cos reciprocal".split(), _by_call),
}
