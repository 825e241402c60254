"""f(p + D) - f(p) for functions of one number, without cancellation.

D = 0 gives exactly 0. `read` computes maps from the clean p, once per picture; `change` uses them in a window, and
writes into `out` if it is given.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PIECE = 1 << 16  # numbers that `smooth` takes at once, so that intermediate results stay in the cache
NEAR = 1e-2  # largest |D| for which `smooth` uses derivatives
Read = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Function:
    """How a pointwise function changes differences."""

    read: Read
    change: Callable[..., Tensor]  # (D, *maps from read) -> f(p + D) - f(p)
    passes: float  # its cost, in passes of a number through memory
    dense: float  # share of that cost that f alone takes
    scales: bool = False  # whether `change` accepts a `factor` of D, at no cost


def clamp(low: float | None, high: float | None) -> Function:
    """With c = clamp(p) and r = p - c: clamp(D + r, low - c, high - c); for relu max(D + min(p, 0), -max(p, 0))."""

    def read(p: Tensor) -> tuple[Tensor, ...]:
        c = p.clamp(low, high)
        return p - c, *(bound - c for bound in (low, high) if bound is not None)

    def change(
        d: Tensor, r: Tensor, *bounds: Tensor, factor: Tensor | None = None, out: Tensor | None = None
    ) -> Tensor:
        moved = torch.add(d, r, out=out) if factor is None else torch.addcmul(r, d, factor, out=out)
        if low is not None and high is not None:
            return torch.clamp(moved, bounds[0], bounds[1], out=moved)
        extreme = torch.maximum if low is not None else torch.minimum
        return extreme(moved, bounds[0], out=moved)

    return Function(read, change, 1.5, 0.2, scales=True)


def leaky(slope: float) -> Function:
    """slope x + (1 - slope) relu(x)."""
    relu = clamp(0.0, None)

    def change(d: Tensor, *kept: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.add(slope * d, relu.change(d, *kept), alpha=1 - slope, out=out)

    return Function(relu.read, change, 3, 0.2)


def hardsigmoid() -> Function:
    """(3 + c) / 6 with c = clamp(p, -3, 3)."""
    c = clamp(-3.0, 3.0)
    return Function(c.read, lambda d, *kept, out=None: torch.div(c.change(d, *kept), 6, out=out), 2, 0.2)


def hardswish() -> Function:
    """p (3 + c) / 6 with c = clamp(p, -3, 3): (D (3 + c + Dc) + p Dc) / 6."""
    c = clamp(-3.0, 3.0)

    def read(p: Tensor) -> tuple[Tensor, ...]:
        return p, 3 + p.clamp(-3, 3), *c.read(p)

    def change(d: Tensor, p: Tensor, gate: Tensor, *kept: Tensor, out: Tensor | None = None) -> Tensor:
        moved = c.change(d, *kept)
        return torch.div((gate + moved).mul_(d).addcmul_(p, moved), 6, out=out)

    return Function(read, change, 4, 0.2)


def smooth(call: Callable[[Tensor], Tensor]) -> Function:
    """A function with a small third derivative: D (f'(p) + D f''(p) / 2) up to NEAR, a float32 subtraction beyond.

    Both are least accurate at NEAR: right to 1e-4 of D (GELU to 2e-4, near p = -3.4).
    """

    def read(p: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode(False), torch.enable_grad():
            x = p.double().clone().requires_grad_()
            (slope,) = torch.autograd.grad(call(x).sum(), x, create_graph=True)
            (bend,) = torch.autograd.grad(slope.sum(), x)
        return p, call(p), *(torch.empty_like(p).copy_(t) for t in (slope.detach(), bend / 2))

    def change(d: Tensor, *kept: Tensor, out: Tensor | None = None) -> Tensor:
        if d.device.type != "cpu" or d.numel() <= PIECE or d.shape != kept[0].shape:
            return piece(d, *kept, out=out)
        out = torch.empty_like(d) if out is None else out
        rows = max(1, PIECE * d.shape[-2] // d.numel())
        for some, *others, there in zip(*(t.split(rows, -2) for t in (d, *kept, out)), strict=True):
            piece(some, *others, out=there)
        return out

    def piece(d: Tensor, p: Tensor, before: Tensor, slope: Tensor, half_bend: Tensor, *, out: Tensor | None) -> Tensor:
        if d.device.type == "cpu" and -NEAR <= float(d.amin()) <= float(d.amax()) <= NEAR:
            return torch.mul(half_bend.mul(d).add_(slope), d, out=out)
        far = F.hardshrink(d, NEAR)  # a mask by comparison would double the time
        near = d - far
        after = call(far + p).sub_(before).mul_(far.sign().abs_())
        return torch.add(after, half_bend.mul(near).add_(slope).mul_(near), out=out)

    return Function(read, change, 7, 0.15)


def in_double(call: Callable[[Tensor], Tensor]) -> Function:
    """Any other function, subtracted in float64. D = 0 is handled apart: the two terms can round differently."""

    def read(p: Tensor) -> tuple[Tensor, ...]:
        return p, call(p.double())

    def change(d: Tensor, p: Tensor, before: Tensor, out: Tensor | None = None) -> Tensor:
        moved = call(d.double().add_(p)).sub_(before).to(d.dtype)
        return torch.where(d == 0, torch.zeros_like(d), moved, out=out)

    return Function(read, change, 13, 0.08)


def _by(kind: Callable[[Callable[[Tensor], Tensor]], Function]) -> Callable[..., Function]:
    """A factory that takes the torch call and its further arguments."""
    return lambda call, *arguments, **options: kind(lambda p: call(p, *arguments, **options))


def _as_clamp(call: object, low: float | None = None, high: float | None = None) -> Function:
    if (low is None and high is None) or isinstance(low, Tensor) or isinstance(high, Tensor):
        raise TypeError("clamp by tensors")
    return clamp(low, high)


SMOOTH = "gelu silu sigmoid tanh mish"
OTHERS = "elu selu celu softplus exp log sqrt rsqrt square abs sin cos reciprocal"
# operation -> (the torch call, its further arguments) -> Function
KINDS: dict[str, Callable[..., Function]] = {
    "relu": lambda call: clamp(0.0, None),
    "relu6": lambda call: clamp(0.0, 6.0),
    "hardtanh": lambda call, low=-1.0, high=1.0: clamp(low, high),
    "clamp": _as_clamp,
    "clamp_min": lambda call, low: _as_clamp(call, low),
    "clamp_max": lambda call, high: _as_clamp(call, None, high),
    "leaky_relu": lambda call, slope=0.01: leaky(slope),
    "hardsigmoid": lambda call: hardsigmoid(),
    "hardswish": lambda call: hardswish(),
    **dict.fromkeys(SMOOTH.split(), _by(smooth)),
    **dict.fromkeys(OTHERS.split(), _by(in_double)),
}
