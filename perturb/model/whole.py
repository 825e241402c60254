"""A model that sees tiles becomes a function of whole pictures: cut, ask each tile, join the answers."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, boxes_of, tensor_of
from perturb.errors import UsageError
from perturb.model.preprocessing import Preprocessing
from perturb.protocols import Sees
from perturb.tiling import Tiling

Join = Literal["boxes", "max", "mean"]
Corner = tuple[int, int]
Found = dict[str, Any]


def tiled(
    model: Sees, tiling: Tiling, *, join: Join, output: str = "output", overlapping: float = 0.5
) -> tuple[Callable[[Tensor], list[Found] | Tensor], Preprocessing]:
    """The model asked about each tile, as a factory returns it: a function of whole pictures, and how it takes them.

    `join` says how the answers of tiles become one. "boxes" moves them into the picture and keeps the best of those of
    one label that overlap by more than `overlapping` (intersection over union; greedy non-maximum suppression); each
    picture's entry has boxes, scores and labels. "max" and "mean" are of the tiles' scores, a row of numbers a picture,
    or of their maps: positions are repeated to the picture's pixels, and each pixel has the largest or the mean value
    of the tiles that show it. `output` is as in `measure`: "output:NAME" is one of several outputs.
    Raises UsageError for a tiling whose tile is not the model's input, and for maps that do not divide the tile.
    """
    if not isinstance(model, Sees):
        raise UsageError(
            f"tiled takes a loaded model, not a {type(model).__name__}: use perturb.load(...), Network(...) or "
            "BlackBox(...)."
        )
    if tuple(model.input_shape[1:]) != tiling.tile:
        raise UsageError(f"tile {tiling.tile}: {model.name} takes pictures of {tuple(model.input_shape[1:])}.")
    if join not in ("boxes", "max", "mean"):
        raise UsageError(f"join `{join}` is unknown, expected boxes, max or mean.")
    corners = [
        (int(row), int(column))
        for down, right in tiling.passes
        for row in tiling.starts(0, down)
        for column in tiling.starts(1, right)
    ]

    def whole(pictures: Float[Tensor, "picture channel row column"]) -> list[Found] | Tensor:
        answers = [model.measure(cut(picture, corners, tiling.tile), output) for picture in pictures]
        if join == "boxes":
            return [joined_boxes(each, corners, tiling, overlapping) for each in answers]
        return torch.stack([joined_numbers(each, corners, tiling, join) for each in answers])

    return whole, Preprocessing(input_shape=(model.input_shape[0], *tiling.picture))


def cut(picture: Tensor, corners: Sequence[Corner], tile: tuple[int, int]) -> Float[Tensor, "tile channel row column"]:
    """The tiles at these corners; outside the picture its nearest pixel."""
    rows, columns = (
        torch.stack([torch.arange(at, at + n) for at in starts]).clamp(0, size - 1)
        for starts, n, size in zip(zip(*corners, strict=True), tile, picture.shape[1:], strict=True)
    )
    return picture[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)


def joined_boxes(answers: Answers, corners: Sequence[Corner], tiling: Tiling, overlapping: float) -> Found:
    from torchvision.ops import batched_nms

    found = [boxes_of(answer, tiling.tile) for answer in answers]
    moves = [(column, row, column, row) for row, column in corners]
    box = np.concatenate([one.corners + move for one, move in zip(found, moves, strict=True)])
    score, label = (np.concatenate([getattr(one, name) for one in found]) for name in ("score", "label"))
    box = box.clip(0, np.tile(tiling.picture[::-1], 2))
    inside = (box[:, 2:] > box[:, :2]).all(1)  # not of the padding alone
    box, score, label = box[inside], score[inside], label[inside]
    number = np.unique(label, return_inverse=True)[1]
    kept = batched_nms(torch.from_numpy(box), torch.from_numpy(score), torch.from_numpy(number), overlapping).numpy()
    return {"boxes": box[kept], "scores": score[kept], "labels": label[kept].tolist()}


def joined_numbers(answers: Answers, corners: Sequence[Corner], tiling: Tiling, join: Join) -> Tensor:
    values = tensor_of(answers, "a score or a map")
    if values.dtype == torch.bool:
        values = values.float()
    if not values.is_floating_point():
        raise UsageError(f"tiles of whole numbers ({values.dtype}) are labels, which cannot be joined by {join}.")
    if values.ndim < 3:
        return values.amax(0) if join == "max" else values.mean(0)
    return _joined_maps(values, corners, tiling, join)


def _joined_maps(maps: Tensor, corners: Sequence[Corner], tiling: Tiling, join: Join) -> Tensor:
    """On a canvas that holds all tiles, of which the picture is a part."""
    repeats = [n // have for n, have in zip(tiling.tile, maps.shape[-2:], strict=True)]
    if any(have * times != n for n, have, times in zip(tiling.tile, maps.shape[-2:], repeats, strict=True)):
        raise UsageError(f"maps of {tuple(maps.shape[-2:])} do not divide tiles of {tiling.tile}.")
    fine = maps.repeat_interleave(repeats[0], -2).repeat_interleave(repeats[1], -1)
    top, left = (min(at) for at in zip(*corners, strict=True))
    bottom, right = (max(at) + n for at, n in zip(zip(*corners, strict=True), tiling.tile, strict=True))
    size = *maps.shape[1:-2], bottom - top, right - left
    canvas = fine.new_full(size, -torch.inf if join == "max" else 0.0)
    shown = fine.new_zeros(size[-2:])
    for values, (row, column) in zip(fine, corners, strict=True):
        at = slice(row - top, row - top + tiling.tile[0]), slice(column - left, column - left + tiling.tile[1])
        canvas[..., *at] = torch.maximum(canvas[..., *at], values) if join == "max" else canvas[..., *at] + values
        shown[at] += 1
    joined = canvas if join == "max" else canvas / shown
    return joined[..., -top : tiling.picture[0] - top, -left : tiling.picture[1] - left]
