"""Rectangles on a feature map: where differences can be, and copying values into and out of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]
Corner = Int[np.ndarray, "trial 2"]
WHOLE_FROM = 0.9  # share of the map from which a window is no cheaper than the whole map


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """For each trial a rectangle outside which its difference is zero; it is empty where start = stop."""

    start: Corner
    stop: Corner

    def __getitem__(self, trials: Int[np.ndarray, " chosen"]) -> "Spans":
        return Spans(self.start[trials], self.stop[trials])

    @property
    def areas(self) -> Int[np.ndarray, " trial"]:
        return (self.stop - self.start).prod(1)


@dataclass(frozen=True, eq=False)
class Frame:
    """One window per trial, all of the same size and inside the map."""

    start: Corner
    size: Pair
    limit: Pair  # rows and columns of the map
    device: torch.device

    def __getitem__(self, trials: slice) -> "Frame":
        return Frame(self.start[trials], self.size, self.limit, self.device)

    @cached_property
    def lines(self) -> tuple[Int[Tensor, "trial row"], Int[Tensor, "trial column"]]:
        """Each window's rows and columns on the map."""
        row, column = (self.start[:, a, None] + np.arange(self.size[a]) for a in (0, 1))
        return to_device(self.device, row), to_device(self.device, column)

    @cached_property
    def places(self) -> Int[Tensor, "trial row column"]:
        """Each window's positions, numbered along the rows of the map."""
        row, column = self.lines
        return row[:, :, None] * self.limit[1] + column[:, None, :]


def slide(spans: Spans, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, limit: Pair) -> Spans:
    """Where the output of a sliding window can differ; `padding` is the padding above and to the left."""
    k, s, p, d = (np.array(v) for v in (kernel, stride, padding, dilation))
    start = -((-(spans.start + p - (k - 1) * d)) // s)
    stop = (spans.stop - 1 + p) // s + 1
    start, stop = np.clip(start, 0, limit), np.clip(stop, 0, limit)
    empty = ((stop <= start) | (spans.stop <= spans.start)).any(1, keepdims=True)
    return Spans(np.where(empty, 0, start), np.where(empty, 0, stop))


def hull(spans: Sequence[Spans]) -> Spans:
    """For each trial the smallest rectangle that contains those of all terms."""
    found = spans[0]
    for other in spans[1:]:
        if other is found:
            continue
        here, there = found.areas[:, None] > 0, other.areas[:, None] > 0
        start = np.where(here & there, np.minimum(found.start, other.start), np.where(here, found.start, other.start))
        stop = np.where(here & there, np.maximum(found.stop, other.stop), np.where(here, found.stop, other.stop))
        found = Spans(start, stop)
    return found


def common_frame(spans: Spans, limit: Pair, device: torch.device) -> Frame | None:
    """Windows that contain the spans, of the largest span's size; None if they cover most of the map."""
    height, width = (int(v) for v in (spans.stop - spans.start).max(0))
    if height * width >= WHOLE_FROM * limit[0] * limit[1]:
        return None
    return Frame(np.minimum(spans.start, np.array(limit) - (height, width)), (height, width), limit, device)


def group_alike(
    rows: Float[np.ndarray, " trial"],
    columns: Float[np.ndarray, " trial"],
    share: Float[np.ndarray, " trial"],
    overhead: float,
) -> list[Int[np.ndarray, " chosen"]]:
    """Groups of trials that are computed together; the shares of a group sum to 1 at most.

    All trials of a group get its largest window, so a group costs trials x most rows x most columns. A group is split
    where that saves most, as long as it saves more than `overhead`. A group whose shares still sum to more than 1 is
    then divided evenly: among similar windows every split saves the same.
    """
    groups, waiting = [], [np.arange(len(share))] if len(share) else []
    while waiting:
        group = waiting.pop()
        if len(group) == 1:
            groups.append(group)
            continue
        cost = len(group) * rows[group].max() * columns[group].max()
        splits = [_cheapest(rows, columns, group[np.argsort(size[group], kind="stable")]) for size in (rows, columns)]
        cheapest, parts = min(splits, key=lambda split: split[0])
        if cost - cheapest > overhead:
            waiting += parts
        elif share[group].sum() > 1:
            number = min(len(group), math.ceil(share[group].sum()))
            waiting += np.array_split(group[np.lexsort((columns[group], rows[group]))], number)
        else:
            groups.append(group)
    return groups


def _cheapest(
    rows: np.ndarray, columns: np.ndarray, order: Int[np.ndarray, " chosen"]
) -> tuple[float, list[Int[np.ndarray, " chosen"]]]:
    """The cheapest split of two or more trials, kept in this order, with its cost."""
    sizes, number = np.stack([rows[order], columns[order]]), np.arange(1, len(order))
    before = number * np.maximum.accumulate(sizes, 1).prod(0)[:-1]
    behind = number[::-1] * np.maximum.accumulate(sizes[:, ::-1], 1).prod(0)[-2::-1]
    cost = before + behind
    at = int(cost.argmin())
    return float(cost[at]), [order[: at + 1], order[at + 1 :]]


def cut(
    clean: Float[Tensor, "picture channel row column"], frame: Frame, picture: Int[np.ndarray, " trial"]
) -> Float[Tensor, "trial channel height width"]:
    """The clean map of each trial's picture, in the trial's window; a view for a single trial.

    `clean` is in channels-last memory format.
    """
    n, channels, rows, columns = clean.shape
    if len(picture) == 1:
        (row, column), (height, width), first = frame.start[0], frame.size, picture[0] if n > 1 else 0
        return clean[first : first + 1, :, row : row + height, column : column + width]
    index = frame.places if n == 1 else frame.places + to_device(clean.device, picture * rows * columns)[:, None, None]
    found = clean.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, index.flatten())
    return found.view(len(picture), *frame.size, channels).permute(0, 3, 1, 2)


def embed(
    values: Float[Tensor, "trial channel height width"], offset: Corner, size: Pair
) -> Float[Tensor, "trial channel rows columns"]:
    """Windows placed at `offset` in windows of `size` and surrounded by zeros; only zeros may fall outside."""
    first = offset[0]
    if (offset == first).all():
        return _pad(values, (int(first[0]), int(first[1])), size)
    return gather(values, *(np.arange(size[a]) - offset[:, a, None] for a in (0, 1)))


def gather(
    values: Float[Tensor, "trial channel height width"],
    row: Int[np.ndarray, "trial rows"],
    column: Int[np.ndarray, "trial columns"],
) -> Float[Tensor, "trial channel rows columns"]:
    """Each trial's values at these rows and columns of its window; zero outside the window."""
    n, channels, height, width = values.shape
    outside = -n * height * width
    row = np.where((row >= 0) & (row < height), (np.arange(n)[:, None] * height + row) * width, outside)
    column = np.where((column >= 0) & (column < width), column, outside)
    lines = values.permute(0, 2, 3, 1).reshape(-1, channels)
    lines = torch.cat([lines.new_zeros(1, channels), lines])
    index = (to_device(values.device, row)[:, :, None] + to_device(values.device, column + 1)[:, None, :]).clamp_(min=0)
    return lines.index_select(0, index.flatten()).view(*index.shape, channels).permute(0, 3, 1, 2)


def _pad(values: Tensor, offset: Pair, size: Pair) -> Tensor:
    top, left = offset
    around = (left, size[1] - left - values.shape[3], top, size[0] - top - values.shape[2])
    return F.pad(values, around) if any(around) else values


def to_device(device: torch.device, numbers: np.ndarray) -> Tensor:
    """The numbers as a tensor on the device, copied without waiting."""
    return torch.from_numpy(numbers).to(device, non_blocking=True)
