"""Apply a remedy to every layer that it can change, on a copy of the network."""

import copy
import difflib
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from perturb.errors import InputError, UsageError, first_line
from perturb.hooks import Hook, hooked
from perturb.operations import pair
from perturb.precision import full_float32
from perturb.protocols import Differentiable
from perturb.records import ChangedLayer, Remedy
from perturb.remedies.downsampling import blur, mean_shortcut
from perturb.remedies.layers import SlidingLayer, describe
from perturb.remedies.resizing import pad_kernel, pad_pool, slice_kernel, space_to_depth
from perturb.surroundings import unchanged


def apply_remedy(model: Differentiable, remedy: str, *, seed: int = 0) -> tuple[nn.Module, Remedy]:
    """A changed copy of the network, and the list of changed layers: all that read some pixels more often than others.

    `remedy` is one of KINDS, with or without the choice of weights: "padding", "padding:kept", "padding:fresh". The
    default is fresh for an untrained network and kept for a trained one.
    kept: old weights keep their places and new ones are 0. Kernel padding and space-to-depth then leave the function
    unchanged, to rounding, unless a max-pool was widened; the other remedies change it.
    fresh: weights of convolutions and linear layers are drawn again (normal; mean square = the old one times old/new
    fan-in) and normalisation statistics are reset.
    Strides, names and the sizes of all feature maps stay. Raises UsageError for an unknown remedy, and InputError for
    a layer that cannot be changed (by name) and for a network without a layer to change.
    """
    kind, weights = _parse(remedy, model)
    module = copy.deepcopy(model.module)
    changed = []
    for name, layer in module.named_modules():
        if isinstance(layer, SlidingLayer):
            before = describe(pair(layer.kernel_size), pair(layer.stride))
            if (after := KINDS[kind](name, layer)) is not None:
                changed.append(ChangedLayer(name=name, kind=type(layer).__name__, before=before, after=after))
    if not changed:
        raise InputError(
            f"{model.name}: remedy `{kind}` found no layer to change; docs/remedies.md says what it changes."
        )
    _check_sizes(model, module.to(model.device), changed)
    if weights == "fresh":
        _draw(model.module, module, seed)
    elif kind in EXACT:
        _check_functions(model.module, module, changed)
    return module, Remedy(kind=kind, weights=weights, changed=tuple(changed))


def _parse(remedy: str, model: Differentiable) -> tuple[str, Literal["kept", "fresh"]]:
    kind, _, weights = remedy.partition(":")
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, list(KINDS), n=1)
        near = f" Did you mean `{close[0]}`?" if close else ""
        raise UsageError(f"`remedy` {kind!r} is unknown, expected one of {list(KINDS)}.{near}")
    if weights not in ("", "kept", "fresh"):
        raise UsageError(f"`remedy` {remedy!r} is unknown, expected {kind}, {kind}:kept or {kind}:fresh.")
    if not weights:
        return kind, "fresh" if model.untrained else "kept"
    return kind, "kept" if weights == "kept" else "fresh"


def _check_sizes(model: Differentiable, module: nn.Module, changed: list[ChangedLayer]) -> None:
    """Refuse a layer that computes its padding from the kernel: the size of its output would change."""
    before, after = (_sizes(model, m, [c.name for c in changed]) for m in (model.module, module))
    for name, size in before.items():
        if after.get(name) != size:
            raise InputError(
                f"layer `{name}` computes its own padding, so its output would change from {size} to {after.get(name)};"
                " this remedy cannot be applied."
            )


def _sizes(model: Differentiable, module: nn.Module, names: list[str]) -> dict[str, tuple[int, ...]]:
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Hook:
        return lambda layer, args, output: sizes.__setitem__(name, tuple(output.shape[2:]))

    try:
        with unchanged(), torch.inference_mode(), hooked(module, names, note):
            module(model.normalise(torch.full((1, *model.input_shape), 0.5)))
    except RuntimeError as error:
        raise InputError(f"{model.name}: the changed network does not run ({first_line(error)}).") from error
    return sizes


def _check_functions(old: nn.Module, new: nn.Module, changed: list[ChangedLayer]) -> None:
    """Refuse a layer that computes its weights (weight standardisation): zeros added to them change its function."""
    for change in changed:
        before, after = old.get_submodule(change.name), new.get_submodule(change.name)
        if not isinstance(before, nn.Conv2d):
            continue
        side = 2 * max(pair(before.kernel_size)) * max(pair(before.dilation))
        shape = (1, before.in_channels, side, side)
        x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(before.weight)
        with torch.inference_mode(), full_float32():
            wanted, found = before(x), after(x)
        if not torch.allclose(found, wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max())):
            raise InputError(
                f"layer `{change.name}` computes its own weights, so `kept` changes what it does; use `fresh` instead."
            )


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


EXACT = ("padding", "space-to-depth")  # with kept weights they leave the function of every convolution unchanged
KINDS: dict[str, Callable[[str, SlidingLayer], str | None]] = {
    "padding": pad_kernel,
    "slicing": slice_kernel,
    "pool": pad_pool,
    "blurpool": blur,
    "mean-shortcut": mean_shortcut,
    "space-to-depth": space_to_depth,
}
