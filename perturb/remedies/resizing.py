"""Remedies that change the size of a kernel to a multiple of the stride."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.operations import Pair, pair
from perturb.remedies.layers import SlidingLayer, describe, is_uneven

Fit = Callable[[int, int, int], Pair]  # kernel, stride, padding -> new kernel size, taps added before the old ones


def pad_kernel(name: str, layer: SlidingLayer) -> str | None:
    """Kernel padding (Kim et al. 2023): grow to the next multiple of the stride, right and below (3 -> 4, 1 -> 2)."""
    return _resize(name, layer, lambda k, s, p: (-(-k // s) * s, 0)) if is_uneven(layer) else None


def pad_pool(name: str, layer: SlidingLayer) -> str | None:
    """Kernel padding of max-pools only."""
    return pad_kernel(name, layer) if isinstance(layer, nn.MaxPool2d) else None


def slice_kernel(name: str, layer: SlidingLayer) -> str | None:
    """Kernel slicing (Kim et al. 2023): remove the first rows and columns, and as much padding (7 -> 6, 3 -> 2).

    The new size is the next smaller multiple of the stride. A kernel smaller than its stride (1 x 1 / 2) stays.
    """
    too_small = any(k < s for k, s in zip(pair(layer.kernel_size), pair(layer.stride), strict=True))
    if not is_uneven(layer) or too_small:
        return None
    return _resize(name, layer, lambda k, s, p: (k // s * s, k // s * s - k))


def space_to_depth(name: str, layer: SlidingLayer) -> str | None:
    """SPD-Conv (Sunkara and Luo 2022): s x s pixels become channels, and a k x k kernel with stride 1 reads them.

    Computed in an equivalent form: a k s x k s kernel with stride s, aligned with the s x s blocks of the picture.
    Applies to convolutions only.
    """
    if not is_uneven(layer) or isinstance(layer, nn.MaxPool2d):
        return None

    def fit(kernel: int, stride: int, padding: int) -> Pair:
        centred = (kernel * stride - kernel) // 2
        ahead = centred - (centred + padding) % stride
        return kernel * stride, ahead if ahead >= 0 else ahead + stride  # no old tap may be cut off

    return _resize(name, layer, fit)


def _resize(name: str, layer: SlidingLayer, fit: Fit) -> str:
    """Give the layer its new kernel. Old weights keep reading the same pixels, new ones are 0."""
    kernel, stride, dilation = (pair(v) for v in (layer.kernel_size, layer.stride, layer.dilation))
    if any(math.gcd(d, s) > 1 for d, s in zip(dilation, stride, strict=True)):
        raise InputError(
            f"layer `{name}`: dilation {dilation} shares a factor with stride {stride}; no kernel size can balance it."
        )
    if isinstance(layer, nn.Conv2d) and (layer.padding_mode != "zeros" or isinstance(layer.padding, str)):
        raise InputError(
            f"layer `{name}`: padding {layer.padding_mode}/{layer.padding} cannot be kept with another kernel size;"
            " only zero padding given in numbers can."
        )
    assert not isinstance(layer.padding, str)
    padding = pair(layer.padding)
    goal, ahead = zip(*(fit(k, s, p) for k, s, p in zip(kernel, stride, padding, strict=True)), strict=True)
    taps, margin = [], []
    for axis in (1, 0):  # F.pad begins with the last axis
        behind = goal[axis] - kernel[axis] - ahead[axis]
        taps += [ahead[axis], behind]
        margin += [padding[axis] + dilation[axis] * t for t in (ahead[axis], behind)]
    if isinstance(layer, nn.Conv2d):
        weight = F.pad(layer.weight.detach(), taps)
        layer.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    layer.kernel_size, layer.padding = goal, (0, 0)
    layer.register_forward_pre_hook(Margin(margin, -math.inf if isinstance(layer, nn.MaxPool2d) else 0.0))
    return describe(goal, stride)


class Margin:
    """Pads the input by the layer's padding and by what new taps read; a negative margin crops."""

    def __init__(self, margin: list[int], fill: float) -> None:
        self.margin, self.fill = margin, fill

    def __call__(self, layer: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return F.pad(args[0], self.margin, value=self.fill)
