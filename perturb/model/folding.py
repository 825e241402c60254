"""The same network in fewer steps: batch normalisation folded into the convolutions before it, and a quicker stem."""

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from perturb.hooks import hooked


def fold_normalisation(module: nn.Module, x: Tensor, layout: torch.memory_format) -> nn.Module:
    """A copy that gives the same to rounding, 1.02 to 1.6 times as fast on CPU. It shares what was not folded.

    Which convolution feeds which normalisation is seen in one run on `x`. That nothing else reads that convolution is
    not seen: compare what the copy gives before it is used.
    """
    names, runs, fed = _watch(module, x)
    quick = copy.deepcopy(module, {id(p): p for p in module.parameters()})
    for norm, conv in fed.items():
        if runs[norm] == runs[conv] == 1:
            fused = fuse_conv_bn_eval(names[conv], names[norm])  # type: ignore[type-var, arg-type]
            quick.set_submodule(conv, fused)
            quick.set_submodule(norm, _rest(names[norm]))
    for name, part in list(quick.named_modules()):
        if isinstance(part, nn.Conv2d) and _is_conv(part) and _Stem.suits(part):
            quick.set_submodule(name, _Stem(part))
    return quick.to(memory_format=layout)


def _watch(module: nn.Module, x: Tensor) -> tuple[dict[str, nn.Module], Counter[str], dict[str, str]]:
    """All modules, how often each runs, and by the name of each normalisation that of the convolution before it."""
    names = {name: m for name, m in module.named_modules() if _is_conv(m) or _is_norm(m)}
    convs = {name for name, m in names.items() if _is_conv(m)}
    runs: Counter[str] = Counter()
    fed: dict[str, str] = {}
    outputs: list[tuple[Tensor, str]] = []

    def ran(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            runs[name] += 1
            if name in convs:
                outputs[:] = [(output, name)]
            elif outputs and args and outputs[0][0] is args[0]:
                fed[name] = outputs[0][1]

        return hook

    with hooked(module, names, ran):
        module(x)
    return names, runs, fed


def _is_conv(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and not module._forward_pre_hooks and not module._forward_hooks


def _is_norm(module: nn.Module) -> bool:
    with_activation = {"drop", "act"} <= dict(module.named_children()).keys()  # timm's BatchNormAct2d
    tracked = isinstance(module, nn.BatchNorm2d) and module.running_var is not None
    return tracked and (type(module) is nn.BatchNorm2d or with_activation)


def _rest(norm: nn.Module) -> nn.Module:
    """What a normalisation does besides."""
    return nn.Sequential(OrderedDict(norm.named_children()))


class _Stem(nn.Module):
    """A large window at stride 2 over the picture; where a gradient is asked, one at stride 1 over blocks of 2 x 2.

    The same sums: pixels become channels, and the kernel's taps with them. oneDNN's gradient of a few channels at
    stride 2 costs five times its forward pass; of these blocks, 1.4 times.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        kernel, before = conv.kernel_size[0], conv.kernel_size[0] // 2
        first = before % 2  # taps of zero that make the kernel begin with a block
        behind = (kernel + first) % 2
        self.blocks = F.pixel_unshuffle(F.pad(conv.weight, (first, behind, first, behind)), 2)
        self.before, self.behind = (before + first) // 2, self.blocks.shape[2] - 1 - (before + first) // 2

    @staticmethod
    def suits(conv: nn.Conv2d) -> bool:
        kernel = conv.kernel_size[0]
        wanted = (kernel, kernel), (2, 2), (kernel // 2, kernel // 2), (1, 1), 1, "zeros"
        has = conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode
        return has == wanted and conv.in_channels <= 4 and kernel in (5, 7, 9)

    def forward(self, x: Tensor) -> Tensor:
        if not x.requires_grad or x.shape[-1] % 2 or x.shape[-2] % 2:
            found: Tensor = self.conv(x)
            return found
        around = (self.before, self.behind) * 2
        return F.conv2d(F.pad(F.pixel_unshuffle(x, 2), around), self.blocks, self.conv.bias)
