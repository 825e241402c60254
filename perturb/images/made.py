"""Pictures that are drawn: dead leaves, noise."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]


def dead_leaves(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """Opaque discs of random grey and colour, radii with density ~ r^-3, laid until the plane is full.

    Lee, Mumford and Huang (2001), "Occlusion models for natural images": its statistics are scale invariant, as those
    of photographs are. Radii between 2 pixels and a third of the shorter side.
    """
    channels, rows, columns = shape
    smallest, largest = 2.0, max(4.0, min(rows, columns) / 3)
    picture = np.zeros(shape, dtype=np.float32)
    bare = np.ones((rows, columns), dtype=bool)
    row, column = np.ogrid[:rows, :columns]
    for _ in range(20_000):  # far more than full cover takes; the few bare pixels left stay black
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
    """Independent uniform pixels."""
    return rng.random(shape, dtype=np.float32)


MADE: dict[str, Callable[[tuple[int, int, int], np.random.Generator], Picture]] = {
    "dead-leaves": dead_leaves,
    "noise": noise,
}
