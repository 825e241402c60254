"""From a traced operation to its rule on differences, for these arguments and this layout of rows and columns."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb import operations
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


def _convolution(node: Activation, op: operations.Convolution) -> Rule:
    s = op.stencil
    return Convolution(node, op.weight, s.stride, s.before, s.dilation, op.groups)


def _max_pool(node: Activation, op: operations.MaxPool) -> Rule:
    s = op.stencil
    return MaxPool(node, s.kernel, s.stride, s.before, s.dilation)


def _average_pool(node: Activation, op: operations.AveragePool) -> Rule:
    kernel, stride, padding = op.stencil.kernel, op.stencil.stride, op.stencil.before
    share: float | Tensor = 1 / (op.divisor or kernel[0] * kernel[1])
    if op.divisor is None and (op.ceil or (any(padding) and not op.counts_padding)):  # at the border it is another
        ones = torch.ones(1, 1, *op.x.limit)
        own = F.avg_pool2d(ones, kernel, stride, padding, op.ceil, op.counts_padding)
        share = own / F.avg_pool2d(ones, kernel, stride, padding, op.ceil, divisor_override=1)
    return AveragePool(node, kernel, stride, padding, share)


def _adaptive_pool(node: Activation, op: operations.AdaptivePool) -> Rule:
    if op.kind == "amax":
        raise NoRuleError("adaptive_max_pool2d")
    if op.x.layout and node.limit == (1, 1):
        return GlobalMean(node, op.x.area, True)
    return Linear(node, op.x, lambda d: F.adaptive_avg_pool2d(d, op.size))


def _reduction(node: Activation, op: operations.Reduction) -> Rule:
    if 0 in op.dims or (op.kind == "amax" and op.x.layout == "channels last"):
        raise NoRuleError(f"{op.kind} over pictures, or over channels that lie last")
    if op.kind == "amax":
        return GlobalMax(node, op.x, op.dims, op.keep)
    if op.kind == "mean" and op.x.layout == "channels first" and sorted(op.dims) == [2, 3]:
        return GlobalMean(node, op.x.area, op.keep)
    reduce = torch.mean if op.kind == "mean" else torch.sum
    return Linear(node, op.x, lambda d: reduce(d, op.dims, op.keep))


def _padding(node: Activation, op: operations.Padding) -> Rule:
    x, mode = op.x, op.mode
    if not any(op.widths):
        return Pass(node)
    if mode == "constant" and (x.layout != "channels first" or any(op.widths[4:])):
        return Linear(node, x, lambda d: F.pad(d, op.widths))
    if mode not in ("constant", "replicate") or x.layout != "channels first":
        raise NoRuleError(f"pad with mode {mode}")
    before = (op.along(-2)[0], op.along(-1)[0])
    if mode == "constant":
        return CropOrPad(node, before)
    if min(op.widths) < 0:
        raise NoRuleError("pad that cuts and replicates")
    return ReplicationPad(node, x, before)


def _indexing(node: Activation, op: operations.Indexing) -> Rule:
    """A slice along one dimension."""
    along = [dim for dim, part in enumerate(op.parts) if part != slice(None)]
    if not along:
        return Pass(node)
    if op.x.layout != "channels first" or along == [0]:
        return Linear(node, op.x, lambda d: d[op.parts])
    if along == [1]:
        return ChannelSelection(node, lambda d: d[op.parts])
    (dim,) = along
    start, _, step = op.parts[dim].indices(op.x.shape[dim])
    return CropOrPad(node, (-start, 0), (step, 1)) if dim == 2 else CropOrPad(node, (0, -start), (1, step))


def _index_select(node: Activation, op: operations.IndexSelect) -> Rule:
    if op.x.layout != "channels first" or op.dim != 1:
        raise NoRuleError("index_select of other than channels")
    return ChannelSelection(node, lambda d: d.index_select(1, op.index))


def _linear(node: Activation, op: operations.Linear) -> Rule:
    if op.x.layout == "channels last":
        return ChannelLinear(node, op.weight)
    return Linear(node, op.x, lambda d: F.linear(d, op.weight), op.weight.shape[1])


def _permutation(node: Activation, op: operations.Permutation) -> Rule:
    if node.layout and op.x.layout:
        return Pass(node)
    return Linear(node, op.x, lambda d: d.permute(op.dims))


def _sum(node: Activation, op: operations.Sum) -> Rule:
    (a, b), factors = op.terms, op.factors
    if isinstance(a, Activation) and isinstance(b, Activation):
        return Sum(node, (a, b), factors)
    still, moving, factor = (b, a, factors[0]) if isinstance(a, Activation) else (a, b, factors[1])
    if node.shape != moving.shape:
        raise NoRuleError(f"adding a number of shape {tuple(getattr(still, 'shape', ()))}")
    return Pass(node) if factor == 1 else Scale(node, factor)


def _product(node: Activation, op: operations.Product) -> Rule:
    a, b = op.factors
    if isinstance(a, Activation) and isinstance(b, Activation):
        return Product(node, (a, b))
    return _scaled(node, a, b) if isinstance(a, Activation) else _scaled(node, b, a)


def _division(node: Activation, op: operations.Division) -> Rule:
    if not isinstance(op.x, Activation) or isinstance(op.divisor, Activation):
        raise NoRuleError("division by an activation")
    return _scaled(node, op.x, 1 / op.divisor)


def _scaled(node: Activation, x: Activation, factor: Any) -> Rule:
    if node.shape != x.shape:
        raise NoRuleError("a product that enlarges the map")
    return Scale(node, _factor(node, factor))


def _factor(node: Activation, factor: Any) -> Any:
    """A constant as it multiplies a map that lies channels first."""
    if not isinstance(factor, Tensor) or not node.layout or factor.numel() == 1:
        return factor
    shape = (1,) * (4 - factor.ndim) + tuple(factor.shape)
    wide = factor.view(shape) if node.layout == "channels first" else factor.view(shape).permute(0, 3, 1, 2)
    if wide.numel() != wide.shape[1]:
        raise NoRuleError("a product with a constant that varies over the map")
    return wide


def _concatenation(node: Activation, op: operations.Concatenation) -> Rule:
    channel = {"channels first": 1, "channels last": 3, "": None}[node.layout]
    if (channel is not None and op.dim != channel) or op.dim == 0:
        raise NoRuleError("cat of other than channels")
    return Concatenation(node, op.parts, op.dim)


def _through(call: Callable[..., Tensor], node: Activation, x: Activation, *arguments: Any, **options: Any) -> Rule:
    """An operation that is linear in its first argument."""
    return Linear(node, x, lambda d: call(d, *arguments, **options))


def _weighed(call: Callable[..., Tensor], node: Activation, args: Sequence[Any]) -> Rule:
    """An operation that is linear in its first argument but for its bias."""
    x, weight, _, *options = (*args, None) if len(args) == 2 else args
    return Linear(node, x, lambda d: call(d, weight, None, *options), weight[0].numel())


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
        if name in WEIGHED:
            return _weighed(call, node, args)
        operation = operations.read(name, args, kwargs)
        if isinstance(operation, operations.Sum | operations.Product) and len(layouts) > 1:
            raise NoRuleError(f"{name} of maps that lie differently")
        return RULES[type(operation)](node, operation)
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
WEIGHED = frozenset(["conv1d", "conv_transpose2d"])
RULES: dict[Any, Build] = {
    **norms.RULES,
    **attention.RULES,
    operations.Convolution: _convolution,
    operations.MaxPool: _max_pool,
    operations.AveragePool: _average_pool,
    operations.AdaptivePool: _adaptive_pool,
    operations.Reduction: _reduction,
    operations.Padding: _padding,
    operations.Indexing: _indexing,
    operations.IndexSelect: _index_select,
    operations.Linear: _linear,
    operations.Permutation: _permutation,
    operations.Sum: _sum,
    operations.Product: _product,
    operations.Division: _division,
    operations.Concatenation: _concatenation,
}
