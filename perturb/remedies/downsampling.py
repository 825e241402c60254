"""Remedies that move the stride out of a window, into a filter that meets every pixel alike."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.operations import pair
from perturb.remedies.windows import Window, uneven, words

BINOMIAL = (1, 3, 3, 1)  # Zhang's released default. Moved by 2 its squares fall evenly, 1 + 9 on either phase


def blur(name: str, window: Window) -> str | None:
    """BlurPool (Zhang 2019): the window moves by 1, then a binomial filter with 4 taps moves by 2.

    A stride of 4 takes two filters. The blur follows the window at once, ahead of any normalisation or nonlinearity:
    so it can be put into any network.
    """
    stride = pair(window.stride)
    if not uneven(window):
        return None
    if stride[0] != stride[1] or stride[0].bit_count() != 1:
        raise InputError(f"layer `{name}`: stride {stride} is no power of 2, which is what blurring can do.")
    window.stride = (1, 1)
    tap = torch.tensor(BINOMIAL, dtype=torch.float32) / sum(BINOMIAL)
    window.register_buffer("binomial", torch.outer(tap, tap)[None, None], persistent=False)
    window.register_forward_hook(_Blur(stride[0], bool(getattr(window, "ceil_mode", False))))
    return f"{words(pair(window.kernel_size), (1, 1))}, blur 4 x 4 / {stride[0]}"


class _Blur:
    """Low-pass and drop: halves the map until the stride is done."""

    def __init__(self, stride: int, ceil_mode: bool) -> None:
        self.stride, self.ceil_mode = stride, ceil_mode

    def __call__(self, window: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kernel = window.get_buffer("binomial").expand(output.shape[1], 1, -1, -1)
        if self.ceil_mode:
            rows, columns = ((1 - n) % self.stride for n in output.shape[2:])
            output = F.pad(output, (0, columns, 0, rows), mode="replicate")
        for _ in range(self.stride.bit_length() - 1):
            padded = F.pad(output, (1, 2, 1, 2), mode="replicate")  # reflection needs three rows; some maps have one
            output = F.conv2d(padded, kernel, stride=2, groups=output.shape[1])
        return output


def mean_shortcut(name: str, window: Window) -> str | None:
    """ResNet-D (He et al. 2019): ahead of a strided 1 x 1 convolution the mean of s x s pixels; it then moves by 1."""
    stride = pair(window.stride)
    if not uneven(window) or isinstance(window, nn.MaxPool2d) or pair(window.kernel_size) != (1, 1):
        return None
    window.stride = (1, 1)
    window.register_forward_pre_hook(_Mean(stride))
    return f"mean {words(stride, stride)}, 1 x 1 / 1"


class _Mean:
    def __init__(self, stride: tuple[int, int]) -> None:
        self.stride = stride

    def __call__(self, window: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return F.avg_pool2d(args[0], self.stride, ceil_mode=True, count_include_pad=False)
