"""What each torch operation does to the structural map: one rule for each record of `perturb.operations`."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb import operations
from perturb.contribution.torus import CanvasError, window_sum


class Trace(Protocol):
    """What a rule may ask of the pass that it is part of."""

    @property
    def power(self) -> int:
        """2: coefficients that are known act by their squares; 1: as they are."""

    def bar(self, name: str, call: Callable[[], Any], source: Tensor) -> Any:
        """The result of `call`, through which no gradient reaches `source`."""

    def certify(self, kind: str, stencil: operations.Stencil) -> None:
        """Note a sliding window's coverage."""

    def resized(self, rows: Fraction, columns: Fraction) -> None:
        """Note the outputs per input of a resizing, which must be those at the network's own size."""

    def is_fixed(self, weight: Tensor) -> bool:
        """Whether the values of a weight are part of the architecture: they depend on no parameter."""


def _convolution(trace: Trace, op: operations.Convolution) -> Tensor:
    trace.certify("Conv2d", op.stencil)
    if trace.is_fixed(op.weight):
        return _fixed_convolution(trace, op)
    out = window_sum(group_means(op.x, op.groups), op.stencil) / math.prod(op.stencil.kernel)
    return out.repeat_interleave(op.weight.shape[0] // op.groups, 1)


def group_means(x: Tensor, groups: int) -> Tensor:
    """Of 1/fan_in, the share of the channels."""
    return x.unflatten(1, (groups, -1)).mean(2)


def _fixed_convolution(trace: Trace, op: operations.Convolution) -> Tensor:
    """A convolution whose coefficients are known, on the torus."""
    x, stencil = op.x, op.stencil
    for axis in (0, 1):
        size, stride = x.shape[2 + axis], stencil.stride[axis]
        if size % stride:
            raise CanvasError(stride)
        last = size - stride + stencil.dilation[axis] * (stencil.kernel[axis] - 1) + 1
        x = x.index_select(2 + axis, (torch.arange(last, device=x.device) - stencil.before[axis]) % size)
    return F.conv2d(x, op.weight.to(x.dtype) ** trace.power, None, stencil.stride, 0, stencil.dilation, op.groups)


def _transposed_convolution(trace: Trace, op: operations.TransposedConvolution) -> Tensor:
    """A convolution of the input with zeros in between, by the mirrored kernel."""
    fixed, kernel, (down, right) = trace.is_fixed(op.weight), op.stencil.kernel, op.stencil.stride
    x = op.x if fixed else group_means(op.x, op.groups)
    wide = x.new_zeros(*x.shape[:2], x.shape[2] * down, x.shape[3] * right)
    wide[:, :, ::down, ::right] = x
    rows, columns = (op.stencil.dilation[a] * (kernel[a] - 1) - op.stencil.before[a] for a in (0, 1))
    stencil = operations.Stencil(kernel, (1, 1), (rows, columns), (rows, columns), op.stencil.dilation)
    if fixed:
        mirrored = op.weight.unflatten(0, (op.groups, -1)).transpose(1, 2).flatten(0, 1).flip(2, 3)
        return _fixed_convolution(trace, operations.Convolution(wide, mirrored, stencil, op.groups))
    return (window_sum(wide, stencil) / math.prod(kernel)).repeat_interleave(op.weight.shape[1], 1)


def _max_pool(trace: Trace, op: operations.MaxPool) -> Tensor:
    """Each position of the window is the largest equally often."""
    trace.certify("MaxPool2d", op.stencil)
    return window_sum(op.x, op.stencil) / math.prod(op.stencil.kernel)


def _average_pool(trace: Trace, op: operations.AveragePool) -> Tensor:
    trace.certify("AvgPool2d", op.stencil)
    return window_sum(op.x, op.stencil) / (op.divisor or math.prod(op.stencil.kernel)) ** trace.power


def _adaptive_pool(trace: Trace, op: operations.AdaptivePool) -> Tensor:
    """Every output sees the whole torus alike; an input that is already of that size passes unchanged."""
    if tuple(op.x.shape[2:]) == op.size:
        return op.x
    count = op.x[0, 0].numel() if op.kind == "mean" else 1
    return op.x.mean((2, 3), keepdim=True).expand(*op.x.shape[:2], *op.size) / count ** (trace.power - 1)


def _padding(trace: Trace, op: operations.Padding) -> Tensor:
    """On a torus padding a picture's rows and columns only moves where the next window begins."""
    x, widths = op.x, op.widths
    if x.ndim == 4:
        x = x.roll((op.along(-2)[0], op.along(-1)[0]), (2, 3))
        widths = (0, 0, 0, 0, *widths[4:])
    return F.pad(x, widths) if any(widths) else x


def _indexing(trace: Trace, op: operations.Indexing) -> Tensor:
    """A crop of rows or columns moves the origin, and a step strides; every other index acts as it is."""
    x, parts = op.x, list(op.parts)
    for dim in (2, 3) if op.plain and x.ndim == 4 else ():
        part, size = parts[dim], x.shape[dim]
        if isinstance(part, slice):
            step = 1 if size == 1 else part.step or 1
            if size % step:
                raise CanvasError(step)
            x = x.roll(-(part.start or 0), dim)
            parts[dim] = slice(None, None, step)
    return x[tuple(parts)]


def _unfolding(trace: Trace, op: operations.Unfolding) -> Tensor:
    """Windows of rows or columns wrap around."""
    if op.x.ndim < 4 or op.dim not in (2, 3):
        return trace.bar("unfold", lambda: op.x.unfold(op.dim, op.size, op.step), op.x)
    count = op.x.shape[op.dim]
    if count % op.step:
        raise CanvasError(op.step)
    starts = torch.arange(0, count, op.step, device=op.x.device)
    at = (starts[:, None] + torch.arange(op.size, device=op.x.device)) % count
    return op.x.index_select(op.dim, at.flatten()).unflatten(op.dim, at.shape).movedim(op.dim + 1, -1)


def _index_select(trace: Trace, op: operations.IndexSelect) -> Tensor:
    return op.x.index_select(op.dim, op.index)


def _reshape(trace: Trace, op: operations.Reshape) -> Tensor:
    """Stand-ins are not always laid out as the originals, so a view may need a copy.

    A map flattened to a number of features written down for another size is flattened whole: a linear layer reads every
    position of a torus alike.
    """
    try:
        return op.x.reshape(op.shape)
    except RuntimeError:
        if op.x.ndim == 4 and len(op.shape) == 2:
            return op.x.flatten(1)
        raise


def _linear(trace: Trace, op: operations.Linear) -> Tensor:
    if trace.is_fixed(op.weight):
        return F.linear(op.x, op.weight.to(op.x.dtype) ** trace.power)
    return op.x.mean(-1, keepdim=True).expand(*op.x.shape[:-1], op.weight.shape[0])


def _matmul(trace: Trace, op: operations.Matmul) -> Tensor:
    """With weights or attention on one side: a mean over what is contracted. Of two activations: scores, barred."""
    if all(side.requires_grad for side in op.sides):
        return trace.bar("matmul of two activations", lambda: torch.matmul(*op.sides), op.sides[0])
    a, b = _coefficients(trace, op.sides)
    return torch.matmul(a, b) / (1 if _are_known(trace, op.sides) else a.shape[-1])


def _einsum(trace: Trace, op: operations.Einsum) -> Tensor:
    live = [operand for operand in op.operands if operand.requires_grad]
    operands = _coefficients(trace, op.operands)
    if len(live) > 1 or "." in op.equation:
        return trace.bar("einsum", lambda: torch.einsum(op.equation, *operands), live[0])
    if _are_known(trace, op.operands):
        return torch.einsum(op.equation, *operands)
    inputs, _, output = op.equation.replace(" ", "").partition("->")
    axes = zip(inputs.split(","), operands, strict=True)
    sizes = {axis: n for names, operand in axes for axis, n in zip(names, operand.shape, strict=True)}
    contracted = math.prod(n for axis, n in sizes.items() if axis not in output)
    return torch.einsum(op.equation, *operands) / contracted


def _coefficients(trace: Trace, operands: tuple[Tensor, ...]) -> list[Tensor]:
    """Activations as they are, fixed coefficients by their squares, weights as ones."""
    return [o if o.requires_grad else _coefficient(trace, o) for o in operands]


def _coefficient(trace: Trace, factor: Tensor) -> Tensor:
    return factor.double() ** trace.power if trace.is_fixed(factor) else torch.ones_like(factor, dtype=torch.float64)


def _are_known(trace: Trace, operands: tuple[Tensor, ...]) -> bool:
    """Whether all are fixed but one, the activation."""
    return sum(not trace.is_fixed(o) for o in operands) == 1


def _attention(trace: Trace, op: operations.Attention) -> Tensor:
    """Softmax weights become equal: each query reads the mean of the values."""
    return op.value.mean(-2, keepdim=True).expand(*op.query.shape[:-1], op.value.shape[-1])


def _multi_head_attention(trace: Trace, op: operations.MultiHeadAttention) -> tuple[Tensor, None]:
    """Value and output projections around equal weights; (token, batch, channel) as torch hands it over."""
    mean = op.value.mean(-1, keepdim=True).mean(0, keepdim=True)
    return mean.expand(*op.query.shape[:-1], op.value.shape[-1]), None


def _sum(trace: Trace, op: operations.Sum) -> Tensor:
    """Independent terms add up, each by its factor's square; a constant moves nothing."""
    shape = torch.broadcast_shapes(*(term.shape for term in op.terms if isinstance(term, Tensor)))
    terms = zip(op.terms, op.factors, strict=True)
    first, *others = (
        x.expand(shape) * factor**trace.power for x, factor in terms if isinstance(x, Tensor) and x.requires_grad
    )
    return sum(others, first)


def _product(trace: Trace, op: operations.Product) -> Tensor:
    """What is fixed acts by its square, a parameter or a gate as 1. The product of two activations is barred."""
    a, b = op.factors
    x, other = (a, b) if isinstance(a, Tensor) and a.requires_grad else (b, a)
    if not isinstance(other, Tensor):
        return x * float(other) ** trace.power
    if other.requires_grad:
        return trace.bar("product of two activations", lambda: torch.mul(a, b), x)
    return x * _coefficient(trace, other)


def _sum_with_product(trace: Trace, op: operations.SumWithProduct) -> Tensor:
    moves = any(factor.requires_grad for factor in op.factors)
    product = _product(trace, operations.Product(op.factors)) if moves else torch.mul(*op.factors)
    return _sum(trace, operations.Sum((op.x, product), (1, op.scale)))


def _division(trace: Trace, op: operations.Division) -> Tensor:
    """What is fixed acts by its square, a parameter or a gate as 1."""
    if not isinstance(op.divisor, Tensor):
        return op.x / float(op.divisor) ** trace.power
    if op.divisor.requires_grad:
        return trace.bar("division by an activation", lambda: torch.div(op.x, op.divisor), op.divisor)
    return op.x / _coefficient(trace, op.divisor)


def _reduction(trace: Trace, op: operations.Reduction) -> Tensor:
    """A sum adds; of n values each is the largest with 1/n, and acts on their mean with 1/n^2."""
    count = math.prod(op.x.shape[dim] for dim in op.dims)
    return op.x.sum(op.dims, op.keep) / {"sum": 1, "amax": count, "mean": count**trace.power}[op.kind]


def _resizing(trace: Trace, op: operations.Resizing) -> Tensor:
    """The squares of the weights, on the torus; aligned corners have no rule: their weights never repeat."""
    rows, columns = (operations.resizing.on_torus(op, axis) for axis in (0, 1))
    if rows is None or columns is None:
        name = "interpolate with align_corners"
        return trace.bar(name, lambda: F.interpolate(op.x, op.size, mode=op.mode, align_corners=op.corners), op.x)
    trace.resized(operations.resizing.ratio(op, 0), operations.resizing.ratio(op, 1))
    rows, columns = ((weights**trace.power).to(op.x.device) for weights in (rows, columns))
    return rows @ op.x @ columns.T


def is_linear(trace: Trace, op: operations.Operation) -> bool:
    """Whether its coefficients are known: neither weights that count by their shape, nor a choice of the largest."""
    if isinstance(op, operations.Convolution | operations.TransposedConvolution | operations.Linear):
        return trace.is_fixed(op.weight)
    if isinstance(op, operations.Matmul | operations.Einsum):
        return _are_known(trace, op.sides if isinstance(op, operations.Matmul) else op.operands)
    if isinstance(op, operations.AdaptivePool | operations.Reduction):
        return op.kind != "amax"
    if isinstance(op, operations.Product):
        return any(_is_one_number(trace, factor) for factor in op.factors)
    if isinstance(op, operations.Division):
        return _is_one_number(trace, op.divisor)
    return isinstance(op, FIXED) and not (isinstance(op, operations.Resizing) and op.corners)


def _is_one_number(trace: Trace, factor: Any) -> bool:
    return not isinstance(factor, Tensor) or (factor.numel() == 1 and trace.is_fixed(factor))


FIXED = (
    operations.AveragePool,
    operations.Padding,
    operations.Indexing,
    operations.Reshape,
    operations.Resizing,
    operations.Sum,
)
WINDOWS = (operations.Convolution, operations.MaxPool, operations.AveragePool)  # those that are certified
Rules = Mapping[type[operations.Operation], Callable[[Trace, Any], Any]]
RULES: Rules = {
    operations.Convolution: _convolution,
    operations.TransposedConvolution: _transposed_convolution,
    operations.MaxPool: _max_pool,
    operations.AveragePool: _average_pool,
    operations.AdaptivePool: _adaptive_pool,
    operations.Padding: _padding,
    operations.Indexing: _indexing,
    operations.Unfolding: _unfolding,
    operations.IndexSelect: _index_select,
    operations.Reshape: _reshape,
    operations.Linear: _linear,
    operations.Matmul: _matmul,
    operations.Einsum: _einsum,
    operations.Attention: _attention,
    operations.MultiHeadAttention: _multi_head_attention,
    operations.Sum: _sum,
    operations.Product: _product,
    operations.SumWithProduct: _sum_with_product,
    operations.Division: _division,
    operations.Reduction: _reduction,
    operations.Resizing: _resizing,
}


def _convolution_by_taps(trace: Trace, op: operations.Convolution) -> Tensor:
    """Each tap by the mean square of its actual weights over channels, of their sum; in place of 1/taps."""
    if trace.is_fixed(op.weight):
        return _convolution(trace, op)
    trace.certify("Conv2d", op.stencil)
    squares = op.weight.detach().square().unflatten(0, (op.groups, -1))
    taps = squares.mean((1, 2), dtype=op.x.dtype)[:, None]
    taps = (taps / taps.sum((2, 3), keepdim=True).clamp_min(1e-300)).sqrt()  # a fixed convolution takes squares
    out = _fixed_convolution(trace, operations.Convolution(group_means(op.x, op.groups), taps, op.stencil, op.groups))
    return out.repeat_interleave(op.weight.shape[0] // op.groups, 1)


BY_TAPS: Rules = {**RULES, operations.Convolution: _convolution_by_taps}
