"""A remedy as code to paste: the layers of the changed network, without perturb."""

import re
from collections.abc import Iterator

import torch
from torch import nn

from perturb.errors import UsageError
from perturb.hooks import Hook, hooked
from perturb.operations import Pair, pair
from perturb.protocols import Differentiable
from perturb.records import Remedy
from perturb.remedies.layers import SlidingLayer, describe
from perturb.remedies.resizing import Margin

HEAD = '''"""{model} with remedy {kind}, as `perturb remedy` wrote it.

Build the network as before, call `remedy(model)`, then load the weights that were saved with it, if any:
model.load_state_dict(safetensors.torch.load_file("FILE.safetensors"))
"""

from torch import nn
from torch.nn import functional as F


def remedy(model: nn.Module) -> None:
    """Resize kernels in place. Old weights keep their places, new ones are 0."""
'''
USUAL = {"dilation": (1, 1), "groups": 1, "bias": True, "ceil_mode": False}  # arguments that are said where they differ


def as_code(network: Differentiable, changed: nn.Module, done: Remedy) -> str:
    """Python code whose function `remedy(model)` makes of the network's module `changed`, but for what it learnt.

    A plain layer is made anew by its constructor where the network's own input leaves the size of its map, and keeps
    symmetric padding; any other is changed as it is. Raises UsageError for a remedy that adds filters.
    """
    inputs = _inputs(network, [layer.name for layer in done.changed])
    lines = [HEAD.format(model=network.name, kind=done.kind)]
    for name, size in inputs.items():
        old, new = network.module.get_submodule(name), changed.get_submodule(name)
        assert isinstance(old, SlidingLayer)
        assert isinstance(new, SlidingLayer)
        lines += [f"    {line}\n" for line in _lines(_path(name), old, new, size)]
    return "".join(lines)


def _inputs(network: Differentiable, names: list[str]) -> dict[str, Pair]:
    """Rows and columns of what each layer is given, in the order of the names."""
    sizes: dict[str, Pair] = {}

    def note(name: str) -> Hook:
        return lambda layer, args, output: sizes.__setitem__(name, tuple(args[0].shape[2:]))

    with torch.inference_mode(), hooked(network.module, names, note):
        network.module(network.normalise(torch.full((1, *network.input_shape), 0.5)))
    return {name: sizes[name] for name in names}


def _path(name: str) -> str:
    """layer2.0.conv1 -> model.layer2[0].conv1"""
    return "model" + re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", f".{name}")


def _lines(path: str, old: SlidingLayer, new: SlidingLayer, size: Pair) -> Iterator[str]:
    margin = _margin(new)
    padding, dilation = _padding(old), pair(old.dilation)
    ends = zip(margin, (1, 1, 0, 0), strict=True)  # F.pad begins with the last axis
    taps = tuple((end - padding[axis]) // dilation[axis] for end, axis in ends)
    kept = f"nn.Parameter(F.pad(layer.weight.detach(), {taps}))"
    yield f"layer = {path}  # {describe(pair(old.kernel_size), pair(old.stride))}"
    if _is_plain(old, new, size, taps):
        yield f"{path} = {_constructor(old, pair(new.kernel_size))}"
        if isinstance(new, nn.Conv2d):
            yield f"{path}.weight = {kept}"
            if new.bias is not None:
                yield f"{path}.bias = layer.bias"
        return
    yield f"layer.kernel_size, layer.padding = {pair(new.kernel_size)}, (0, 0)"
    if isinstance(new, nn.Conv2d):
        yield f"layer.weight = {kept}"
    fill = ", value=-float('inf')" if isinstance(new, nn.MaxPool2d) else ""
    yield f"layer.register_forward_pre_hook(lambda layer, args: F.pad(args[0], {margin}{fill}))"


def _margin(layer: SlidingLayer) -> tuple[int, ...]:
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, Margin):
            return tuple(hook.margin)
    raise UsageError("--code is for remedies that resize kernels: padding, pool, slicing and space-to-depth.")


def _is_plain(old: SlidingLayer, new: SlidingLayer, size: Pair, taps: tuple[int, ...]) -> bool:
    """Whether the layer's constructor gives the same: new taps at the end alone, which need no more padding."""
    known = type(old) in (nn.Conv2d, nn.MaxPool2d) and not getattr(old, "ceil_mode", False)
    return known and taps[0] == taps[2] == 0 and _outputs(old, old, size) == _outputs(old, new, size)


def _outputs(old: SlidingLayer, new: SlidingLayer, size: Pair) -> list[int]:
    """Rows and columns of the map with the old padding and the new kernel."""
    windows = (pair(v) for v in (old.dilation, new.kernel_size, old.stride))
    given = zip(size, _padding(old), *windows, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in given]


def _padding(layer: SlidingLayer) -> Pair:
    assert not isinstance(layer.padding, str)  # a remedy refuses it
    return pair(layer.padding)


def _constructor(old: SlidingLayer, kernel: Pair) -> str:
    words = [str(old.in_channels), str(old.out_channels)] if isinstance(old, nn.Conv2d) else []
    words += [str(kernel), f"stride={pair(old.stride)}", f"padding={_padding(old)}"]
    given = {name: getattr(old, name) for name in USUAL if hasattr(old, name)}
    given |= {"dilation": pair(old.dilation)} | ({"bias": given["bias"] is not None} if "bias" in given else {})
    words += [f"{name}={value}" for name, value in given.items() if value != USUAL[name]]
    return f"nn.{type(old).__name__}({', '.join(words)})"
