"""What each torch operation does to the structural map: one rule an operation, found by its name."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb.contribution.torus import CanvasError, Pair, pair, window_sum
from perturb.errors import UnsupportedOperationError

Rule = Callable[..., Any]


class Trace(Protocol):
    """What a rule may ask of the pass that it is part of."""

    def bar(self, name: str, func: Rule, args: Any, kwargs: Any, live: list[Tensor]) -> Any:
        """Run `func` as it is, and let no gradient through."""

    def certify(self, kind: str, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        """Note a sliding window's coverage."""

    def complaint(self, what: str) -> str:
        """The error's text for an operation without a rule, with the layer that is running."""

    def is_fixed(self, weight: Tensor) -> bool:
        """Whether a convolution's weight is a buffer whose values are part of the architecture."""


def _linear_padding(padding: Any, kernel: Pair, dilation: Pair) -> Pair:
    if padding == "same":
        return (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)
    return (0, 0) if padding == "valid" else pair(padding)


def _conv2d(
    trace: Trace,
    /,
    input: Tensor,  # noqa: A002 - torch's own name, used as a keyword
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    kernel, stride, dilation = pair(weight.shape[2:]), pair(stride), pair(dilation)
    padding = _linear_padding(padding, kernel, dilation)
    trace.certify("Conv2d", kernel, stride, padding, dilation)
    if trace.is_fixed(weight):
        return _fixed_conv2d(input, weight, stride, padding, dilation, groups)
    n, channels, rows, columns = input.shape
    mean = input.reshape(n, groups, channels // groups, rows, columns).mean(2)
    out = window_sum(mean, kernel, stride, padding, dilation) / math.prod(kernel)
    return out.repeat_interleave(weight.shape[0] // groups, 1)


def _fixed_conv2d(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    """A convolution whose coefficients are known: their squares, on the torus."""
    for axis in (0, 1):
        size = x.shape[2 + axis]
        if size % stride[axis]:
            raise CanvasError(stride[axis])
        last = size - stride[axis] + dilation[axis] * (weight.shape[2 + axis] - 1) + 1
        x = x.index_select(2 + axis, (torch.arange(last, device=x.device) - padding[axis]) % size)
    return F.conv2d(x, weight.to(x.dtype).square(), None, stride, 0, dilation, groups)


def _conv_transpose2d(
    trace: Trace,
    /,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    kernel, stride, padding, dilation = pair(weight.shape[2:]), pair(stride), pair(padding), pair(dilation)
    n, channels, rows, columns = input.shape
    mean = input.reshape(n, groups, channels // groups, rows, columns).mean(2)
    wide = mean.new_zeros(n, groups, rows * stride[0], columns * stride[1])
    wide[:, :, :: stride[0], :: stride[1]] = mean
    reach = tuple(dilation[a] * (kernel[a] - 1) - padding[a] for a in (0, 1))
    out = window_sum(wide, kernel, (1, 1), (reach[0], reach[1]), dilation) / math.prod(kernel)
    return out.repeat_interleave(weight.shape[1], 1)


def _max_pool2d(
    trace: Trace,
    /,
    input: Tensor,  # noqa: A002
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    kernel, padding, dilation = pair(kernel_size), pair(padding), pair(dilation)
    stride = pair(stride) if stride else kernel
    trace.certify("MaxPool2d", kernel, stride, padding, dilation)
    if return_indices:
        raise UnsupportedOperationError(trace.complaint("max_pool2d with return_indices"))
    return window_sum(input, kernel, stride, padding, dilation) / math.prod(kernel)


def _avg_pool2d(
    trace: Trace,
    /,
    input: Tensor,  # noqa: A002
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    kernel, padding = pair(kernel_size), pair(padding)
    stride = pair(stride) if stride else kernel
    trace.certify("AvgPool2d", kernel, stride, padding, (1, 1))
    return window_sum(input, kernel, stride, padding, (1, 1)) / (divisor_override or math.prod(kernel)) ** 2


def _adaptive_pool(trace: Trace, /, input: Tensor, output_size: Any, *rest: Any) -> Tensor:  # noqa: A002
    """Every output sees the whole torus alike; an input that is already of that size passes unchanged."""
    size = pair(1 if output_size is None else output_size)
    if tuple(input.shape[2:]) == size:
        return input
    return input.mean((2, 3), keepdim=True).expand(*input.shape[:2], *size)


def _pad(trace: Trace, /, input: Tensor, pad: Any, *rest: Any, **options: Any) -> Tensor:  # noqa: A002
    """On a torus padding a picture's rows and columns only moves where the next window begins."""
    pad = [int(p) for p in pad]
    if input.ndim == 4 and len(pad) >= 2:
        rows = pad[2] if len(pad) >= 4 else 0
        input = input.roll((rows, pad[0]), (2, 3))  # noqa: A001
        pad = [0, 0, 0, 0, *pad[4:]]
    return F.pad(input, pad) if any(pad) else input


def _getitem(trace: Trace, /, x: Tensor, index: Any) -> Tensor:
    """A crop of rows or columns moves the origin; every other index acts as it is."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if x.ndim == 4 and Ellipsis not in parts and len(parts) > 2 and all(p is not None for p in parts):
        for dim in range(2, len(parts)):
            part = parts[dim]
            if isinstance(part, slice) and part.step in (None, 1) and part != slice(None):
                x = x.roll(-part.indices(x.shape[dim])[0], dim)
                parts[dim] = slice(None)
        return x[tuple(parts)]
    return x[index]


def _view(trace: Trace, /, x: Tensor, *shape: Any) -> Tensor:
    """Stand-ins are not always laid out as the originals, so a view may need a copy.

    A map flattened to a number of features written down for another size is flattened whole: a linear layer reads every
    position of a torus alike.
    """
    try:
        return x.reshape(*shape)
    except RuntimeError:
        wanted = shape[0] if len(shape) == 1 else shape
        if x.ndim == 4 and isinstance(wanted, tuple | list) and len(wanted) == 2:
            return x.flatten(1)
        raise


def _linear(trace: Trace, /, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    return input.mean(-1, keepdim=True).expand(*input.shape[:-1], weight.shape[0])


def _matmul(trace: Trace, /, a: Tensor, b: Tensor) -> Tensor:
    """With weights or attention on one side: a mean over what is contracted. Of two activations: scores, barred."""
    if a.requires_grad and b.requires_grad:
        return trace.bar("matmul of two activations", torch.matmul, (a, b), {}, [a])
    a, b = (side if side.requires_grad else torch.ones_like(side, dtype=torch.float64) for side in (a, b))
    return torch.matmul(a, b) / a.shape[-1]


def _einsum(trace: Trace, /, equation: str, *operands: Any) -> Tensor:
    tensors = list(operands[0]) if isinstance(operands[0], list | tuple) else list(operands)
    live = [t for t in tensors if t.requires_grad]
    if len(live) > 1 or "." in equation:
        return trace.bar("einsum", torch.einsum, (equation, *tensors), {}, live)
    inputs, _, output = equation.replace(" ", "").partition("->")
    sizes = {
        axis: n
        for axes, t in zip(inputs.split(","), tensors, strict=True)
        for axis, n in zip(axes, t.shape, strict=True)
    }
    contracted = math.prod(n for axis, n in sizes.items() if axis not in output)
    ones = [t if t.requires_grad else torch.ones_like(t, dtype=torch.float64) for t in tensors]
    return torch.einsum(equation, *ones) / contracted


def _attention(trace: Trace, /, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Tensor:
    """Softmax weights become equal: each query reads the mean of the values."""
    return value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])


def _multi_head_attention(
    trace: Trace, /, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any
) -> tuple[Tensor, None]:
    """Value and output projections around equal weights; (token, batch, channel) as torch hands it over."""
    mean = value.mean(-1, keepdim=True).mean(0, keepdim=True)
    return mean.expand(*query.shape[:-1], value.shape[-1]), None


def _add(trace: Trace, /, a: Any, b: Any, *, alpha: float = 1, out: None = None) -> Tensor:
    """Independent terms add up; a constant moves nothing."""
    first, second = (_broadcast(a, b), _broadcast(b, a))
    if first is None or second is None:
        return first if second is None else second * alpha**2  # type: ignore[return-value]
    return first + second * alpha**2


def _multiply(trace: Trace, /, a: Any, b: Any, *, out: None = None) -> Tensor:
    """A number acts by its square, a parameter or a gate as 1. The product of two activations is barred."""
    x, other = (a, b) if isinstance(a, Tensor) and a.requires_grad else (b, a)
    if isinstance(other, Tensor) and other.requires_grad:
        return trace.bar("product of two activations", torch.mul, (a, b), {}, [x])
    if isinstance(other, Tensor):
        result = _broadcast(x, other)
        assert result is not None
        return result
    return x * float(other) ** 2


def _divide(trace: Trace, /, a: Any, b: Any, **options: Any) -> Tensor:
    if isinstance(b, Tensor) and b.requires_grad:
        return trace.bar("division by an activation", torch.div, (a, b), options, [b])
    return _multiply(trace, a, b if isinstance(b, Tensor) else 1 / b)


def _broadcast(x: Any, other: Any) -> Tensor | None:
    if not isinstance(x, Tensor) or not x.requires_grad:
        return None
    shape = torch.broadcast_shapes(x.shape, other.shape if isinstance(other, Tensor) else ())
    return x.expand(shape)


def _mean(trace: Trace, /, input: Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:  # noqa: A002
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return input.mean(dims, keepdim) / math.prod(input.shape[d] for d in dims)


def _sum(trace: Trace, /, input: Tensor, *args: Any, **options: Any) -> Tensor:  # noqa: A002
    return input.sum(*args, **options)


def _amax(trace: Trace, /, input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:  # noqa: A002
    return input.mean(dim or tuple(range(input.ndim)), keepdim)


def _interpolate(
    trace: Trace,
    /,
    input: Tensor,  # noqa: A002
    size: Any = None,
    scale_factor: Any = None,
    **options: Any,
) -> Tensor:
    """Nearest neighbour by a whole factor copies; other interpolations have no rule."""
    wanted = pair(size) if size is not None else tuple(int(n * scale_factor) for n in input.shape[2:])
    factors = tuple(w / n for w, n in zip(wanted, input.shape[2:], strict=True))
    if options.get("mode", "nearest") != "nearest" or any(f != int(f) for f in factors):
        arguments = {"size": size, "scale_factor": scale_factor, **options}
        return trace.bar("interpolate", F.interpolate, (input,), arguments, [input])
    return input.repeat_interleave(int(factors[0]), 2).repeat_interleave(int(factors[1]), 3)


RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "pad": _pad,
    "view": _view,
    "reshape": _view,
    "__getitem__": _getitem,
    "linear": _linear,
    "matmul": _matmul,
    "__matmul__": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
    "mean": _mean,
    "sum": _sum,
    "amax": _amax,
    "interpolate": _interpolate,
}
_ARITHMETIC: dict[Rule, str] = {
    _add: "add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ subtract",
    _multiply: "mul mul_ __mul__ __rmul__ __imul__ multiply",
    _divide: "div div_ __truediv__ __itruediv__ divide true_divide",
}
for _rule, _names in _ARITHMETIC.items():
    RULES |= dict.fromkeys(_names.split(), _rule)
