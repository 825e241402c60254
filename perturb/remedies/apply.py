"""A remedy applied: every window that it is made for, on a copy of the network."""

import copy
import difflib
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from perturb.errors import InputError, UsageError
from perturb.operations import pair
from perturb.precision import full_float32
from perturb.protocols import Model
from perturb.records import Change, Remedy
from perturb.remedies.downsampling import blur, mean_shortcut
from perturb.remedies.resizing import pad_kernel, pad_pool, slice_kernel, space_to_depth
from perturb.remedies.windows import Window, words


def apply_remedy(model: Model, remedy: str, *, seed: int = 0) -> tuple[nn.Module, Remedy]:
    """A changed copy of the network, and what was changed: every window that meets some pixels more often than others.

    `remedy` is one of KINDS, with the fate of the weights behind it: "padding:kept", "padding:fresh". Without: fresh
    for an untrained network, kept for a trained one.
    kept: old weights stay where they were, new ones are 0. Kernel padding and space-to-depth then leave the function
    as it was, to rounding, unless a max-pool was widened; the others do not.
    fresh: convolution and linear weights are drawn anew (normal, the old mean square times old/new fan-in) and
    normalisation statistics forgotten.
    Strides, names and the sizes of all feature maps stay. Raises UsageError for an unknown remedy, InputError naming a
    layer that cannot be changed, or where there is none to change.
    """
    kind, weights = _parse(remedy, model)
    module = copy.deepcopy(model.module)
    changed = []
    for name, window in module.named_modules():
        if isinstance(window, Window):
            before = words(pair(window.kernel_size), pair(window.stride))
            if (after := KINDS[kind](name, window)) is not None:
                changed.append(Change(name=name, kind=type(window).__name__, before=before, after=after))
    if not changed:
        raise InputError(f"{model.name}: no window that {kind} is made for.")
    _check_sizes(model, module.to(model.device), changed)
    if weights == "fresh":
        _draw(model.module, module, seed)
    elif kind in EXACT:
        _check_functions(model.module, module, changed)
    return module, Remedy(kind=kind, weights=weights, changed=tuple(changed))


def _parse(remedy: str, model: Model) -> tuple[str, Literal["kept", "fresh"]]:
    kind, _, weights = remedy.partition(":")
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, list(KINDS), n=1)
        near = f" Did you mean `{close[0]}`?" if close else ""
        raise UsageError(f"remedy `{kind}` is unknown, expected one of {list(KINDS)}.{near}")
    if weights not in ("", "kept", "fresh"):
        raise UsageError(f"remedy `{remedy}`: expected {kind}, {kind}:kept or {kind}:fresh.")
    if not weights:
        return kind, "fresh" if model.untrained else "kept"
    return kind, "kept" if weights == "kept" else "fresh"


def _check_sizes(model: Model, module: nn.Module, changed: list[Change]) -> None:
    """A layer that computes its own padding from the kernel would change its output's size: refuse it by name."""
    before, after = (_sizes(model, m, [c.name for c in changed]) for m in (model.module, module))
    for name, size in before.items():
        if after.get(name) != size:
            raise InputError(
                f"layer `{name}` computes its own padding ({size} became {after.get(name)}): cannot be changed."
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
        raise InputError(f"{model.name} no longer fits together when changed: {str(error).splitlines()[0]}") from error
    finally:
        for handle in handles:
            handle.remove()
    return sizes


def _check_functions(old: nn.Module, new: nn.Module, changed: list[Change]) -> None:
    """A layer that makes its weights from others (weight standardisation) would not stay what it was: refuse it."""
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
            raise InputError(f"layer `{change.name}` makes its own weights: it does not stay the same when changed.")


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


EXACT = ("padding", "space-to-depth")  # with weights kept they leave every convolution's function as it was
KINDS: dict[str, Callable[[str, Window], str | None]] = {
    "padding": pad_kernel,
    "slicing": slice_kernel,
    "pool": pad_pool,
    "blurpool": blur,
    "mean-shortcut": mean_shortcut,
    "space-to-depth": space_to_depth,
}
