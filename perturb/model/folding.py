"""The same network in fewer steps: batch normalisation folded into the convolutions before it."""

import copy
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(module: nn.Module, x: Tensor) -> nn.Module:
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
    return quick.to(memory_format=torch.channels_last)


def _watch(module: nn.Module, x: Tensor) -> tuple[dict[str, nn.Module], Counter[str], dict[str, str]]:
    """All modules, how often each runs, and by the name of each normalisation that of the convolution before it."""
    names = {name: m for name, m in module.named_modules() if type(m) is nn.Conv2d or _is_norm(m)}
    runs: Counter[str] = Counter()
    fed: dict[str, str] = {}
    outputs: list[tuple[Tensor, str]] = []

    def ran(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            runs[name] += 1
            if type(part) is nn.Conv2d:
                outputs[:] = [(output, name)]
            elif outputs and outputs[0][0] is args[0]:
                fed[name] = outputs[0][1]

        return hook

    handles = [part.register_forward_hook(ran(name)) for name, part in names.items()]
    try:
        module(x)
    finally:
        for handle in handles:
            handle.remove()
    return names, runs, fed


def _is_norm(module: nn.Module) -> bool:
    with_activation = {"drop", "act"} <= dict(module.named_children()).keys()  # timm's BatchNormAct2d
    tracked = isinstance(module, nn.BatchNorm2d) and module.running_var is not None
    return tracked and (type(module) is nn.BatchNorm2d or with_activation)


def _rest(norm: nn.Module) -> nn.Module:
    """What a normalisation does besides."""
    return nn.Sequential(*norm.children())
