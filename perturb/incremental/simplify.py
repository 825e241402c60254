"""Rewrite a traced graph with fewer kinds of operations. Results stay the same, to rounding."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx

PARTS = ("chunk", "split", "split_with_sizes", "unbind")


def simplify(module: fx.GraphModule) -> None:
    """Rewrite the graph in place: each rewriting below, then dead code is removed."""
    _max_pool_as_amax(module)
    _parts_as_slices(module)
    _select_in_place(module)
    _shapes_as_numbers(module)
    _shuffle_as_selection(module)
    _reuse_concatenations(module)
    module.graph.eliminate_dead_code()


def operation_name(node: Any) -> str:
    """The name of the node's operation, without the underscore of in-place operations; empty if it has none."""
    packet = getattr(getattr(node, "target", None), "overloadpacket", None)
    return str(getattr(packet, "__name__", "")).removesuffix("_")


def _add_constant(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_buffer(f"_held_{name}", value)
    return module.graph.get_attr(f"_held_{name}")


def _max_pool_as_amax(module: fx.GraphModule) -> None:
    """Adaptive max-pooling to one position becomes `amax`, if nobody reads the indices."""
    for node in list(module.graph.nodes):
        if operation_name(node) != "adaptive_max_pool2d" or tuple(node.meta["val"][0].shape[2:]) != (1, 1):
            continue
        for part in list(node.users):
            if part.args[1] == 0:
                with module.graph.inserting_before(part):
                    largest = module.graph.call_function(torch.ops.aten.amax.default, (node.args[0], [2, 3], True))
                _replace(module, part, largest)


def _parts_as_slices(module: fx.GraphModule) -> None:
    """Parts of `chunk`, `split` and `unbind` become slices of the map, or single positions of a dimension."""
    aten = torch.ops.aten
    for node in list(module.graph.nodes):
        if operation_name(node) not in PARTS:
            continue
        at = 1 if operation_name(node) == "unbind" else 2
        dim = node.args[at] if len(node.args) > at else node.kwargs.get("dim", 0)
        for part in list(node.users):
            number, parts = part.args[1], node.meta["val"]
            with module.graph.inserting_before(part):
                if operation_name(node) == "unbind":
                    taken = module.graph.call_function(aten.select.int, (node.args[0], dim, number))
                else:
                    start, width = sum(p.shape[dim] for p in parts[:number]), parts[number].shape[dim]
                    taken = module.graph.call_function(aten.slice.Tensor, (node.args[0], dim, start, start + width))
            _replace(module, part, taken)
        module.graph.erase_node(node)


def _select_in_place(module: fx.GraphModule) -> None:
    """A dimension permuted to the front and selected there is selected in place, so that pictures stay first."""
    for part in list(module.graph.nodes):
        if operation_name(part) != "select" or part.args[1] != 0 or operation_name(part.args[0]) != "permute":
            continue
        source, order = part.args[0].args
        front, *dims = (d % len(order) for d in order)
        with module.graph.inserting_before(part):
            taken = module.graph.call_function(torch.ops.aten.select.int, (source, front, part.args[2]))
            taken.meta["val"] = source.meta["val"].select(front, part.args[2])
            moved = module.graph.call_function(torch.ops.aten.permute.default, (taken, [d - (d > front) for d in dims]))
        _replace(module, part, moved)


def _shapes_as_numbers(module: fx.GraphModule) -> None:
    """Operations that take the shape of another tensor get it as numbers."""
    for node in list(module.graph.nodes):
        name = operation_name(node)
        if name in ("expand_as", "reshape_as", "view_as"):
            call = getattr(torch.ops.aten, name.removesuffix("_as")).default
            with module.graph.inserting_before(node):
                sized = module.graph.call_function(call, (node.args[0], list(node.meta["val"].shape)))
            _replace(module, node, sized)


def _shuffle_as_selection(module: fx.GraphModule) -> None:
    """A channel shuffle (view in groups, transpose, view; ShuffleNet) becomes an `index_select` of channels."""
    for flat in list(module.graph.nodes):
        _, swapped, grouped = chain = list(_chain(flat))
        if [operation_name(n) for n in chain] != ["view", "transpose", "view"] or set(swapped.args[1:]) != {1, 2}:
            continue
        (source,) = grouped.all_input_nodes
        shape, groups = flat.meta["val"].shape, grouped.meta["val"].shape
        if source.meta["val"].shape != shape or groups[3:] != shape[2:]:
            continue
        order = torch.arange(shape[1], device=source.meta["val"].device).view(groups[1:3]).t().flatten()
        with module.graph.inserting_before(flat):
            index = _add_constant(module, f"{flat.name}_order", order)
            picked = module.graph.call_function(torch.ops.aten.index_select.default, (source, 1, index))
        _replace(module, flat, picked)


def _reuse_concatenations(module: fx.GraphModule) -> None:
    """A concatenation that begins with the parts of an earlier one reuses it: few large parts are copied faster."""
    known: dict[tuple[Any, ...], fx.Node] = {}
    for node in module.graph.nodes:
        if operation_name(node) != "cat":
            continue
        (parts, *dim), known[tuple(node.args[0]), *node.args[1:]] = node.args, node
        for count in range(len(parts) - 1, 1, -1):
            if (tuple(parts[:count]), *dim) in known:
                node.args = ([known[tuple(parts[:count]), *dim], *parts[count:]], *dim)
                break


def _chain(node: fx.Node) -> Iterator[fx.Node]:
    """A node, its source and the source of that; copies in between are skipped."""
    for _ in range(3):
        yield node
        node = next(iter(node.all_input_nodes), node)
        while operation_name(node) in ("contiguous", "clone"):
            node = node.all_input_nodes[0]


def _replace(module: fx.GraphModule, old: fx.Node, new: fx.Node) -> None:
    new.meta["val"] = old.meta["val"]
    old.replace_all_uses_with(new)
    module.graph.erase_node(old)
