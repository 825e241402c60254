"""How a difference passes through an operation: one rule for each kind. Sliding windows are in `sliding`.

The difference of a feature map is stored channels first, whatever the layout of the map itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb.incremental import pointwise
from perturb.incremental.activations import Activation, CleanMaps, Difference, Layout, channels_first, own_layout
from perturb.incremental.products import Weights
from perturb.incremental.windows import Frame, Spans, embed, hull

MEMORY = 30  # multiply-adds that take as long as one pass of a number through memory, on a CPU

TINY = 1e-30  # smaller differences become 0: denormal numbers are 100 times as slow on a CPU
IN_CACHE = 1 << 18  # numbers
VIEWED = 1 << 14  # windows with as many numbers read the clean map in place, without a copy


class Rule(Protocol):
    """How one operation changes differences."""

    layout: Layout  # of the output
    cost: float  # multiply-adds for each position of the output
    dense: float  # share of `cost` that the operation takes in a dense pass, which reads no clean maps
    may_end: bool  # whether differences often become zero here

    def spans(self, *inputs: Spans) -> Spans | None:
        """Where the output can differ; None: everywhere."""

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        """The maps that `change` needs, computed from the clean inputs."""

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        """The output's differences in `frame`; an input that does not differ is None, and at least one differs."""


Build = Callable[..., Rule]  # makes a rule from an activation and the arguments of its operation


class Pass:
    """The identity, and the base of other rules. Needs no clean maps; the output differs where the input does."""

    cost = 0.0
    dense = 1.0
    may_end = False

    def __init__(self, node: Activation) -> None:
        self.layout = node.layout

    def spans(self, *inputs: Spans) -> Spans | None:
        return inputs[0]

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return ()

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return only(differences).values


def only(differences: Sequence[Difference | None]) -> Difference:
    (difference,) = differences
    assert difference is not None
    return difference


def whole(difference: Difference, node: Activation) -> Tensor:
    """The differences over the whole map."""
    return difference.values if difference.frame is None else embed(difference.values, difference.start, node.limit)


class Everywhere(Pass):
    """A rule whose output differs everywhere."""

    def spans(self, *inputs: Spans) -> Spans | None:
        return None


class Pointwise(Pass):
    """A function of one number, applied to each."""

    def __init__(self, node: Activation, function: pointwise.Function) -> None:
        super().__init__(node)
        self.function = function
        self.cost = function.passes * MEMORY * node.depth
        self.dense = function.dense

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return self.function.read(clean[0])

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        """The differences, computed for a few trials at a time, so that intermediate results stay in the cache."""
        values = only(differences).values
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
        """Take over the factor of the preceding rule, whose output nothing else reads."""
        if self.function.scales and isinstance(before.factor, Tensor):
            self.function = replace(self.function, change=partial(self.function.change, factor=before.factor))
            before.factor, before.cost = None, 0.0


class Scale(Pass):
    """A product with a constant."""

    def __init__(self, node: Activation, factor: Tensor | float) -> None:
        super().__init__(node)
        self.factor: Tensor | float | None = factor
        self.cost = MEMORY * node.depth

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        values = only(differences).values
        if self.factor is None:
            return values
        moved = values * self.factor
        return F.hardshrink(moved, TINY) if moved.device.type == "cpu" else moved


class ChannelSelection(Pass):
    """Some of the channels, in any order."""

    def __init__(self, node: Activation, pick: Callable[[Tensor], Tensor]) -> None:
        super().__init__(node)
        self.pick = pick
        self.cost = MEMORY * node.depth

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return self.pick(only(differences).values)


class Joined(Pass):
    """Several inputs. If their maps differ in size (as a 1 x 1 gate does), the output differs everywhere."""

    def __init__(self, node: Activation, inputs: Sequence[Activation]) -> None:
        super().__init__(node)
        self.limit = node.limit if node.layout else None
        self.alike = bool(node.layout) and all(i.layout == node.layout and i.limit == node.limit for i in inputs)
        self.cost = 2 * MEMORY * node.depth

    def spans(self, *inputs: Spans) -> Spans | None:
        return hull(inputs) if self.alike else None

    def fitted(self, difference: Difference, frame: Frame | None) -> Tensor:
        """The input's differences in the windows of the output."""
        if difference.frame is frame or difference.frame is None:
            return difference.values
        assert self.limit is not None
        start = 0 if frame is None else frame.start
        return embed(difference.values, difference.start - start, self.limit if frame is None else frame.size)


class Sum(Joined):
    """A sum of inputs with these signs or factors."""

    dense = 0.25

    def __init__(self, node: Activation, inputs: Sequence[Activation], signs: Sequence[float]) -> None:
        super().__init__(node, inputs)
        self.shape = node.shape[1:] if not node.layout else (node.depth, *node.limit)
        self.signs = signs

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        terms = [
            self.fitted(difference, frame) if sign == 1 else self.fitted(difference, frame) * sign
            for difference, sign in zip(differences, self.signs, strict=True)
            if difference is not None
        ]
        if len(terms) == 2:
            return terms[0] + terms[1]
        shape = self.shape if frame is None else (self.shape[0], *frame.size)
        if terms[0].shape[1:] == shape:
            return terms[0]
        return terms[0] + terms[0].new_zeros(shape)  # only the smaller input differs


class Concatenation(Joined):
    """A concatenation of activations and of constants, which do not differ."""

    def __init__(self, node: Activation, parts: Sequence[Activation | Tensor], dim: int) -> None:
        super().__init__(node, [part for part in parts if isinstance(part, Activation)])
        self.dim = 1 if node.layout else dim
        self.widths = [part.shape[dim] for part in parts]
        self.live = [isinstance(part, Activation) for part in parts]

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        given = iter(differences)
        which = [next(given) if live else None for live in self.live]
        parts = [None if difference is None else self.fitted(difference, frame) for difference in which]
        like = next(part for part in parts if part is not None)
        return torch.cat([self._still(like, i) if part is None else part for i, part in enumerate(parts)], self.dim)

    def _still(self, like: Tensor, i: int) -> Tensor:
        shape = list(like.shape)
        shape[self.dim] = self.widths[i]
        return like.new_zeros(shape)


class Product(Joined):
    """A product of two inputs."""

    def __init__(
        self,
        node: Activation,
        inputs: Sequence[Activation],
        times: Callable[[Tensor, Tensor], Tensor] = torch.mul,
        depth: int = 0,
    ) -> None:
        """`depth`: multiply-adds for each number of the output, if it sums products."""
        super().__init__(node, inputs)
        self.times = times
        self.cost = 2 * (depth + MEMORY) * node.depth
        self.dense = 0.5 if depth else 0.25

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return clean

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return product(clean.at(frame), [None if m is None else self.fitted(m, frame) for m in differences], self.times)


def product(
    clean: Sequence[Tensor], differences: Sequence[Tensor | None], times: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """(a + Da)(b + Db) - a b = Da (b + Db) + a Db for any product that distributes over sums; None stands for 0."""
    (a, b), (da, db) = clean, differences
    if da is None or db is None:
        return times(a, db) if da is None else times(da, b)  # type: ignore[arg-type]
    return times(da, b + db).add_(times(a, db))


class ChannelLinear(Pass):
    """A linear layer over the channels at each position."""

    def __init__(self, node: Activation, weight: Tensor) -> None:
        super().__init__(node)
        self.weights = Weights(weight[:, :, None, None].contiguous(memory_format=torch.channels_last))
        self.cost = weight.numel() + MEMORY * len(weight)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return self.weights.over(only(differences).values)


class GlobalMean(Everywhere):
    """The mean over all rows and columns."""

    def __init__(self, node: Activation, count: int, keep: bool) -> None:
        super().__init__(node)
        self.count, self.keep = count, keep

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return only(differences).values.sum((2, 3), keepdim=self.keep) / self.count


class GlobalMax(Everywhere):
    """The maximum over whole dimensions: max_j ((p_j - M) + D_j)."""

    def __init__(self, node: Activation, source: Activation, dims: Sequence[int], keep: bool) -> None:
        super().__init__(node)
        self.source, self.dims, self.keep = source, tuple(dims), keep
        self.cost = MEMORY * source.numbers / node.area

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        return (clean[0] - clean[0].amax(self.dims, keepdim=True),)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        (below,) = clean.at(None)
        return (below + whole(only(differences), self.source)).amax(self.dims, self.keep)


class Linear(Everywhere):
    """An operation that is linear in its one input, applied to the difference over the whole map."""

    def __init__(self, node: Activation, source: Activation, call: Callable[[Tensor], Tensor], depth: int = 0) -> None:
        """`depth`: multiply-adds for each number of the output."""
        super().__init__(node)
        self.source, self.call = source, call
        self.cost = (depth + MEMORY) * node.depth

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        values = own_layout(whole(only(differences), self.source), self.source.layout)
        return channels_first(self.call(values), self.layout)
