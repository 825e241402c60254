"""Tiny networks whose dead pixels are known by construction."""

import torch
from torch import nn
from torch.nn import functional as F

from perturb import Network, Preprocessing

SHAPE = (3, 64, 64)


def network(module: nn.Module, *, shape: tuple[int, int, int] = SHAPE, name: str = "toy") -> Network:
    return Network(module, name=name, preprocessing=Preprocessing(input_shape=shape))


def window(kernel: int, stride: int = 2, *, padding: int = 0, channels: int = 16, seed: int = 0) -> nn.Sequential:
    """One convolution: kernel 1 is strictly dead off (0, 0), kernel = stride balanced, kernel 3 in between."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, channels, kernel, stride, padding, bias=False))


class Residual(nn.Module):
    """A strided residual block written with functional operations."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Conv2d(3, 8, 3, 2, 1)
        self.short = nn.Conv2d(3, 8, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.main(x) + self.short(x))


class Squared(nn.Module):
    """Multiplies two activations: the structural map has no rule for that."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x)
        return (y * y).mean((2, 3))


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


class Hidden(nn.Module):
    """Passes the picture through a custom autograd function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Doubling.apply(x)


def plain() -> nn.Module:
    """What a user's file.py:factory might return."""
    return nn.Sequential(window(3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1))
