"""What each torch operation does to the structural map: one rule an operation, found by its name.

`Linearised` watches a network run on a torus. An operation with a rule is replaced by its linear stand-in. One
without is run as it is, but its gradient is barred: if the output depends on the picture through it, the error names
it. So a gate's inside (squeeze-and-excitation, attention scores) needs no rules, and nothing passes in silence.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from perturb.contribution.torus import CanvasError, Pair, coverage, pair, window_sum
from perturb.errors import UnsupportedOperationError
from perturb.records import Window

IDENTITY = frozenset(
    """
    relu relu_ relu6 threshold hardtanh hardtanh_ leaky_relu leaky_relu_ elu elu_ selu selu_ celu celu_ gelu
    silu hardswish mish prelu rrelu rrelu_ tanh tanh_ softplus softsign tanhshrink hardshrink softshrink abs neg
    __neg__ log_softmax clamp clamp_ clip clamp_min clamp_max batch_norm layer_norm group_norm instance_norm
    rms_norm local_response_norm normalize dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout
    feature_alpha_dropout to type type_as float double half bfloat16 cpu cuda detach positive
    """.split()
)
GATES = frozenset(["sigmoid", "sigmoid_", "hardsigmoid", "softmax"])
STRUCTURE = frozenset(
    """
    reshape flatten contiguous clone unflatten permute transpose swapaxes moveaxis movedim t squeeze unsqueeze
    ravel expand expand_as broadcast_to repeat repeat_interleave tile chunk split tensor_split unbind select
    narrow flip roll cat concat concatenate stack pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle broadcast_tensors
    """.split()
)
SHAPES = frozenset(
    """
    zeros_like ones_like empty_like full_like rand_like new_zeros new_ones new_empty new_full
    """.split()
)


class _Barred(torch.autograd.Function):
    """The values pass; a gradient that arrives here raises the error that names the operation."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, source: Tensor, message: str) -> Tensor:
        ctx.message = message
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise UnsupportedOperationError(ctx.message)


class Linearised(TorchFunctionMode):
    """While active, torch functions that depend on the picture act by their rule; `windows` collects certificates."""

    def __init__(self, module: nn.Module, current_layer: Callable[[], str]) -> None:
        super().__init__()
        self.windows: list[Window] = []
        self._layer = current_layer
        self._module = module
        self._fixed = {b.untyped_storage().data_ptr() for b in module.buffers() if b.numel()}
        self._gates: dict[int, tuple[Tensor, Tensor]] = {}

    def without_gates(self, output: Tensor) -> Tensor:
        """What entered the gate, where the network ends in one (a final sigmoid or softmax)."""
        while id(output) in self._gates:
            output = self._gates[id(output)][1]
        return output

    def check_graph(self, output: Tensor) -> None:
        """Refuse custom autograd functions: they pass by without being seen here."""
        todo, seen = [output.grad_fn], set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            name = type(node).__name__
            custom = issubclass(type(node), torch.autograd.function.BackwardCFunction)
            if custom and name != "_BarredBackward":
                raise UnsupportedOperationError(f"custom autograd function `{name.removesuffix('Backward')}`")
            todo.extend(parent for parent, _ in node.next_functions)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        live = [value for value in _tensors((args, kwargs)) if value.requires_grad]
        if not live or name in STRUCTURE:
            return func(*args, **kwargs)
        if name in IDENTITY:
            return live[0]
        if name in GATES:
            gate = torch.ones_like(live[0])
            self._gates[id(gate)] = (gate, live[0])
            return gate
        if name in RULES:
            return RULES[name](self, *args, **kwargs)
        return self.bar(name, func, args, kwargs, live)

    def bar(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, live: list[Tensor]) -> Any:
        message = self.complaint(name)
        if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):
            raise UnsupportedOperationError(message)
        with torch.no_grad():
            result = func(*args, **kwargs)
        if not isinstance(result, Tensor | tuple | list) or name in SHAPES or name == "__get__":
            return result
        if isinstance(result, Tensor):
            return self._bar_tensor(result, live[0], message)
        return type(result)([self._bar_tensor(r, live[0], message) if isinstance(r, Tensor) else r for r in result])

    def _bar_tensor(self, result: Tensor, source: Tensor, message: str) -> Tensor:
        if not result.is_floating_point():
            raise UnsupportedOperationError(message)
        return _Barred.apply(result, source, message)  # type: ignore[no-untyped-call]

    def complaint(self, what: str) -> str:
        layer = self._layer()
        where = f"layer `{layer}`" if layer else "its forward method"
        return (
            f"the structural map has no rule for `{what}` in {where}; "
            "use a gradient map instead (--kind energy), or a layer before it."
        )

    def certify(self, kind: str, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        rows, columns = (coverage(kernel[a], stride[a], padding[a], dilation[a]) for a in (0, 1))
        self.windows.append(
            Window(
                name=self._layer(),
                kind=kind,
                kernel=kernel,
                stride=stride,
                dilation=dilation,
                coverage=(rows, columns),
                balanced=len(set(rows)) == 1 and len(set(columns)) == 1,
            )
        )

    def is_fixed(self, weight: Tensor) -> bool:
        """Whether a convolution's weight is a buffer (a blur, say) whose values are part of the architecture."""
        return not weight.requires_grad and weight.untyped_storage().data_ptr() in self._fixed


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", None) or str(func)


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _linear_padding(padding: Any, kernel: Pair, dilation: Pair) -> Pair:
    if padding == "same":
        return (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)
    return (0, 0) if padding == "valid" else pair(padding)


def _conv2d(
    trace: Linearised,
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
    trace: Linearised,
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
    trace: Linearised,
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
    trace: Linearised,
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


def _adaptive_pool(trace: Linearised, /, input: Tensor, output_size: Any, *rest: Any) -> Tensor:  # noqa: A002
    """Every output sees the whole torus alike; an input that is already of that size passes unchanged."""
    size = pair(1 if output_size is None else output_size)
    if tuple(input.shape[2:]) == size:
        return input
    return input.mean((2, 3), keepdim=True).expand(*input.shape[:2], *size)


def _pad(trace: Linearised, /, input: Tensor, pad: Any, *rest: Any, **options: Any) -> Tensor:  # noqa: A002
    """On a torus padding a picture's rows and columns only moves where the next window begins."""
    pad = [int(p) for p in pad]
    if input.ndim == 4 and len(pad) >= 2:
        rows = pad[2] if len(pad) >= 4 else 0
        input = input.roll((rows, pad[0]), (2, 3))  # noqa: A001
        pad = [0, 0, 0, 0, *pad[4:]]
    return F.pad(input, pad) if any(pad) else input


def _getitem(trace: Linearised, /, x: Tensor, index: Any) -> Tensor:
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


def _view(trace: Linearised, /, x: Tensor, *shape: Any) -> Tensor:
    """Stand-ins are not always laid out as the originals, so a view may need a copy."""
    return x.reshape(*shape)


def _linear(trace: Linearised, /, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    return input.mean(-1, keepdim=True).expand(*input.shape[:-1], weight.shape[0])


def _matmul(trace: Linearised, /, a: Tensor, b: Tensor) -> Tensor:
    """With weights or attention on one side: a mean over what is contracted. Of two activations: scores, barred."""
    if a.requires_grad and b.requires_grad:
        return trace.bar("matmul of two activations", torch.matmul, (a, b), {}, [a])
    a, b = (side if side.requires_grad else torch.ones_like(side, dtype=torch.float64) for side in (a, b))
    return torch.matmul(a, b) / a.shape[-1]


def _einsum(trace: Linearised, /, equation: str, *operands: Any) -> Tensor:
    tensors = list(_tensors(operands))
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


def _attention(trace: Linearised, /, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Tensor:
    """Softmax weights become equal: each query reads the mean of the values."""
    return value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])


def _multi_head_attention(
    trace: Linearised, /, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any
) -> tuple[Tensor, None]:
    """Value and output projections around equal weights; (token, batch, channel) as torch hands it over."""
    mean = value.mean(-1, keepdim=True).mean(0, keepdim=True)
    return mean.expand(*query.shape[:-1], value.shape[-1]), None


def _add(trace: Linearised, /, a: Any, b: Any, *, alpha: float = 1, out: None = None) -> Tensor:
    """Independent terms add up; a constant moves nothing."""
    first, second = (_broadcast(a, b), _broadcast(b, a))
    if first is None or second is None:
        return first if second is None else second * alpha**2  # type: ignore[return-value]
    return first + second * alpha**2


def _multiply(trace: Linearised, /, a: Any, b: Any, *, out: None = None) -> Tensor:
    """A number acts by its square, a parameter or a gate as 1. The product of two activations is barred."""
    x, other = (a, b) if isinstance(a, Tensor) and a.requires_grad else (b, a)
    if isinstance(other, Tensor) and other.requires_grad:
        return trace.bar("product of two activations", torch.mul, (a, b), {}, [x])
    if isinstance(other, Tensor):
        result = _broadcast(x, other)
        assert result is not None
        return result
    return x * float(other) ** 2


def _divide(trace: Linearised, /, a: Any, b: Any, **options: Any) -> Tensor:
    if isinstance(b, Tensor) and b.requires_grad:
        return trace.bar("division by an activation", torch.div, (a, b), options, [b])
    return _multiply(mode, a, b if isinstance(b, Tensor) else 1 / b)


def _broadcast(x: Any, other: Any) -> Tensor | None:
    if not isinstance(x, Tensor) or not x.requires_grad:
        return None
    shape = torch.broadcast_shapes(x.shape, other.shape if isinstance(other, Tensor) else ())
    return x.expand(shape)


def _mean(trace: Linearised, /, input: Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:  # noqa: A002
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return input.mean(dims, keepdim) / math.prod(input.shape[d] for d in dims)


def _sum(trace: Linearised, /, input: Tensor, *args: Any, **options: Any) -> Tensor:  # noqa: A002
    return input.sum(*args, **options)


def _amax(trace: Linearised, /, input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:  # noqa: A002
    return input.mean(dim or tuple(range(input.ndim)), keepdim)


def _interpolate(
    trace: Linearised,
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


Rule = Callable[..., Any]
RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "pad": _pad,
    "view": _view,
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
for _rule, _names in {
    _add: "add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ subtract",
    _multiply: "mul mul_ __mul__ __rmul__ __imul__ multiply",
    _divide: "div div_ __truediv__ __itruediv__ divide true_divide",
}.items():
    RULES |= dict.fromkeys(_names.split(), _rule)
