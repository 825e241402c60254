"""Sliding windows on a torus: n/s positions each, wrapping around, so that no border disturbs the lattice."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.errors import InputError
from perturb.operations import Pair, Stencil


class CanvasError(Exception):
    """A canvas of this size cannot be moved over by this stride; `factor` says how much larger it must be."""

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.factor = factor


class NoTorusError(InputError):
    """The network runs on no torus: it asserts a size, or reshapes to one."""


def window_sum(
    x: Float[Tensor, "n channel row column"], stencil: Stencil
) -> Float[Tensor, "n channel out_row out_column"]:
    """Sums over windows; window j begins at s j - p and wraps around. Raises CanvasError where s does not divide n."""
    for axis in (0, 1):
        x = _sum_along(x, axis, stencil)
    return x


def window_mean(x: Float[Tensor, "n channel row column"], size: Pair) -> Float[Tensor, "n channel row column"]:
    """Means over windows of this size, one at each position."""
    return window_sum(x, Stencil(size, (1, 1), (0, 0), (0, 0), (1, 1))) / math.prod(size)


def _sum_along(x: Tensor, axis: int, stencil: Stencil) -> Tensor:
    dim, stride = 2 + axis, stencil.stride[axis]
    size = x.shape[dim]
    if size % stride:
        raise CanvasError(stride)
    starts = torch.arange(size // stride, device=x.device) * stride - stencil.before[axis]
    total = x.index_select(dim, starts % size)
    for tap in range(1, stencil.kernel[axis]):
        total = total + x.index_select(dim, (starts + tap * stencil.dilation[axis]) % size)
    return total
