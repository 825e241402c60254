"""What a resizing does along one axis: its weights, from the torch operation itself, on a picture and on a torus."""

import math
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from perturb.operations.records import Resizing


def ratio(op: Resizing, axis: int) -> Fraction:
    """Outputs per input, from the sizes."""
    return Fraction(op.size[axis], op.x.shape[2 + axis])


def weights(op: Resizing, axis: int, size: int, out: int) -> Float[Tensor, "out size"]:
    """The weights with which `out` outputs read `size` inputs, in float64."""
    eye = torch.eye(size, dtype=torch.float64)[None, None]
    options: dict[str, Any] = {"mode": op.mode, "align_corners": op.corners, "antialias": op.antialias}
    if op.scale is None:
        return F.interpolate(eye, (out, size), **options)[0, 0]
    factors = (op.scale[axis], 1.0)
    return F.interpolate(eye, scale_factor=factors, recompute_scale_factor=False, **options)[0, 0]


def on_torus(op: Resizing, axis: int) -> Float[Tensor, "out size"] | None:
    """The weights where the axis is a circle, so that there is no border; None where corners are aligned.

    Of a longer axis, whose outputs repeat themselves after whole steps, the outputs in the middle.
    """
    size, out = op.x.shape[2 + axis], op.size[axis]
    if size == out:
        return torch.eye(size, dtype=torch.float64)
    if op.corners:
        return None
    step = ratio(op, axis)
    reach = 3 * max(1, math.ceil(1 / step)) + 1  # of a cubic 2 on each side, stretched by antialias
    ahead = -(-reach // step.denominator) * step.denominator
    first = int(ahead * step)
    wide = weights(op, axis, size + 2 * ahead, out + 2 * first)[first : first + out]
    at = (torch.arange(size + 2 * ahead) - ahead) % size
    return wide.new_zeros(out, size).index_add_(1, at, wide)


def taps(op: Resizing, axis: int, size: int, out: int) -> Tensor:
    """(out, tap): the inputs that have a weight in each output; one of them is repeated where there are fewer."""
    read = weights(op, axis, size, out) != 0
    most = int(read.sum(1).max())
    order = torch.argsort(read.int(), dim=1, descending=True, stable=True)[:, :most]
    return torch.where(read.gather(1, order), order, order[:, :1])
