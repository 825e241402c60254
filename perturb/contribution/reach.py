"""The theoretical receptive field: which rows and columns of the picture a layer's position can see.

The network runs once on four pictures whose values are their own rows, minus their rows, their columns and minus their
columns, and each operation gives the largest of what it reads: the last row and column that a position depends on, and
minus the first. Beyond the border coordinates go on as inside, so that padding cuts nothing off.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from perturb.contribution.linearised import GATES, IDENTITY, SHAPES, STRUCTURE, in_place, tensors_in
from perturb.contribution.torus import pair
from perturb.errors import UnsupportedOperationError
from perturb.protocols import Differentiable
from perturb.records import ReceptiveField


def receptive_field(model: Differentiable, layer: str) -> ReceptiveField:
    """Size, stride and offset of the field of `layer`'s central position, in pixels, for any graph of branches.

    Of branches the hull. Gates (squeeze-and-excitation, attention scores) do not count: they scale, they do not see.
    Size None: every position sees the whole picture. Raises UnsupportedOperationError naming an operation without a
    rule.
    """
    channels, rows, columns = model.input_shape
    row = torch.arange(float(rows))[:, None].expand(rows, columns)
    column = torch.arange(float(columns)).expand(rows, columns)
    x = torch.stack([row, -row, column, -column])[:, None].repeat(1, channels, 1, 1)
    device = next((p.device for p in model.module.parameters()), torch.device("cpu"))
    with torch.enable_grad(), Reach() as recorder:
        found = model.propagate(x.to(device).requires_grad_(), layer)
    found = found.detach()
    if found.isnan().any():
        raise UnsupportedOperationError(f"the receptive field of `{layer}` has no rule for {recorder.unknown}.")
    seen = found.amax(1) if found.ndim == 4 else found.amax(-1)[:, None, None]
    if not (seen > -math.inf).all() or (seen == seen[:, :1, :1]).all():
        return ReceptiveField(layer=layer, positions=_grid(seen), size=None, stride=None, offset=None)
    return _read(layer, seen)


def _grid(seen: Tensor) -> tuple[int, int]:
    return seen.shape[1], seen.shape[2]


def _read(layer: str, seen: Tensor) -> ReceptiveField:
    last, first = seen[0::2], -seen[1::2]
    rows, columns = _grid(seen)
    centre = (rows // 2, columns // 2)
    begin, end = first[:, *centre], last[:, *centre]
    span = float(first[0, -1, 0] - first[0, 0, 0]), float(first[1, 0, -1] - first[1, 0, 0])
    stride = (round(span[0] / (rows - 1)) if rows > 1 else 1, round(span[1] / (columns - 1)) if columns > 1 else 1)
    return ReceptiveField(
        layer=layer,
        positions=(rows, columns),
        size=(int(end[0] - begin[0]) + 1, int(end[1] - begin[1]) + 1),
        stride=stride,
        offset=(int(begin[0]) - stride[0] * centre[0], int(begin[1]) - stride[1] * centre[1]),
    )


class Reach(TorchFunctionMode):
    """While active, torch functions that depend on the picture give the largest of what they read."""

    unknown = ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        live = [value for value in tensors_in((args, kwargs)) if value.requires_grad]
        if not live or name in STRUCTURE or name in AS_IT_IS or name in SHAPES:
            return func(*args, **kwargs)
        if name in IDENTITY:
            return live[0] if in_place(name) else _copy(live[0])  # somebody may write into it, and not into its source
        if name in GATES:
            return torch.ones_like(live[0], requires_grad=False)
        with torch.no_grad():
            result = RULES[name](*args, **kwargs) if name in RULES else NotImplemented
            if result is NotImplemented:
                self.unknown = self.unknown or f"`{name}`"
                try:
                    result = func(*args, **kwargs)
                except RuntimeError as error:  # it writes where several elements are one in memory
                    raise UnsupportedOperationError(f"the receptive field has no rule for `{name}`.") from error
                for part in tensors_in(result):
                    part.fill_(math.nan if part.is_floating_point() else 0)
            elif in_place(name):
                result = args[0].set_(result.clone())
        for part in tensors_in(result):
            part.requires_grad_(part.is_floating_point())
        return result


def _extend(x: Tensor, dim: int, ahead: int, behind: int) -> Tensor:
    """Coordinates go on at either end as they begin and end; a negative length cuts."""
    n = x.shape[dim]
    step_in = x.narrow(dim, min(1, n - 1), 1) - x.narrow(dim, 0, 1)
    step_out = x.narrow(dim, n - 1, 1) - x.narrow(dim, max(0, n - 2), 1)
    along = [1] * x.ndim
    along[dim] = -1
    before = x.narrow(dim, 0, 1) - step_in * torch.arange(ahead, 0, -1, device=x.device).view(along)
    after = x.narrow(dim, n - 1, 1) + step_out * torch.arange(1, behind + 1, device=x.device).view(along)
    inner = x.narrow(dim, max(0, -ahead), n - max(0, -ahead) - max(0, -behind))
    return torch.cat([before, inner, after], dim)


def _copy(x: Tensor) -> Tensor:
    with torch.no_grad():
        return _thin(x).clone().expand_as(x).requires_grad_()


def _thin(x: Tensor) -> Tensor:
    """One channel, where all are one in memory."""
    return x[:, :1] if x.ndim == 4 and x.stride(1) == 0 else x


def _windows(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False) -> Tensor:
    kernel, stride, dilation, channels = pair(kernel), pair(stride), pair(dilation), x.shape[1]
    x = _thin(x)
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1)
        ahead, behind = padding[axis] if isinstance(padding, list) else (pair(padding)[axis],) * 2
        spare = -(x.shape[2 + axis] + ahead + behind - reach - 1) % stride[axis] if ceil_mode else 0
        x = _extend(x, 2 + axis, ahead, behind + spare)
    return F.max_pool2d(x, kernel, stride, 0, dilation).expand(-1, channels, -1, -1)


def _conv2d(
    input: Tensor,  # noqa: A002 - torch's own name, used as a keyword
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    kernel = pair(weight.shape[2:])
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(pair(dilation), kernel, strict=True)]
        padding = [(r // 2, r - r // 2) for r in reach]
    read = (_thin(input) if groups == 1 else input).unflatten(1, (groups, -1)).amax(2)
    out = _windows(read, kernel, stride, 0 if padding == "valid" else padding, dilation)
    return out.expand(-1, len(weight), -1, -1) if groups == 1 else out.repeat_interleave(len(weight) // groups, 1)


def _conv_transpose2d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Output o reads the inputs i with o = s i + d t - p for a tap t."""
    x = input.unflatten(1, (groups, -1)).amax(2)
    kernel, stride, padding = pair(weight.shape[2:]), pair(stride), pair(padding)
    extra, dilation = pair(output_padding), pair(dilation)
    for axis in (0, 1):
        s, reach, n = stride[axis], dilation[axis] * (kernel[axis] - 1), x.shape[2 + axis]
        more = reach // s + 2
        wide = _extend(x, 2 + axis, more, more).transpose(2 + axis, 3).unsqueeze(-1)
        stuffed = torch.cat([wide, wide.new_full((*wide.shape[:-1], s - 1), -math.inf)], -1).flatten(3)
        begin, count = more * s + padding[axis] - reach, (n - 1) * s - 2 * padding[axis] + reach + extra[axis] + 1
        read = stuffed[..., begin : begin + count + reach]
        x = F.max_pool2d(read, (1, kernel[axis]), 1, 0, (1, dilation[axis])).transpose(2 + axis, 3)
    return x.repeat_interleave(weight.shape[1], 1)


def _max_pool2d(
    input: Tensor,  # noqa: A002
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    return (
        NotImplemented
        if return_indices
        else _windows(input, kernel_size, stride or kernel_size, padding, dilation, ceil_mode)
    )


def _avg_pool2d(
    input: Tensor,  # noqa: A002
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    *rest: Any,
    **options: Any,
) -> Tensor:
    return _windows(input, kernel_size, stride or kernel_size, padding, 1, ceil_mode)


def _adaptive_pool(input: Tensor, output_size: Any, *rest: Any) -> Tensor:  # noqa: A002
    return F.adaptive_max_pool2d(input, output_size)


def _pad(input: Tensor, pad: Any, *rest: Any, **options: Any) -> Tensor:  # noqa: A002
    """Rows and columns go on; a channel of padding sees nothing."""
    pad = [int(p) for p in pad]
    if input.ndim != 4:
        return NotImplemented
    for place, dim in enumerate((3, 2)):
        ahead, behind = pad[2 * place : 2 * place + 2] or (0, 0)
        input = _extend(input, dim, ahead, behind)  # noqa: A001
    return F.pad(input, [0, 0, 0, 0, *pad[4:]], value=-math.inf) if any(pad[4:]) else input


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    return input.amax(-1, keepdim=True).expand(*input.shape[:-1], weight.shape[0]).clone()


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    if a.requires_grad and b.requires_grad:
        return NotImplemented
    shape = torch.matmul(a.detach(), b.detach()).shape
    read = a.amax(-1, keepdim=True) if a.requires_grad else b.amax(-2, keepdim=True)
    return read.expand(shape).clone()


def _attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Tensor:
    return value.amax(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1]).clone()


def _multi_head_attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Any:
    """Token, batch, channel as torch hands it over."""
    return value.amax((0, -1), keepdim=True).expand(*query.shape[:-1], value.shape[-1]).clone(), None


def _hull(a: Any, b: Any, **options: Any) -> Tensor:
    """What either sees; a number or a parameter sees nothing."""
    live = [v for v in (a, b) if isinstance(v, Tensor) and v.requires_grad]
    if len(live) == 2:
        thin = [_thin(v) for v in live] if a.shape == b.shape else live
        return torch.maximum(*thin).expand(torch.broadcast_shapes(a.shape, b.shape))
    shape = torch.broadcast_shapes(*(v.shape for v in (a, b) if isinstance(v, Tensor)))
    return live[0].expand(shape).clone()


def _over(input: Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:  # noqa: A002
    return input.amax(tuple(range(input.ndim)) if dim is None else dim, keepdim)


def _interpolate(input: Tensor, size: Any = None, scale_factor: Any = None, *rest: Any, **options: Any) -> Tensor:  # noqa: A002
    """Nearest neighbour by a whole factor copies; other interpolations have no rule."""
    wanted = pair(size) if size is not None else tuple(int(n * scale_factor) for n in input.shape[2:])
    factors = [w / n for w, n in zip(wanted, input.shape[2:], strict=True)]
    if options.get("mode", "nearest") != "nearest" or any(f != int(f) for f in factors):
        return NotImplemented
    return input.repeat_interleave(int(factors[0]), 2).repeat_interleave(int(factors[1]), 3)


AS_IT_IS = frozenset(["view", "reshape", "__getitem__", "size", "dim", "numel", "stride", "__get__", "is_contiguous"])
RULES: dict[str, Callable[..., Any]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "pad": _pad,
    "linear": _linear,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
    "interpolate": _interpolate,
    **dict.fromkeys("matmul __matmul__ bmm mm".split(), _matmul),
    **dict.fromkeys("mean sum amax".split(), _over),
    **dict.fromkeys(
        """
        add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ subtract mul mul_ __mul__ __rmul__
        __imul__ multiply div div_ __truediv__ __itruediv__ divide true_divide maximum minimum
        """.split(),
        _hull,
    ),
}
