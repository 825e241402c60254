"""The engine: clean pictures are run once; for each perturbation of them only what it changed is computed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx

from perturb.incremental.activations import CleanMaps, Difference, channels_first
from perturb.incremental.rules import ChannelLinear
from perturb.incremental.sliding import Convolution
from perturb.incremental.trace import Step, trace
from perturb.incremental.windows import Frame, Spans, common_frame, embed, group_alike, to_device
from perturb.precision import full_float32
from perturb.protocols import Differentiable

Result = TypeVar("Result")
TRIALS_AT_ONCE = {"cpu": 192, "cuda": 1024}
AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 28}  # numbers in the windows of one step: more do not fit a CPU's cache
OVERHEAD = {"cpu": 8e6, "cuda": 4e9}  # of one step, in multiply-adds that take the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Differences from clean pictures in normalised units; each is zero outside one rectangle."""

    picture: Int[np.ndarray, " trial"]
    start: Int[np.ndarray, "trial 2"]
    values: Float[Tensor, "trial channel height width"]

    def __len__(self) -> int:
        return len(self.picture)


class Incremental:
    """One layer of a Model, traced and ready to propagate differences. Raises NoRuleError, or what tracing raises.

    `bfloat16`: differences are multiplied by weights in bfloat16, which is right to 1 or 2 %; `check` measures it.
    """

    def __init__(self, model: Differentiable, layer: str, *, bfloat16: bool = False) -> None:
        self.model = model
        self.layer = layer
        self.bfloat16 = bfloat16
        self.error = 0.0  # relative, as measured by `check`
        self.traced = trace(model, layer)
        for step in self.traced.steps if bfloat16 else ():
            if isinstance(step.rule, Convolution | ChannelLinear):
                step.rule.weights.halve()
        self.device = model.device
        self.uses = self.traced.last_uses()

    def identity_parts(self) -> Any:
        """The rest follows from them."""
        return self.model, self.layer, self.bfloat16

    def run_clean(self, pictures: Float[Tensor, "picture channel row column"]) -> "CleanPictures":
        """Run the network on clean (not normalised) pictures, and keep what differences need."""
        return CleanPictures(self, self.model.normalise(pictures).contiguous(memory_format=torch.channels_last))

    @full_float32()
    def evaluate(self, x: Float[Tensor, "picture channel row column"]) -> Tensor:
        """The layer's output for normalised pictures, in their own precision."""
        values = {self.traced.picture: x}
        for step in self.traced.steps:
            values[step.node] = step.run(values)
            for node in self.uses[step.node]:
                del values[node]
        return values[self.traced.output.node]

    def spans(self, patches: Patches) -> dict[fx.Node, Spans | None]:
        """For each step the rectangles in which its output can differ; None: everywhere."""
        size = patches.values.shape[2:]
        found: dict[fx.Node, Spans | None] = {self.traced.picture: Spans(patches.start, patches.start + np.array(size))}
        for step in self.traced.steps:
            inputs = [found[source] for source in step.sources]
            known = [i for i in inputs if i is not None]
            found[step.node] = step.rule.spans(*known) if len(known) == len(inputs) else None
        return found

    def saving(self, patches: Patches) -> float:
        """The cost of dense passes over that of the patches: multiply-adds, memory traffic, overhead of steps."""
        spans, trials = self.spans(patches), len(patches)
        steps = len(self.traced.steps) * len(self.groups(spans, trials))
        ours, dense = steps * OVERHEAD[self.device.type], 0.0
        for step in self.traced.steps:
            area, span = step.activation.area, spans[step.node]
            ours += step.rule.cost * (trials * area if span is None else int(span.areas.sum()))
            dense += step.rule.cost * step.rule.dense * trials * area
        return dense / ours

    def groups(self, spans: dict[fx.Node, Spans | None], trials: int) -> list[Int[np.ndarray, " chosen"]]:
        """Which trials to compute at once: windows of similar size, because all get the largest, within AT_ONCE."""
        rows, columns, numbers = np.zeros((3, trials))
        dense = 0.0
        for step in self.traced.steps:
            span = spans[step.node]
            if span is None:
                numbers = np.maximum(numbers, step.activation.numbers)
                continue
            high, wide = (span.stop - span.start).T
            dense += step.rule.cost * step.activation.area
            rows += step.rule.cost * step.activation.limit[1] * high
            columns += step.rule.cost * step.activation.limit[0] * wide
            numbers = np.maximum(numbers, step.activation.depth * high * wide)
        kind = self.device.type
        share = np.maximum(numbers / AT_ONCE[kind], 1 / TRIALS_AT_ONCE[kind])
        return group_alike(rows, columns, share, dense * OVERHEAD[kind] * len(self.traced.steps))


def halving(parts: Sequence[np.ndarray], work: Callable[[np.ndarray], Result]) -> Iterator[tuple[np.ndarray, Result]]:
    """Each part and the result of `work` for it, the last part first; a part that runs out of memory is halved."""
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


class CleanPictures:
    """The activations of clean pictures, and the changes that patches make to the layer's output for them."""

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

    def with_patches(
        self, picture: Int[np.ndarray, " trial"], moved: Int[np.ndarray, " moved"], patches: Patches
    ) -> Tensor:
        """The layer's output for each trial's picture, with the patches added to those that `moved`."""
        result = self.output.index_select(0, to_device(self.output.device, picture))
        self.add(result, moved, patches)
        return result

    def add(self, result: Tensor, moved: Int[np.ndarray, " moved"], patches: Patches) -> None:
        """Add the changes of the layer's output to the rows `moved` of `result`."""
        maps = channels_first(result, self.engine.traced.output.activation.layout)
        for trials, difference in self.changes(patches):
            if difference is None:
                continue
            trial = to_device(maps.device, moved[trials])
            if difference.frame is None:
                maps[trial] += difference.values
            else:
                row, column = difference.frame.lines
                maps[trial[:, None, None], :, row[:, :, None], column[:, None, :]] += difference.values.permute(
                    0, 2, 3, 1
                )

    def changes(self, patches: Patches) -> Iterator[tuple[Int[np.ndarray, " trial"], Difference | None]]:
        """Groups of trials with the difference of the layer's output; None where it does not change."""
        spans = self.engine.spans(patches)
        groups = self.engine.groups(spans, len(patches))
        return halving(groups, lambda trials: self._through(patches, spans, trials))

    @torch.inference_mode()
    @full_float32()
    def _through(self, patches: Patches, spans: dict[fx.Node, Spans | None], trials: np.ndarray) -> Difference | None:
        engine = self.engine
        picture, limit = patches.picture[trials], (self.x.shape[2], self.x.shape[3])
        first = spans[engine.traced.picture]
        assert first is not None
        frames: dict[int, Frame | None] = {id(first): common_frame(first[trials], limit, engine.device)}
        values = patches.values.index_select(0, to_device(engine.device, trials))
        if frames[id(first)] is None:
            values = embed(values, patches.start[trials], limit)
        differences: dict[fx.Node, Difference | None] = {engine.traced.picture: Difference(values, frames[id(first)])}
        for step in engine.traced.steps:
            span = spans[step.node]
            if span is not None and id(span) not in frames:
                frames[id(span)] = common_frame(span[trials], step.activation.limit, engine.device)
            differences[step.node] = self._step(
                step, [differences[s] for s in step.sources], picture, None if span is None else frames[id(span)]
            )
            for node in engine.uses[step.node]:
                del differences[node]
        return differences[engine.traced.output.node]

    def _step(
        self, step: Step, inputs: Sequence[Difference | None], picture: np.ndarray, where: Frame | None
    ) -> Difference | None:
        """The difference of the step's output; None if there is none, so that later steps cost nothing."""
        moving = [difference for difference in inputs if difference is not None]
        if not moving or (where is not None and 0 in where.size):
            return None
        if any(difference.frame is None for difference in moving):
            where = None
        values = step.rule.change(inputs, CleanMaps(self.kept[step.node], len(self.x), picture), where)
        if step.rule.may_end and values.device.type == "cpu" and not values.any():
            return None
        return Difference(values, where)
