"""The windows that remedies change, and how they are written down."""

from torch import nn

from perturb.operations import Pair, pair

Window = nn.Conv2d | nn.MaxPool2d


def uneven(window: Window) -> bool:
    """Whether it meets some pixels more often than others: the kernel is no multiple of the stride."""
    return any(k % s for k, s in zip(pair(window.kernel_size), pair(window.stride), strict=True))


def words(kernel: Pair, stride: Pair) -> str:
    """ "3 x 3 / 2": the kernel's size and its stride."""
    return f"{kernel[0]} x {kernel[1]} / {stride[0] if stride[0] == stride[1] else f'{stride[0]} x {stride[1]}'}"
