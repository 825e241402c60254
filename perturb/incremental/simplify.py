"""A traced graph in fewer kinds of operation, before it is read: the same numbers, to rounding."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, fx

PARTS = ("chunk", "split", "split_with_sizes")


def simplify(module: fx.GraphModule) -> None:
    """Take parts as slices, shuffle channels at once, pool whole maps by their maximum, leave pictures in front."""
    _largest(module)
    _slice(module)
    _select(module)
    _size(module)
    _shuffle(module)


def named(node: Any) -> str:
    """The operation's name, without the mark of those that work in place."""
    packet = getattr(getattr(node, "target", None), "overloadpacket", None)
    return str(getattr(packet, "__name__", "")).removesuffix("_")


def _hold(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_buffer(f"_held_{name}", value)
    return module.graph.get_attr(f"_held_{name}")


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


def _select(module: fx.GraphModule) -> None:
    """Queries, keys and values brought in front and taken apart there are taken where they lie: pictures stay first."""
    for parts in list(module.graph.nodes):
        if named(parts) == "unbind":
            dim = parts.args[1] if len(parts.args) > 1 else 0
            for part in list(parts.users):
                with module.graph.inserting_before(part):
                    taken = module.graph.call_function(torch.ops.aten.select.int, (parts.args[0], dim, part.args[1]))
                _replace(module, part, taken)
            module.graph.erase_node(parts)
    for part in list(module.graph.nodes):
        if named(part) != "select" or part.args[1] != 0 or named(part.args[0]) != "permute":
            continue
        source, order = part.args[0].args
        front, *dims = (d % len(order) for d in order)
        with module.graph.inserting_before(part):
            taken = module.graph.call_function(torch.ops.aten.select.int, (source, front, part.args[2]))
            taken.meta["val"] = source.meta["val"].select(front, part.args[2])
            moved = module.graph.call_function(torch.ops.aten.permute.default, (taken, [d - (d > front) for d in dims]))
        _replace(module, part, moved)
    module.graph.eliminate_dead_code()


def _size(module: fx.GraphModule) -> None:
    """What takes another's shape takes it in numbers."""
    for node in list(module.graph.nodes):
        name = named(node)
        if name in ("expand_as", "reshape_as", "view_as"):
            call = getattr(torch.ops.aten, name.removesuffix("_as")).default
            with module.graph.inserting_before(node):
                sized = module.graph.call_function(call, (node.args[0], list(node.meta["val"].shape)))
            _replace(module, node, sized)
    module.graph.eliminate_dead_code()


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
