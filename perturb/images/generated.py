"""Generated pictures: dead leaves and noise."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]


def dead_leaves(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """A dead-leaves picture: opaque discs of random colour cover the plane; their radii have a density ~ r^-3.

    Radii lie between 2 pixels and a third of the shorter side. The statistics are scale invariant, like those of
    photographs: Lee, Mumford and Huang (2001), "Occlusion models for natural images".
    """
    channels, rows, columns = shape
    smallest, largest = 2.0, max(4.0, min(rows, columns) / 3)
    picture = np.zeros(shape, dtype=np.float32)
    bare = np.ones((rows, columns), dtype=bool)
    row, column = np.ogrid[:rows, :columns]
    for _ in range(20_000):  # far more than full coverage takes; pixels that stay bare are black
        radius = (smallest**-2 - rng.random() * (smallest**-2 - largest**-2)) ** -0.5
        y, x = rng.uniform(-radius, rows + radius), rng.uniform(-radius, columns + radius)
        colour = rng.random((channels, 1)).astype(np.float32) * 0.5 + np.float32(rng.random() * 0.5)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = (slice(top, max(top, int(y + radius) + 2)), slice(left, max(left, int(x + radius) + 2)))
        if not bare[box].any():
            continue
        seen = bare[box] & ((row[box[0]] - y) ** 2 + (column[:, box[1]] - x) ** 2 <= radius**2)
        if seen.any():
            picture[(slice(None), *box)][:, seen] = colour
            bare[box] &= ~seen
            if not bare.any():
                break
    return picture


def noise(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """Independent pixels, uniform between 0 and 1."""
    return rng.random(shape, dtype=np.float32)


GENERATED: dict[str, Callable[[tuple[int, int, int], np.random.Generator], Picture]] = {
    "dead-leaves": dead_leaves,
    "noise": noise,
}
