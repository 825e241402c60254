"""The sweep: clean pictures once, and for every perturbation of them only what it changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx

from perturb.incremental.difference import Clean, Move, channels_first
from perturb.incremental.rules import ChannelLinear
from perturb.incremental.sliding import Convolution
from perturb.incremental.trace import Step, trace
from perturb.incremental.windows import Frame, Spans, alike, embed, frame, on
from perturb.precision import full_float32
from perturb.protocols import Differentiable

Found = TypeVar("Found")
TRIALS_AT_ONCE = {"cpu": 192, "cuda": 1024}
AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 28}  # numbers in one step's windows: on a CPU more of them leave the cache
OVERHEAD = {"cpu": 8e6, "cuda": 4e9}  # of one step, in the multiply-adds that would take as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Differences to clean pictures, as the network sees them: normalised, zero outside one rectangle each."""

    picture: Int[np.ndarray, " trial"]
    start: Int[np.ndarray, "trial 2"]
    values: Float[Tensor, "trial channel height width"]

    def __len__(self) -> int:
        return len(self.picture)


class Incremental:
    """One layer of a Model as a sweep sees it. Raises NoRuleError, or whatever tracing raises.

    `bfloat16`: differences are multiplied by weights in it, to 1 or 2 %; how exactly, check.py measures.
    """

    def __init__(self, model: Differentiable, layer: str, *, bfloat16: bool = False) -> None:
        self.model = model
        self.layer = layer
        self.bfloat16 = bfloat16
        self.error = 0.0
        self.traced = trace(model, layer)
        for step in self.traced.steps if bfloat16 else ():
            if isinstance(step.rule, Convolution | ChannelLinear):
                step.rule.weights.halve()
        self.device = model.device
        self.uses = self.traced.last_uses()

    def look(self, pictures: Float[Tensor, "picture channel row column"]) -> "Sweep":
        """Show the network clean pictures (raw), and keep what differences need."""
        return Sweep(self, self.model.normalise(pictures).contiguous(memory_format=torch.channels_last))

    @full_float32()
    def evaluate(self, x: Float[Tensor, "picture channel row column"]) -> Tensor:
        """What the traced layer gives for normalised pictures, in their own precision."""
        values = {self.traced.picture: x}
        for step in self.traced.steps:
            values[step.node] = step.run(values)
            for node in self.uses[step.node]:
                del values[node]
        return values[self.traced.output.node]

    def spans(self, patches: Patches) -> dict[fx.Node, Spans | None]:
        """For each step, where the output can differ; None: everywhere."""
        size = patches.values.shape[2:]
        found: dict[fx.Node, Spans | None] = {self.traced.picture: Spans(patches.start, patches.start + np.array(size))}
        for step in self.traced.steps:
            inputs = [found[source] for source in step.sources]
            known = [i for i in inputs if i is not None]
            found[step.node] = step.rule.spans(*known) if len(known) == len(inputs) else None
        return found

    def saving(self, patches: Patches) -> float:
        """Work of dense passes over that of the patches, in multiply-adds, memory and each step's overhead counted."""
        spans, trials = self.spans(patches), len(patches)
        steps = len(self.traced.steps) * len(self.groups(spans, trials))
        ours, dense = steps * OVERHEAD[self.device.type], 0.0
        for step in self.traced.steps:
            area, span = step.live.area, spans[step.node]
            ours += step.rule.cost * (trials * area if span is None else int(span.areas.sum()))
            dense += step.rule.cost * step.rule.dense * trials * area
        return dense / ours

    def groups(self, spans: dict[fx.Node, Spans | None], trials: int) -> list[Int[np.ndarray, " chosen"]]:
        """Which trials to compute at once: windows of like size, for all get the largest, and not too many numbers."""
        rows, columns, numbers = np.zeros((3, trials))
        dense = 0.0
        for step in self.traced.steps:
            span = spans[step.node]
            if span is None:
                numbers = np.maximum(numbers, step.live.numbers)
                continue
            high, wide = (span.stop - span.start).T
            dense += step.rule.cost * step.live.area
            rows += step.rule.cost * step.live.limit[1] * high
            columns += step.rule.cost * step.live.limit[0] * wide
            numbers = np.maximum(numbers, step.live.depth * high * wide)
        kind = self.device.type
        share = np.maximum(numbers / AT_ONCE[kind], 1 / TRIALS_AT_ONCE[kind])
        return alike(rows, columns, share, dense * OVERHEAD[kind] * len(self.traced.steps))


def halving(parts: Sequence[np.ndarray], work: Callable[[np.ndarray], Found]) -> Iterator[tuple[np.ndarray, Found]]:
    """What `work` gives for each part, the last one first; a part for which memory runs out is halved."""
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        try:
            found = work(part)
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            waiting += np.array_split(part, 2)
            continue
        yield part, found


class Sweep:
    """Clean pictures, and the changes that perturbations make to what the layer gives for them."""

    @full_float32()
    def __init__(self, engine: Incremental, x: Float[Tensor, "picture channel row column"]) -> None:
        self.engine = engine
        self.x = x
        self.kept: dict[fx.Node, tuple[Tensor, ...]] = {}
        traced = engine.traced
        values = {traced.picture: x}
        with torch.inference_mode():
            for step in traced.steps:
                inputs = [
                    channels_first(values[s], layout) for s, layout in zip(step.sources, step.layouts, strict=True)
                ]
                self.kept[step.node] = step.rule.read(*inputs)
                values[step.node] = step.run(values)
                for node in engine.uses[step.node]:
                    del values[node]
        self.output = values[traced.output.node]

    def after(self, picture: Int[np.ndarray, " trial"], moved: Int[np.ndarray, " moved"], patches: Patches) -> Tensor:
        """What the layer gives for each trial's picture with the patches put on those that moved."""
        result = self.output.index_select(0, on(self.output.device, picture))
        self.add(result, moved, patches)
        return result

    def add(self, result: Tensor, moved: Int[np.ndarray, " moved"], patches: Patches) -> None:
        """Add the changes to the trials' rows of `result`."""
        maps = channels_first(result, self.engine.traced.output.live.layout)
        for trials, move in self.changes(patches):
            if move is None:
                continue
            trial = on(maps.device, moved[trials])
            if move.frame is None:
                maps[trial] += move.values
            else:
                row, column = move.frame.lines
                maps[trial[:, None, None], :, row[:, :, None], column[:, None, :]] += move.values.permute(0, 2, 3, 1)

    def changes(self, patches: Patches) -> Iterator[tuple[Int[np.ndarray, " trial"], Move | None]]:
        """Trials of like windows side by side: their numbers, and how the layer's output moves; None: not at all."""
        spans = self.engine.spans(patches)
        groups = self.engine.groups(spans, len(patches))
        return halving(groups, lambda trials: self._through(patches, spans, trials))

    @torch.inference_mode()
    @full_float32()
    def _through(self, patches: Patches, spans: dict[fx.Node, Spans | None], trials: np.ndarray) -> Move | None:
        engine = self.engine
        picture, limit = patches.picture[trials], (self.x.shape[2], self.x.shape[3])
        first = spans[engine.traced.picture]
        assert first is not None
        frames: dict[int, Frame | None] = {id(first): frame(first[trials], limit, engine.device)}
        values = patches.values.index_select(0, on(engine.device, trials))
        if frames[id(first)] is None:
            values = embed(values, patches.start[trials], limit)
        moves: dict[fx.Node, Move | None] = {engine.traced.picture: Move(values, frames[id(first)])}
        for step in engine.traced.steps:
            span = spans[step.node]
            if span is not None and id(span) not in frames:
                frames[id(span)] = frame(span[trials], step.live.limit, engine.device)
            moves[step.node] = self._move(
                step, [moves[s] for s in step.sources], picture, None if span is None else frames[id(span)]
            )
            for node in engine.uses[step.node]:
                del moves[node]
        return moves[engine.traced.output.node]

    def _move(self, step: Step, inputs: Sequence[Move | None], picture: np.ndarray, where: Frame | None) -> Move | None:
        """None where nothing moves: a difference that has died out costs nothing from there on."""
        moving = [move for move in inputs if move is not None]
        if not moving or (where is not None and 0 in where.size):
            return None
        if any(move.frame is None for move in moving):
            where = None
        values = step.rule.change(inputs, Clean(self.kept[step.node], len(self.x), picture), where)
        if step.rule.may_end and values.device.type == "cpu" and not values.any():
            return None
        return Move(values, where)
