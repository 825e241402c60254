"""Kernel padding (Kim et al. 2023): odd kernels moved by even strides become even, so that all pixels are met alike."""

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.protocols import Model

Weights = Literal["kept", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Padded:
    """One window that was enlarged."""

    name: str
    kind: str
    kernel: tuple[int, int]
    padded: tuple[int, int]


def pad_kernels(model: Model, weights: Weights, *, seed: int = 0) -> tuple[nn.Module, tuple[Padded, ...]]:
    """A copy of the network whose odd kernels with an even stride are padded, and the list of what was changed.

    Every Conv2d and MaxPool2d module; the kernel grows right and below to the next multiple of the stride, the input
    by as much, so that strides, paddings and output sizes stay.
    kept: weights are zero-padded; the function is unchanged to rounding unless a max-pool was widened.
    fresh: convolution and linear weights are drawn anew (normal, the old mean square times old/new fan-in) and
    normalisation statistics forgotten.
    Raises InputError naming a layer that cannot be padded, or where nothing is to be padded.
    """
    module = copy.deepcopy(model.module)
    changed = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and (padded := _pad(name, layer)):
            changed.append(padded)
    if not changed:
        raise InputError(f"{model.name} has no odd kernel with an even stride: nothing to pad.")
    _check_sizes(model, module, changed)
    if weights == "fresh":
        _draw(model.module, module, seed)
    return module, tuple(changed)


def _pad(name: str, layer: nn.Conv2d | nn.MaxPool2d) -> Padded | None:
    kernel, stride, dilation = (_pair(v) for v in (layer.kernel_size, layer.stride, layer.dilation))
    goal = tuple(-(-k // s) * s if k % 2 and s % 2 == 0 else k for k, s in zip(kernel, stride, strict=True))
    if goal == kernel:
        return None
    if any(math.gcd(d, s) > 1 for d, s in zip(dilation, stride, strict=True)):
        raise InputError(
            f"layer `{name}`: dilation {dilation} shares a factor with stride {stride}; padding cannot help."
        )
    grown = tuple((g - k) * d for g, k, d in zip(goal, kernel, dilation, strict=True))
    if isinstance(layer, nn.Conv2d):
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise InputError(
                f"layer `{name}`: padding {layer.padding_mode}/{layer.padding} cannot be kept when padded."
            )
        extra = (0, goal[1] - kernel[1], 0, goal[0] - kernel[0])
        layer.weight = nn.Parameter(F.pad(layer.weight.detach(), extra), requires_grad=layer.weight.requires_grad)
        fill = 0.0
    else:
        fill = -math.inf
    layer.kernel_size = (goal[0], goal[1])
    layer.register_forward_pre_hook(_Grow(grown, fill))
    return Padded(name=name, kind=type(layer).__name__, kernel=kernel, padded=(goal[0], goal[1]))


class _Grow:
    """Gives a padded window's input the rows and columns that its new taps reach."""

    def __init__(self, grown: tuple[int, ...], fill: float) -> None:
        self.grown, self.fill = grown, fill

    def __call__(self, layer: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return F.pad(args[0], (0, self.grown[1], 0, self.grown[0]), value=self.fill)


def _check_sizes(model: Model, padded: nn.Module, changed: list[Padded]) -> None:
    """A layer that computes its own padding from the kernel would change its output's size: refuse it by name."""
    before, after = (_sizes(model, module, [c.name for c in changed]) for module in (model.module, padded))
    for name, size in before.items():
        if after.get(name) != size:
            raise InputError(
                f"layer `{name}` computes its own padding ({size} became {after.get(name)}): cannot be padded."
            )


def _sizes(model: Model, module: nn.Module, names: list[str]) -> dict[str, tuple[int, ...]]:
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(layer: nn.Module, args: Any, output: Tensor) -> None:
            sizes[name] = tuple(output.shape[2:])

        return hook

    handles = [module.get_submodule(name).register_forward_hook(note(name)) for name in names]
    try:
        with torch.inference_mode():
            module(model.normalise(torch.full((1, *model.input_shape), 0.5)))
    except RuntimeError as error:
        raise InputError(f"{model.name} no longer fits together when padded: {str(error).splitlines()[0]}") from error
    finally:
        for handle in handles:
            handle.remove()
    return sizes


def _draw(old: nn.Module, new: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    originals = dict(old.named_modules())
    for name, layer in new.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            before = originals[name].weight
            assert isinstance(before, Tensor)
            ratio = before[0].numel() / layer.weight[0].numel()
            std = (before.detach().double().square().mean() * ratio).sqrt().item()
            drawn = torch.randn(layer.weight.shape, generator=generator) * std
            layer.weight.data.copy_(drawn)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
