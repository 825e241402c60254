"""Remedies that take the stride out of a layer and give it to a filter that reads every pixel equally often."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.operations import pair
from perturb.remedies.layers import SlidingLayer, describe, is_uneven

BINOMIAL = (1, 3, 3, 1)  # Zhang's released default; at stride 2 both phases get the same energy, 1 + 9


def blur(name: str, layer: SlidingLayer) -> str | None:
    """BlurPool (Zhang 2019): the layer gets stride 1, and a binomial filter with 4 taps and stride 2 follows.

    A stride of 4 takes two filters. The filter follows the layer directly, before any normalisation or nonlinearity,
    so that it fits into any network.
    """
    stride = pair(layer.stride)
    if not is_uneven(layer):
        return None
    if stride[0] != stride[1] or stride[0].bit_count() != 1:
        raise InputError(f"layer `{name}`: stride {stride} is not a power of 2; blurpool needs one.")
    layer.stride = (1, 1)
    tap = torch.tensor(BINOMIAL, dtype=torch.float32) / sum(BINOMIAL)
    layer.register_buffer("binomial", torch.outer(tap, tap)[None, None], persistent=False)
    layer.register_forward_hook(_Blur(stride[0], bool(getattr(layer, "ceil_mode", False))))
    return f"{describe(pair(layer.kernel_size), (1, 1))}, blur 4 x 4 / {stride[0]}"


class _Blur:
    """Low-pass filter and subsample by 2, until the stride is reached."""

    def __init__(self, stride: int, ceil_mode: bool) -> None:
        self.stride, self.ceil_mode = stride, ceil_mode

    def __call__(self, layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kernel = layer.get_buffer("binomial").expand(output.shape[1], 1, -1, -1)
        if self.ceil_mode:
            rows, columns = ((1 - n) % self.stride for n in output.shape[2:])
            output = F.pad(output, (0, columns, 0, rows), mode="replicate")
        for _ in range(self.stride.bit_length() - 1):
            padded = F.pad(output, (1, 2, 1, 2), mode="replicate")  # reflection would need three rows
            output = F.conv2d(padded, kernel, stride=2, groups=output.shape[1])
        return output


def mean_shortcut(name: str, layer: SlidingLayer) -> str | None:
    """ResNet-D (He et al. 2019): a mean over s x s pixels before a strided 1 x 1 convolution, which gets stride 1."""
    stride = pair(layer.stride)
    if not is_uneven(layer) or isinstance(layer, nn.MaxPool2d) or pair(layer.kernel_size) != (1, 1):
        return None
    layer.stride = (1, 1)
    layer.register_forward_pre_hook(_Mean(stride))
    return f"mean {describe(stride, stride)}, 1 x 1 / 1"


class _Mean:
    """Averages the input over windows of the stride."""

    def __init__(self, stride: tuple[int, int]) -> None:
        self.stride = stride

    def __call__(self, layer: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return F.avg_pool2d(args[0], self.stride, ceil_mode=True, count_include_pad=False)
