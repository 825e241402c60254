"""Which object does a report belong to? Each belongs to one object at most, so neighbours lend each other nothing."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from perturb.protocols import Asked

Centres = Sequence[Float[np.ndarray, " position"]]  # of a map's rows and columns, in the picture's pixels
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


def in_photograph(points: Float[np.ndarray, "*point 2"], asked: Asked, number: int) -> Bool[np.ndarray, "*point"]:
    """Whether points (row, column) of a picture lie in the photograph, and not where its edge is repeated."""
    if asked.photograph is None:
        return np.ones(points.shape[:-1], dtype=bool)
    start, size = asked.photograph[number, :2], asked.photograph[number, 2:]
    return np.asarray(((points >= start - 0.5) & (points <= start + size - 0.5)).all(-1))


def owners(
    points: Float[np.ndarray, "point 2"], objects: Float[np.ndarray, "object 4"]
) -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """The object nearest to each point (row, column), and the distance in pixels to it; 0 within its box."""
    gap, rank = _distances(points[:, None], objects)
    owner = rank.argmin(1)
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


def largest_at(
    values: Float[np.ndarray, "row column"],
    centres: Centres,
    objects: Float[np.ndarray, "object 4"],
    radius: float,
) -> float:
    """The largest value of a map at the positions that belong to the first object.

    Within `radius` of it, or nearest to it, and nearer to no other. The map's smallest value where there are none.
    """
    rows, columns, near = near_to(objects[0], centres, radius)
    _, rank = _distances(positions(centres, rows, columns)[:, :, None], objects)
    own = near & (rank[..., 0] <= rank.min(-1))
    return float(values[rows, columns][own].max(initial=values.min()))


def near_to(
    one: Float[np.ndarray, " 4"], centres: Centres, radius: float
) -> tuple[slice, slice, Bool[np.ndarray, "row column"]]:
    """A part of a map's rows and columns, and which positions there lie within `radius` of an object, or nearest."""
    gaps = [
        np.maximum(np.abs(own - centre) - half, 0) for own, centre, half in zip(centres, one[:2], one[2:], strict=True)
    ]
    within = [np.flatnonzero(gap <= max(radius, gap.min())) for gap in gaps]
    rows, columns = (slice(int(part[0]), int(part[-1]) + 1) for part in within)
    gap = np.hypot(gaps[0][rows, None], gaps[1][None, columns])
    return rows, columns, (gap <= radius) | (gap <= gap.min())


def positions(
    centres: Centres, rows: slice = slice(None), columns: slice = slice(None)
) -> Float[np.ndarray, "row column 2"]:
    """(row, column) in the picture of a map's positions."""
    return np.stack(np.meshgrid(centres[0][rows], centres[1][columns], indexing="ij"), -1)


def _distances(points: np.ndarray, objects: Float[np.ndarray, "object 4"]) -> tuple[np.ndarray, np.ndarray]:
    """From points [..., 1, (row, column)] to each object's box; and what ranks objects by their nearness."""
    away = np.abs(points - objects[:, :2])
    gap = np.hypot(*np.moveaxis(np.maximum(away - objects[:, 2:], 0), -1, 0))
    return gap, gap + TIE * np.hypot(away[..., 0], away[..., 1])
