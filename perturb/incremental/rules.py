"""How a difference passes through an operation, one rule a kind; those that slide a window are next door.

At a node with rows and columns a difference lies channels first, whatever the node's own layout.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb.incremental import pointwise
from perturb.incremental.difference import Clean, Layout, Live, Move, channels_first, own_layout
from perturb.incremental.products import Weights
from perturb.incremental.windows import Frame, Spans, embed, hull

MEMORY = 30  # multiply-adds that take as long as moving one number through memory, on a CPU

TINY = 1e-30  # what layers scaled by 1e-6 leave at the rim; denormal numbers would be 100 times as slow on a CPU
IN_CACHE = 1 << 18  # numbers
VIEWED = 1 << 14  # numbers of a window from which its clean map is read where it lies


class Rule(Protocol):
    """One operation on differences. `layout` and `cost` (for each output position) are of its output.

    `dense` is the share of the cost that the operation itself takes in a dense pass: it reads no clean run.
    """

    layout: Layout
    cost: float
    dense: float
    may_end: bool  # a difference often dies out here

    def spans(self, *inputs: Spans) -> Spans | None:
        """Where the output may differ; None: everywhere."""

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        """Of the clean inputs, what `change` needs."""

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        """The output's differences in `frame`; at least one input moves."""


Build = Callable[..., Rule]  # from a node and the arguments of its operation


class Pass:
    """A rule that reads nothing of the clean run and keeps the span."""

    cost = 0.0
    dense = 1.0
    may_end = False

    def __init__(self, node: Live) -> None:
        self.layout = node.layout

    def spans(self, *inputs: Spans) -> Spans | None:
        return inputs[0]

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return ()

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        return only(moves).values


def only(moves: Sequence[Move | None]) -> Move:
    (move,) = moves
    assert move is not None
    return move


def whole(move: Move, node: Live) -> Tensor:
    """The differences of the node's whole map."""
    return move.values if move.frame is None else embed(move.values, move.start, node.limit)


class Everywhere(Pass):
    """A rule whose output differs everywhere."""

    def spans(self, *inputs: Spans) -> Spans | None:
        return None


class Pointwise(Pass):
    def __init__(self, node: Live, function: pointwise.Function) -> None:
        super().__init__(node)
        self.function = function
        self.cost = function.passes * MEMORY * node.depth
        self.dense = function.dense

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return self.function.read(clean[0])

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        """A few trials after another: what a function needs in between stays in the cache."""
        values = only(moves).values
        numbers = values[0].numel()
        few = 1 if numbers >= VIEWED else IN_CACHE // numbers
        if (few > 1 and few >= len(values)) or len(values) > len(clean.picture) or values.device.type != "cpu":
            return self.function.change(values, *clean.at(frame))
        found = torch.empty_like(values)
        for trials in (slice(first, first + few) for first in range(0, len(values), few)):
            there = frame and frame[trials]
            self.function.change(values[trials], *clean.among(trials).at(there), out=found[trials])
        return found

    def absorb(self, before: "Scale") -> None:
        """Multiply by the factor of the scaling before, which nothing else reads, in passing."""
        if self.function.scales and isinstance(before.factor, Tensor):
            self.function = replace(self.function, change=partial(self.function.change, factor=before.factor))
            before.factor, before.cost = None, 0.0


class Scale(Pass):
    def __init__(self, node: Live, factor: Tensor | float) -> None:
        super().__init__(node)
        self.factor: Tensor | float | None = factor
        self.cost = MEMORY * node.depth

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        values = only(moves).values
        if self.factor is None:
            return values
        moved = values * self.factor
        return F.hardshrink(moved, TINY) if moved.device.type == "cpu" else moved


class Picked(Pass):
    """Some of the channels, in some order."""

    def __init__(self, node: Live, pick: Callable[[Tensor], Tensor]) -> None:
        super().__init__(node)
        self.pick = pick
        self.cost = MEMORY * node.depth

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        return self.pick(only(moves).values)


class Joined(Pass):
    """Several inputs on maps of one size; with another size (a gate of 1 x 1) the output differs everywhere."""

    def __init__(self, node: Live, inputs: Sequence[Live]) -> None:
        super().__init__(node)
        self.limit = node.limit if node.layout else None
        self.alike = bool(node.layout) and all(i.layout == node.layout and i.limit == node.limit for i in inputs)
        self.cost = 2 * MEMORY * node.depth

    def spans(self, *inputs: Spans) -> Spans | None:
        return hull(inputs) if self.alike else None

    def fitted(self, move: Move, frame: Frame | None) -> Tensor:
        """The differences in the output's own windows."""
        if move.frame is frame or move.frame is None:
            return move.values
        assert self.limit is not None
        start = 0 if frame is None else frame.start
        return embed(move.values, move.start - start, self.limit if frame is None else frame.size)


class Sum(Joined):
    dense = 0.25

    def __init__(self, node: Live, inputs: Sequence[Live], signs: Sequence[float]) -> None:
        super().__init__(node, inputs)
        self.shape = node.shape[1:] if not node.layout else (node.depth, *node.limit)
        self.signs = signs

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        terms = [
            self.fitted(move, frame) if sign == 1 else self.fitted(move, frame) * sign
            for move, sign in zip(moves, self.signs, strict=True)
            if move is not None
        ]
        if len(terms) == 2:
            return terms[0] + terms[1]
        shape = self.shape if frame is None else (self.shape[0], *frame.size)
        if terms[0].shape[1:] == shape:
            return terms[0]
        return terms[0] + terms[0].new_zeros(shape)  # the smaller input is alone in moving


class Concatenation(Joined):
    """Of activations, and of constants, which do not move."""

    def __init__(self, node: Live, parts: Sequence[Live | Tensor], dim: int) -> None:
        super().__init__(node, [part for part in parts if isinstance(part, Live)])
        self.dim = 1 if node.layout else dim
        self.widths = [part.shape[dim] for part in parts]
        self.live = [isinstance(part, Live) for part in parts]

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        given = iter(moves)
        which = [next(given) if live else None for live in self.live]
        parts = [None if move is None else self.fitted(move, frame) for move in which]
        like = next(part for part in parts if part is not None)
        return torch.cat([self._still(like, i) if part is None else part for i, part in enumerate(parts)], self.dim)

    def _still(self, like: Tensor, i: int) -> Tensor:
        shape = list(like.shape)
        shape[self.dim] = self.widths[i]
        return like.new_zeros(shape)


class Product(Joined):
    def __init__(
        self, node: Live, inputs: Sequence[Live], times: Callable[[Tensor, Tensor], Tensor] = torch.mul, depth: int = 0
    ) -> None:
        """`depth`: multiply-adds for each number that it gives, where it sums products."""
        super().__init__(node, inputs)
        self.times = times
        self.cost = 2 * (depth + MEMORY) * node.depth
        self.dense = 0.5 if depth else 0.25

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return clean

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        return product(clean.at(frame), [None if m is None else self.fitted(m, frame) for m in moves], self.times)


def product(
    clean: Sequence[Tensor], moves: Sequence[Tensor | None], times: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """(a + Da)(b + Db) - a b = Da (b + Db) + a Db, for any product that distributes over sums; None: not moved."""
    (a, b), (da, db) = clean, moves
    if da is None or db is None:
        return times(a, db) if da is None else times(da, b)  # type: ignore[arg-type]
    return times(da, b + db).add_(times(a, db))


class ChannelLinear(Pass):
    """A linear layer on the channels of each position."""

    def __init__(self, node: Live, weight: Tensor) -> None:
        super().__init__(node)
        self.weights = Weights(weight[:, :, None, None].contiguous(memory_format=torch.channels_last))
        self.cost = weight.numel() + MEMORY * len(weight)

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        return self.weights.over(only(moves).values)


class Mean(Everywhere):
    """The mean over all rows and columns."""

    def __init__(self, node: Live, count: int, keep: bool) -> None:
        super().__init__(node)
        self.count, self.keep = count, keep

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        return only(moves).values.sum((2, 3), keepdim=self.keep) / self.count


class Largest(Everywhere):
    """The maximum over whole dimensions: max_j ((p_j - M) + D_j)."""

    def __init__(self, node: Live, source: Live, dims: Sequence[int], keep: bool) -> None:
        super().__init__(node)
        self.source, self.dims, self.keep = source, tuple(dims), keep
        self.cost = MEMORY * source.numbers / node.area

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return (clean[0] - clean[0].amax(self.dims, keepdim=True),)

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        (below,) = clean.at(None)
        return (below + whole(only(moves), self.source)).amax(self.dims, self.keep)


class Linear(Everywhere):
    """An operation that is linear in its one input, applied to the difference of the whole map."""

    def __init__(self, node: Live, source: Live, call: Callable[[Tensor], Tensor], depth: int = 0) -> None:
        """`depth`: multiply-adds for each number that it gives."""
        super().__init__(node)
        self.source, self.call = source, call
        self.cost = (depth + MEMORY) * node.depth

    def change(self, moves: Sequence[Move | None], clean: Clean, frame: Frame | None) -> Tensor:
        values = own_layout(whole(only(moves), self.source), self.source.layout)
        return channels_first(self.call(values), self.layout)
