"""Remedies that change a kernel's size, so that it becomes a multiple of the stride."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.operations import Pair, pair
from perturb.remedies.windows import Window, uneven, words

Fit = Callable[[int, int, int], Pair]  # kernel, stride, padding -> taps of the new kernel, and how many lie ahead


def pad_kernel(name: str, window: Window) -> str | None:
    """Kernel padding (Kim et al. 2023): grown right and below to the next multiple of the stride (3 -> 4, 1 -> 2)."""
    return _resize(name, window, lambda k, s, p: (-(-k // s) * s, 0)) if uneven(window) else None


def pad_pool(name: str, window: Window) -> str | None:
    """Kernel padding of max-pools alone."""
    return pad_kernel(name, window) if isinstance(window, nn.MaxPool2d) else None


def slice_kernel(name: str, window: Window) -> str | None:
    """Kernel slicing (Kim et al. 2023): first rows and columns go, and as much padding (7 -> 6, 3 -> 2).

    Down to the last multiple of the stride. A kernel smaller than its stride (1 x 1 / 2) has nothing to give and stays.
    """
    too_small = any(k < s for k, s in zip(pair(window.kernel_size), pair(window.stride), strict=True))
    if not uneven(window) or too_small:
        return None
    return _resize(name, window, lambda k, s, p: (k // s * s, k // s * s - k))


def space_to_depth(name: str, window: Window) -> str | None:
    """SPD-Conv (Sunkara and Luo 2022): s x s pixels become channels, over which a k x k kernel moves by 1.

    Computed as what that equals: a k s x k s kernel moved by s, begun where the picture's own blocks begin. Only
    convolutions; max-pools stay.
    """
    if not uneven(window) or isinstance(window, nn.MaxPool2d):
        return None

    def fit(kernel: int, stride: int, padding: int) -> Pair:
        centred = (kernel * stride - kernel) // 2
        return kernel * stride, centred - (centred + padding) % stride

    return _resize(name, window, fit)


def _resize(name: str, window: Window, fit: Fit) -> str:
    """Gives the window its new kernel; weights keep their place among the pixels, new ones are 0."""
    kernel, stride, dilation = (pair(v) for v in (window.kernel_size, window.stride, window.dilation))
    if any(math.gcd(d, s) > 1 for d, s in zip(dilation, stride, strict=True)):
        raise InputError(
            f"layer `{name}`: dilation {dilation} shares a factor with stride {stride}; no kernel's size can help."
        )
    if isinstance(window, nn.Conv2d) and (window.padding_mode != "zeros" or isinstance(window.padding, str)):
        raise InputError(
            f"layer `{name}`: padding {window.padding_mode}/{window.padding} cannot be kept with another kernel."
        )
    assert not isinstance(window.padding, str)
    padding = pair(window.padding)
    goal, ahead = zip(*(fit(k, s, p) for k, s, p in zip(kernel, stride, padding, strict=True)), strict=True)
    taps, margin = [], []
    for axis in (1, 0):  # F.pad begins with the last axis
        behind = goal[axis] - kernel[axis] - ahead[axis]
        taps += [ahead[axis], behind]
        margin += [padding[axis] + dilation[axis] * t for t in (ahead[axis], behind)]
    if isinstance(window, nn.Conv2d):
        weight = F.pad(window.weight.detach(), taps)
        window.weight = nn.Parameter(weight, requires_grad=window.weight.requires_grad)
    window.kernel_size, window.padding = goal, (0, 0)
    window.register_forward_pre_hook(_Margin(margin, -math.inf if isinstance(window, nn.MaxPool2d) else 0.0))
    return words(goal, stride)


class _Margin:
    """Gives a window its padding, and the rows and columns that its new taps reach; a negative margin is cut."""

    def __init__(self, margin: list[int], fill: float) -> None:
        self.margin, self.fill = margin, fill

    def __call__(self, window: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return F.pad(args[0], self.margin, value=self.fill)
