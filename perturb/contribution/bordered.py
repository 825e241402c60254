"""What the architecture reads of a whole picture, its border included: zero exactly where nothing reads a pixel."""

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from perturb import operations
from perturb.contribution.architecture import propagate
from perturb.contribution.rules import RULES, Rules, Trace, group_means
from perturb.errors import InputError, PerturbError, first_line
from perturb.protocols import Differentiable
from perturb.sensor import network_shape, sensor_of


def reading(model: Differentiable, layer: str = "output") -> Float[np.ndarray, "row column"]:
    """The structural map of a picture of the model's own size, not on a torus: padding is no pixel, windows end.

    The expected squared gradient of `layer` at each pixel under independent zero-mean weights of variance 1/fan_in, in
    float64, mean 1. A pixel is 0 where no path leads from it to the layer: between windows, beyond the last one,
    outside of a crop, or where a fixed factor is 0. Of a camera's picture the steps ahead count as well.
    Raises InputError where the layer depends on no pixel or runs on no zeros, and UnsupportedOperationError naming the
    operation through which a gradient cannot be followed.
    """
    try:
        values, _ = propagate(model, layer, network_shape(model)[1:], BORDERED)
    except PerturbError:
        raise
    except Exception as error:  # the user's own code runs on other values
        raise InputError(f"{model.name}: `{layer}` cannot be followed: {first_line(error)}.") from error
    if (steps := sensor_of(model)) is not None:
        values = steps.onto_picture(values)
    if not values.any():
        raise InputError(f"{model.name}: `{layer}` does not depend on the picture, or only through gates.")
    return values / values.mean()


def unread_share(values: Float[np.ndarray, "row column"]) -> float:
    """The share of the picture's pixels that nothing reads, of what `reading` gives."""
    return float((values == 0).mean())


def _padded(x: Tensor, stencil: operations.Stencil) -> Tensor:
    (up, left), (down, right) = stencil.before, stencil.behind
    return F.pad(x, (left, right, up, down))


def _convolution(trace: Trace, op: operations.Convolution) -> Tensor:
    trace.certify("Conv2d", op.stencil)
    x, groups, stencil = op.x, op.groups, op.stencil
    if trace.is_fixed(op.weight):
        weight = op.weight.to(x.dtype).square()
        return F.conv2d(_padded(x, stencil), weight, None, stencil.stride, 0, stencil.dilation, groups)
    means = _padded(group_means(x, groups), stencil)
    ones = means.new_ones(groups, 1, *stencil.kernel) / math.prod(stencil.kernel)
    out = F.conv2d(means, ones, None, stencil.stride, 0, stencil.dilation, groups)
    return out.repeat_interleave(op.weight.shape[0] // groups, 1)


def _transposed_convolution(trace: Trace, op: operations.TransposedConvolution) -> Tensor:
    def spread(x: Tensor, weight: Tensor) -> Tensor:
        stencil = op.stencil
        return F.conv_transpose2d(
            x, weight, None, stencil.stride, stencil.before, op.extra, op.groups, stencil.dilation
        )

    if trace.is_fixed(op.weight):
        return spread(op.x, op.weight.to(op.x.dtype).square())
    means = group_means(op.x, op.groups)
    ones = means.new_ones(op.groups, 1, *op.stencil.kernel) / math.prod(op.stencil.kernel)
    return spread(means, ones).repeat_interleave(op.weight.shape[1], 1)


def _pool_sum(x: Tensor, stencil: operations.Stencil, ceil: bool) -> Tensor:
    """Sums over windows that begin within the picture or its padding ahead, as torch's pools place them."""
    x, missing = _padded(x, stencil), [0, 0]
    for axis in (0, 1) if ceil else ():
        span = stencil.dilation[axis] * (stencil.kernel[axis] - 1) + 1
        rest = (x.shape[2 + axis] - span) % stencil.stride[axis]
        begins = x.shape[2 + axis] - span - rest + stencil.stride[axis]
        inside = begins < x.shape[2 + axis] - stencil.behind[axis]  # else torch leaves the window out
        missing[axis] = stencil.stride[axis] - rest if rest and inside else 0
    x = F.pad(x, (0, missing[1], 0, missing[0]))
    channels = x.shape[1]
    ones = x.new_ones(1, 1, *stencil.kernel).expand(channels, -1, -1, -1)
    return F.conv2d(x, ones, None, stencil.stride, 0, stencil.dilation, channels)


def _max_pool(trace: Trace, op: operations.MaxPool) -> Tensor:
    """Each position of the window is the largest equally often."""
    trace.certify("MaxPool2d", op.stencil)
    return _pool_sum(op.x, op.stencil, op.ceil) / math.prod(op.stencil.kernel)


def _average_pool(trace: Trace, op: operations.AveragePool) -> Tensor:
    trace.certify("AvgPool2d", op.stencil)
    return _pool_sum(op.x, op.stencil, op.ceil) / (op.divisor or math.prod(op.stencil.kernel)) ** 2


def _adaptive_pool(trace: Trace, op: operations.AdaptivePool) -> Tensor:
    return F.adaptive_avg_pool2d(op.x, op.size)


def _padding(trace: Trace, op: operations.Padding) -> Tensor:
    return F.pad(op.x, op.widths) if op.mode == "constant" else F.pad(op.x, op.widths, mode=op.mode)


def _indexing(trace: Trace, op: operations.Indexing) -> Tensor:
    return op.x[tuple(op.parts)]


def _unfolding(trace: Trace, op: operations.Unfolding) -> Tensor:
    return op.x.unfold(op.dim, op.size, op.step)


def _reshape(trace: Trace, op: operations.Reshape) -> Tensor:
    return op.x.reshape(op.shape)


def _resizing(trace: Trace, op: operations.Resizing) -> Tensor:
    rows, columns = (operations.resizing.weights(op, a, op.x.shape[2 + a], op.size[a]).square() for a in (0, 1))
    return rows.to(op.x.device) @ op.x @ columns.to(op.x.device).T


BORDERED: Rules = {
    **RULES,
    operations.Convolution: _convolution,
    operations.TransposedConvolution: _transposed_convolution,
    operations.MaxPool: _max_pool,
    operations.AveragePool: _average_pool,
    operations.AdaptivePool: _adaptive_pool,
    operations.Padding: _padding,
    operations.Indexing: _indexing,
    operations.Unfolding: _unfolding,
    operations.Reshape: _reshape,
    operations.Resizing: _resizing,
}
