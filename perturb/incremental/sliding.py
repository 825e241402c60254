"""Rules of operations that slide a window over the map: convolution, pooling, cropping and padding."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from perturb.incremental.activations import Activation, CleanMaps, Difference
from perturb.incremental.products import Weights
from perturb.incremental.rules import MEMORY, Pass, only
from perturb.incremental.windows import Corner, Frame, Pair, Spans, cut, embed, gather, slide


class Sliding(Pass):
    """A window that slides over the map."""

    def __init__(self, node: Activation, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        super().__init__(node)
        self.limit, self.kernel, self.stride, self.padding, self.dilation = (
            node.limit,
            kernel,
            stride,
            padding,
            dilation,
        )
        self.may_end = stride != (1, 1)

    def spans(self, *inputs: Spans) -> Spans | None:
        return slide(inputs[0], self.kernel, self.stride, self.padding, self.dilation, self.limit)

    def extent(self, frame: Frame | None) -> Pair:
        """Rows and columns of the padded input that the frame's positions read."""
        size = self.limit if frame is None else frame.size
        rows, columns = ((size[a] - 1) * self.stride[a] + (self.kernel[a] - 1) * self.dilation[a] + 1 for a in (0, 1))
        return rows, columns

    def offset(self, difference: Difference, frame: Frame | None) -> Corner:
        """Rows and columns from the first that the frame's positions read to the first of the difference."""
        return difference.start - (0 if frame is None else frame.start * self.stride) + np.array(self.padding)

    def placed(self, difference: Difference, frame: Frame | None, around: Pair = (0, 0)) -> Tensor:
        """The differences over what the frame's positions read, less `around` rows and columns at each end."""
        rows, columns = self.extent(frame)
        size = rows - 2 * around[0], columns - 2 * around[1]
        return embed(difference.values, self.offset(difference, frame) - around, size)


class CropOrPad(Sliding):
    """Zeros added above and to the left (`offset` > 0), a crop (`offset` < 0), or every n-th row and column."""

    def __init__(self, node: Activation, offset: Pair, stride: Pair = (1, 1)) -> None:
        super().__init__(node, (1, 1), stride, offset, (1, 1))

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        return self.placed(only(differences), frame)[:, :, :: self.stride[0], :: self.stride[1]]


class ReplicationPad(Pass):
    """Padding that repeats the border; `before` is the number of rows above and of columns to the left."""

    def __init__(self, node: Activation, source: Activation, before: Pair) -> None:
        super().__init__(node)
        self.limit, self.source, self.before = np.array(node.limit), np.array(source.limit), np.array(before)

    def spans(self, *inputs: Spans) -> Spans | None:
        (span,) = inputs
        start = np.where(span.start == 0, 0, span.start + self.before)
        stop = np.where(span.stop == self.source, self.limit, span.stop + self.before)
        empty = (span.stop <= span.start).any(1, keepdims=True)
        return Spans(np.where(empty, 0, start), np.where(empty, 0, stop))

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        difference = only(differences)
        start = np.zeros_like(difference.start) if frame is None else frame.start
        size = self.limit if frame is None else frame.size
        there = (start[:, a, None] + np.arange(size[a]) - self.before[a] for a in (0, 1))
        inner = (np.clip(line, 0, self.source[a] - 1) - difference.start[:, a, None] for a, line in enumerate(there))
        return gather(difference.values, *inner)


class Convolution(Sliding):
    """A convolution, whose bias cancels."""

    def __init__(
        self, node: Activation, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> None:
        super().__init__(node, (weight.shape[2], weight.shape[3]), stride, padding, dilation)
        self.weights = Weights(weight, groups)
        self.cost = weight.numel() + (MEMORY if groups == 1 else 2 * MEMORY) * len(weight)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        around = self._zeros_around(only(differences), frame)
        values = self.placed(only(differences), frame, around)
        return self.weights.over(values, around, self.stride, self.dilation)

    def _zeros_around(self, difference: Difference, frame: Frame | None) -> Pair:
        """Rows and columns at both ends that are zero in every trial.

        As padding they are skipped instead of multiplied: 1.2 to 1.8 times as fast.
        """
        offset = self.offset(difference, frame)
        behind = np.array(self.extent(frame)) - offset - difference.values.shape[2:]
        most = (np.array(self.kernel) - 1) * self.dilation
        rows, columns = np.clip(np.minimum(offset, behind).min(0), 0, most)
        return int(rows), int(columns)


class AveragePool(Sliding):
    """`share` is the weight of one number in the mean of a window; a map of weights where the border differs."""

    def __init__(self, node: Activation, kernel: Pair, stride: Pair, padding: Pair, share: float | Tensor) -> None:
        super().__init__(node, kernel, stride, padding, (1, 1))
        self.share = share
        self.cost = MEMORY * node.depth

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        total = F.avg_pool2d(self.placed(only(differences), frame), self.kernel, self.stride, divisor_override=1)
        share = self.share
        if isinstance(share, Tensor):
            share = share.to(total) if frame is None else cut(share.to(total), frame, clean.picture)
        return total * share


class MaxPool(Sliding):
    """max_j ((y_j - M) + D_j) with M the clean maximum; y_j - M is exact where y_j is close to M."""

    dense = 0.25

    def __init__(self, node: Activation, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        super().__init__(node, kernel, stride, padding, dilation)
        self.cost = MEMORY * node.depth * math.prod(kernel)

    def read(self, *clean: Tensor) -> tuple[Tensor, ...]:
        """y padded with minus infinity, and M."""
        (y,) = clean
        rows, columns = self.extent(None)
        top, left = self.padding
        around = (left, columns - left - y.shape[3], top, rows - top - y.shape[2])
        padded = F.pad(y, around, value=-math.inf)
        return padded, F.max_pool2d(padded, self.kernel, self.stride, dilation=self.dilation)

    def change(self, differences: Sequence[Difference | None], clean: CleanMaps, frame: Frame | None) -> Tensor:
        padded, largest = clean.maps
        extent = self.extent(frame)
        reach = frame and Frame(frame.start * self.stride, extent, (padded.shape[2], padded.shape[3]), frame.device)
        y, most = clean.cut(padded, reach), clean.cut(largest, frame)
        d = self.placed(only(differences), frame)
        found: Tensor | None = None
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                tap = (..., self._tap(0, row, extent), self._tap(1, column, extent))
                candidate = (y[tap] - most) + d[tap]
                found = candidate if found is None else torch.maximum(found, candidate, out=found)
        assert found is not None
        return found

    def _tap(self, axis: int, number: int, extent: Pair) -> slice:
        first = number * self.dilation[axis]
        return slice(first, first + extent[axis] - (self.kernel[axis] - 1) * self.dilation[axis], self.stride[axis])
