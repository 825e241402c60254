"""A traced graph in fewer kinds of operation, before it is read: the same numbers, to rounding."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, fx

from perturb.incremental.operations import batch_norm_factor

PARTS = ("chunk", "split", "split_with_sizes")


def simplify(module: fx.GraphModule) -> None:
    """Fold batch normalisation, take parts as slices, shuffle channels at once, pool whole maps by their maximum."""
    _fold(module)
    _largest(module)
    _slice(module)
    _shuffle(module)


def named(node: Any) -> str:
    """The operation's name, without the mark of those that work in place."""
    packet = getattr(getattr(node, "target", None), "overloadpacket", None)
    return str(getattr(packet, "__name__", "")).removesuffix("_")


def _fold(module: fx.GraphModule) -> None:
    """Batch normalisation behind a convolution becomes part of its weight and bias."""
    for norm in list(module.graph.nodes):
        if named(norm) != "batch_norm":
            continue
        conv, weight, bias, mean, variance, training, _, epsilon, *_ = norm.args
        if training or mean is None or named(conv) != "conv2d" or len(conv.users) > 1:
            continue
        kernel, before = conv.args[1], conv.args[2] if len(conv.args) > 2 else None
        if any(given is not None and given.op != "get_attr" for given in (kernel, before, weight, bias)):
            continue
        factor = batch_norm_factor(_held(module, weight), _held(module, variance), epsilon)
        kernel = _held(module, kernel) * factor.view(-1, 1, 1, 1)
        shift = ((0 if before is None else _held(module, before)) - _held(module, mean)) * factor
        shift = shift if bias is None else shift + _held(module, bias)
        with module.graph.inserting_before(conv):
            folded = [_hold(module, f"{conv.name}_weight", kernel), _hold(module, f"{conv.name}_bias", shift)]
        conv.args = (conv.args[0], *folded, *conv.args[3:])
        norm.replace_all_uses_with(conv)
        module.graph.erase_node(norm)


def _held(module: fx.GraphModule, node: Any) -> Any:
    return None if node is None else getattr(module, node.target)


def _hold(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_buffer(f"_folded_{name}", value)
    return module.graph.get_attr(f"_folded_{name}")


def _largest(module: fx.GraphModule) -> None:
    """Adaptive max-pooling to one position, of which the indices are not asked for."""
    for node in list(module.graph.nodes):
        if named(node) != "adaptive_max_pool2d" or tuple(node.meta["val"][0].shape[2:]) != (1, 1):
            continue
        for part in list(node.users):
            if part.args[1] == 0:
                with module.graph.inserting_before(part):
                    largest = module.graph.call_function(torch.ops.aten.amax.default, (node.args[0], [2, 3], True))
                _replace(module, part, largest)
    module.graph.eliminate_dead_code()


def _slice(module: fx.GraphModule) -> None:
    """What takes a part of a map by its number takes a slice of the map."""
    for node in list(module.graph.nodes):
        if named(node) not in PARTS:
            continue
        dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        stops = [0, *accumulate(part.shape[dim] for part in node.meta["val"])]
        for part in list(node.users):
            with module.graph.inserting_before(part):
                at = stops[part.args[1]], stops[part.args[1] + 1]
                taken = module.graph.call_function(torch.ops.aten.slice.Tensor, (node.args[0], dim, *at))
            _replace(module, part, taken)
        module.graph.erase_node(node)


def _shuffle(module: fx.GraphModule) -> None:
    """Channels viewed in groups, transposed and viewed flat again (ShuffleNet) are picked in another order."""
    for flat in list(module.graph.nodes):
        _, swapped, grouped = chain = list(_chain(flat))
        if [named(n) for n in chain] != ["view", "transpose", "view"] or set(swapped.args[1:]) != {1, 2}:
            continue
        (source,) = grouped.all_input_nodes
        shape, groups = flat.meta["val"].shape, grouped.meta["val"].shape
        if source.meta["val"].shape != shape or groups[3:] != shape[2:]:
            continue
        order = torch.arange(shape[1]).view(groups[1:3]).t().flatten()
        with module.graph.inserting_before(flat):
            index = _hold(module, f"{flat.name}_order", order)
            picked = module.graph.call_function(torch.ops.aten.index_select.default, (source, 1, index))
        _replace(module, flat, picked)


def _chain(node: fx.Node) -> Iterator[fx.Node]:
    """A view, what it views, and what that views, whatever was copied between."""
    for _ in range(3):
        yield node
        node = next(iter(node.all_input_nodes), node)
        while named(node) in ("contiguous", "clone"):
            node = node.all_input_nodes[0]


def _replace(module: fx.GraphModule, old: fx.Node, new: fx.Node) -> None:
    new.meta["val"] = old.meta["val"]
    old.replace_all_uses_with(new)
    module.graph.erase_node(old)
