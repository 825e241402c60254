"""The layers that remedies change: convolutions and max-pools, which slide a window over the map."""

from torch import nn

from perturb.operations import Pair, pair

SlidingLayer = nn.Conv2d | nn.MaxPool2d


def is_uneven(layer: SlidingLayer) -> bool:
    """Whether the layer reads some pixels more often than others: its kernel is no multiple of its stride."""
    return any(k % s for k, s in zip(pair(layer.kernel_size), pair(layer.stride), strict=True))


def describe(kernel: Pair, stride: Pair) -> str:
    """Kernel size and stride in words: "3 x 3 / 2"."""
    return f"{kernel[0]} x {kernel[1]} / {stride[0] if stride[0] == stride[1] else f'{stride[0]} x {stride[1]}'}"
