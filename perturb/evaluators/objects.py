"""Which object does a report belong to? Each belongs to one object at most, so neighbours lend each other nothing."""

import numpy as np
from jaxtyping import Bool, Float, Int

from perturb.protocols import Asked

TIE = 1e-6  # of a pixel for each pixel: of objects that hold a point alike, the one with the nearer centre


def objects_in(asked: Asked, number: int) -> Float[np.ndarray, "object 4"]:
    """Centre (row, column) and half the extent of the objects of a picture, the one asked about first.

    In the numbering of pixels. An annotated object has the extent of its box; one that was put there has none, so that
    distances to it are distances to its centre.
    """
    if asked.boxes is None:
        return np.concatenate([asked.centre[number], [0.0, 0.0]])[None]
    boxes = asked.boxes[number]
    half = (boxes[:, 2:] - 1) / 2
    return np.concatenate([boxes[:, :2] + half, np.maximum(half, 0)], 1)


def owners(
    points: Float[np.ndarray, "point 2"], objects: Float[np.ndarray, "object 4"]
) -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """The object nearest to each point (row, column), and the distance in pixels to it; 0 within its box."""
    away = np.abs(points[:, None] - objects[None, :, :2])
    gap = np.hypot(*np.moveaxis(np.maximum(away - objects[None, :, 2:], 0), -1, 0))
    owner = (gap + TIE * np.hypot(away[..., 0], away[..., 1])).argmin(1)
    return owner, gap[np.arange(len(points)), owner]


def overlaps(
    corners: Float[np.ndarray, "box 4"], objects: Float[np.ndarray, "object 4"]
) -> Float[np.ndarray, "box object"]:
    """Intersection over union of boxes (x1, y1, x2, y2) with objects (top, left, rows, columns)."""
    starts = objects[:, 1::-1]
    ends = starts + objects[:, 3:1:-1]
    shared = np.minimum(corners[:, None, 2:], ends) - np.maximum(corners[:, None, :2], starts)
    inner = np.maximum(shared, 0).prod(-1)
    union = (corners[:, 2:] - corners[:, :2]).prod(1)[:, None] + objects[:, 2:].prod(1) - inner
    return np.asarray(np.divide(inner, union, out=np.zeros_like(inner), where=union > 0))


def positions_of(
    shape: tuple[int, int], positions: tuple[int, int], objects: Float[np.ndarray, "object 4"], radius: float
) -> list[Bool[np.ndarray, "row column"]]:
    """The positions of a map over a picture of `shape` that belong to each object: within `radius` of it, or nearest.

    A position that lies nearer to another object belongs to that one.
    """
    at = [(np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(positions, shape, strict=True)]
    owner, least = np.zeros(positions, dtype=int) - 1, np.full(positions, np.inf)
    gaps = []
    for number, (row, column, rows, columns) in enumerate(objects):
        away = np.abs(at[0] - row)[:, None], np.abs(at[1] - column)[None]
        gap = np.hypot(np.maximum(away[0] - rows, 0), np.maximum(away[1] - columns, 0))
        rank = gap + TIE * np.hypot(*away)
        owner[rank < least] = number
        least = np.minimum(least, rank)
        gaps.append(gap)
    return [((gap <= radius) | (gap <= gap.min())) & (owner == number) for number, gap in enumerate(gaps)]
