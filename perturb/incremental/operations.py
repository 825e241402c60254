"""From a traced operation to its rule: the arguments of each torch operation, read once."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from perturb.incremental import attention, norms, pointwise
from perturb.incremental.activations import Activation, Layout, NoRuleError
from perturb.incremental.rules import (
    Build,
    ChannelLinear,
    ChannelSelection,
    Concatenation,
    GlobalMax,
    GlobalMean,
    Linear,
    Pass,
    Pointwise,
    Product,
    Rule,
    Scale,
    Sum,
)
from perturb.incremental.sliding import AveragePool, Convolution, CropOrPad, MaxPool, ReplicationPad
from perturb.incremental.windows import Pair


def _conv2d(
    node: Activation,
    x: Activation,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Rule:
    kernel = pair(weight.shape[2:])
    if isinstance(padding, str):
        padding = [d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(pair(dilation), kernel, strict=True)]
    return Convolution(node, weight, pair(stride), pair(padding), pair(dilation), groups)


def _max_pool2d(
    node: Activation,
    x: Activation,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> Rule:
    return MaxPool(node, pair(kernel), pair(stride or kernel), pair(padding), pair(dilation))


def _avg_pool2d(
    node: Activation,
    x: Activation,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil: bool = False,
    count_pad: bool = True,
    divisor: int | None = None,
) -> Rule:
    kernel, stride, padding = pair(kernel), pair(stride or kernel), pair(padding)
    share: float | Tensor = 1 / (divisor or math.prod(kernel))
    if divisor is None and (ceil or (any(padding) and not count_pad)):  # at the border it is another
        ones = torch.ones(1, 1, *x.limit)
        own = torch.nn.functional.avg_pool2d(ones, kernel, stride, padding, ceil, count_pad)
        share = own / torch.nn.functional.avg_pool2d(ones, kernel, stride, padding, ceil, divisor_override=1)
    return AveragePool(node, kernel, stride, padding, share)


def _adaptive_avg_pool2d(node: Activation, x: Activation, size: Any) -> Rule:
    if x.layout and node.limit == (1, 1):
        return GlobalMean(node, x.area, True)
    return Linear(node, x, lambda d: torch.nn.functional.adaptive_avg_pool2d(d, size))


def _mean(node: Activation, x: Activation, dims: Sequence[int], keep: bool = False) -> Rule:
    over = sorted(d % len(x.shape) for d in dims)
    if x.layout == "channels first" and over == [2, 3]:
        return GlobalMean(node, x.area, keep)
    return Linear(node, x, lambda d: d.mean(list(dims), keep))


def _amax(node: Activation, x: Activation, dims: Sequence[int] = (), keep: bool = False) -> Rule:
    if x.layout == "channels last" or 0 in (over := [d % len(x.shape) for d in dims]) or not over:
        raise NoRuleError("amax over pictures, or over channels that lie last")
    return GlobalMax(node, x, over, keep)


def _pad(
    node: Activation, x: Activation, around: Sequence[int], mode: str = "constant", value: float | None = None
) -> Rule:
    before = (around[2] if len(around) > 2 else 0, around[0])
    if not any(around):
        return Pass(node)
    if mode == "constant" and (x.layout != "channels first" or any(around[4:])):
        return Linear(node, x, lambda d: torch.nn.functional.pad(d, list(around)))
    if mode not in ("constant", "replicate") or x.layout != "channels first":
        raise NoRuleError(f"pad with mode {mode}")
    if mode == "replicate":
        if min(around) < 0:
            raise NoRuleError("pad that cuts and replicates")
        return ReplicationPad(node, x, before)
    return CropOrPad(node, before)


def _slice(
    node: Activation, x: Activation, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Rule:
    axis = dim % len(x.shape) - 2
    if x.layout == "channels first" and axis == -1:
        return ChannelSelection(node, lambda d: torch.ops.aten.slice(d, 1, start, end, step))
    if x.layout != "channels first" or axis < 0:
        return Linear(node, x, lambda d: torch.ops.aten.slice(d, dim, start, end, step))
    first = slice(start, end, step).indices(x.limit[axis])[0]
    shift, stride = ([0, 0], [1, 1])
    shift[axis], stride[axis] = -first, step
    return CropOrPad(node, pair(shift), pair(stride))


def _index_select(node: Activation, x: Activation, dim: int, index: Tensor) -> Rule:
    if x.layout != "channels first" or dim % len(x.shape) != 1:
        raise NoRuleError("index_select of other than channels")
    return ChannelSelection(node, lambda d: d.index_select(1, index))


def _linear(node: Activation, x: Activation, weight: Tensor, bias: Any = None) -> Rule:
    if x.layout == "channels last":
        return ChannelLinear(node, weight)
    return Linear(node, x, lambda d: torch.nn.functional.linear(d, weight), weight.shape[1])


def _conv1d(node: Activation, x: Activation, weight: Tensor, bias: Any = None, *options: Any) -> Rule:
    return Linear(node, x, lambda d: torch.ops.aten.conv1d(d, weight, None, *options), weight[0].numel())


def _conv_transpose2d(node: Activation, x: Activation, weight: Tensor, bias: Any = None, *options: Any) -> Rule:
    return Linear(node, x, lambda d: torch.ops.aten.conv_transpose2d(d, weight, None, *options), weight[0].numel())


def _permute(node: Activation, x: Activation, dims: Sequence[int]) -> Rule:
    if node.layout and x.layout:
        return Pass(node)
    return Linear(node, x, lambda d: d.permute(*dims))


def _add(node: Activation, a: Any, b: Any, *, alpha: float = 1, sign: float = 1) -> Rule:
    if isinstance(a, Activation) and isinstance(b, Activation):
        return Sum(node, (a, b), (1, sign * alpha))
    still, moving = (b, a) if isinstance(a, Activation) else (a, b)
    if _same_size(node, moving):
        return Pass(node) if isinstance(a, Activation) or sign * alpha == 1 else Scale(node, sign * alpha)
    raise NoRuleError(f"adding a number of shape {tuple(getattr(still, 'shape', ()))}")


def _subtract(node: Activation, a: Any, b: Any, *, alpha: float = 1) -> Rule:
    return _add(node, a, b, alpha=alpha, sign=-1)


def _multiply(node: Activation, a: Any, b: Any) -> Rule:
    if isinstance(a, Activation) and isinstance(b, Activation):
        return Product(node, (a, b))
    factor, moving = (b, a) if isinstance(a, Activation) else (a, b)
    if not _same_size(node, moving):
        raise NoRuleError("a product that enlarges the map")
    return Scale(node, _factor(node, factor))


def _divide(node: Activation, a: Any, b: Any) -> Rule:
    if not isinstance(a, Activation) or isinstance(b, Activation):
        raise NoRuleError("division by an activation")
    return _multiply(node, a, 1 / b)


def _factor(node: Activation, factor: Any) -> Any:
    """A constant as it multiplies a map that lies channels first."""
    if not isinstance(factor, Tensor) or not node.layout or factor.numel() == 1:
        return factor
    shape = (1,) * (4 - factor.ndim) + tuple(factor.shape)
    wide = factor.view(shape) if node.layout == "channels first" else factor.view(shape).permute(0, 3, 1, 2)
    if wide.numel() != wide.shape[1]:
        raise NoRuleError("a product with a constant that varies over the map")
    return wide


def pair(value: Any) -> Pair:
    rows, columns = (value, value) if isinstance(value, int) else (value[0], value[-1])
    return int(rows), int(columns)


def _same_size(node: Activation, x: Activation) -> bool:
    return node.shape == x.shape


def _cat(node: Activation, parts: Sequence[Any], dim: int = 0) -> Rule:
    channel = {"channels first": 1, "channels last": 3, "": None}[node.layout]
    dim %= len(node.shape)
    if (channel is not None and dim != channel) or dim == 0:
        raise NoRuleError("cat of other than channels")
    return Concatenation(node, parts, dim)


def _through(call: Callable[..., Tensor], node: Activation, x: Activation, *arguments: Any, **options: Any) -> Rule:
    """An operation that is linear in its first argument."""
    return Linear(node, x, lambda d: call(d, *arguments, **options))


def layout_of(name: str, args: Sequence[Any], sources: Sequence[Layout], shape: tuple[int, ...]) -> Layout:
    """Where an operation's output has its rows and columns."""
    if len(shape) != 4:
        return ""
    if name in MAPS:
        return "channels first"
    first = sources[0]
    if name == "expand" or (name in RESHAPES and shape[2:] == (1, 1)):  # a gate, as squeeze-and-excitation shapes it
        return "channels first"
    if name == "permute":
        differences: dict[tuple[Layout, tuple[int, ...]], Layout] = {
            ("channels first", (0, 2, 3, 1)): "channels last",
            ("channels last", (0, 3, 1, 2)): "channels first",
        }
        return differences.get((first, tuple(d % 4 for d in args[1])), "")
    return "" if name in RESHAPES or any(layout != first for layout in sources) else first


def rule(name: str, node: Activation, call: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Rule:
    """The rule of the operation `name`, for these arguments; Activation stands for what depends on the picture.

    Raises NoRuleError.
    """
    layouts = {x.layout for x in args if isinstance(x, Activation)}
    if name in ("add", "sub", "mul") and len(layouts) > 1:
        raise NoRuleError(f"{name} of maps that lie differently")
    if name in MAPS and "channels last" in layouts:
        raise NoRuleError(f"{name} of a map whose channels lie last")
    try:
        if name in pointwise.KINDS:
            return Pointwise(node, pointwise.KINDS[name](call, *args[1:], **kwargs))
        if name in PASSES:
            return Pass(node)
        if name in COUNTED:
            return _through(call, node, args[0], [-1, *node.shape[1:]])
        if name in LINEAR:
            return _through(call, node, *args, **kwargs)
        return RULES[name](node, *args, **kwargs)
    except (KeyError, TypeError, ValueError) as error:
        raise NoRuleError(name) from error


PASSES = frozenset(["dropout", "feature_dropout", "contiguous", "clone", "detach", "alias"])
COUNTED = frozenset(["view", "reshape", "expand"])  # these name the number of pictures, which is not that of trials
RESHAPES = COUNTED | set("flatten unflatten squeeze unsqueeze transpose select swapaxes movedim".split())
LINEAR = RESHAPES | {"upsample_nearest2d", "upsample_bilinear2d", "pixel_shuffle", "avg_pool1d", "roll"}
MAPS = frozenset(
    "conv2d batch_norm group_norm instance_norm max_pool2d avg_pool2d adaptive_avg_pool2d conv_transpose2d "
    "upsample_nearest2d".split()
)
RULES: dict[str, Build] = {
    **norms.OPERATIONS,
    **attention.OPERATIONS,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "mean": _mean,
    "amax": _amax,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "slice": _slice,
    "index_select": _index_select,
    "linear": _linear,
    "conv1d": _conv1d,
    "conv_transpose2d": _conv_transpose2d,
    "permute": _permute,
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": _divide,
    "cat": _cat,
}
