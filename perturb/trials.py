"""The design: on every image the same number of pairs, a dead and a live place in one T x T cell."""

import numpy as np
from jaxtyping import Int

from perturb.errors import InputError
from perturb.records import Images, Locations, Trials
from perturb.streams import stream


def design(images: Images, locations: Locations, *, size: int, pairs: int, seed: int, purpose: str) -> Trials:
    """`pairs` trials an image: cells drawn evenly over the interior, phases in turn from a random order.

    Cells keep an eighth of the picture away from its border. An image's trials depend on the seed, the purpose and the
    image's identity alone, not on what lies beside it: a part of the images gets what the whole gives it.
    Raises InputError where the picture is too small for one interior cell.
    """
    cells = interior_cells(images.pixels.shape[2:], locations.period, size)
    count = len(images.pixels)
    dead = np.empty((count, pairs, 2), dtype=np.int64)
    live = np.empty_like(dead)
    for i in range(count):
        rng = stream(seed, f"trials/{purpose}/{identity(images, i)}")
        chosen = cells[rng.choice(len(cells), pairs, replace=pairs > len(cells))]
        dead[i] = chosen + _in_turn(locations.dead, pairs, rng)
        live[i] = chosen + _in_turn(locations.live, pairs, rng)
    return Trials(dead=dead, live=live, photograph=images.photograph, seed=seed, purpose=purpose)


def identity(images: Images, number: int) -> str:
    """What tells an image from every other: its photograph's digest and its crop's number."""
    return f"{images.digests[images.photograph[number]]}/{images.crop[number]}"


def _in_turn(phases: Int[np.ndarray, "phase 2"], pairs: int, rng: np.random.Generator) -> Int[np.ndarray, "pair 2"]:
    return phases[rng.permutation(len(phases))[np.arange(pairs) % len(phases)]]


def interior_cells(shape: tuple[int, ...], period: int, size: int) -> Int[np.ndarray, "cell 2"]:
    """(row, column) of the top left of each period x period cell in the interior, row by row."""
    axes = []
    for n in shape:
        first = -(-(n // 8) // period) * period
        axes.append(np.arange(first, n - first - period - size + 2, period))
    if min(len(axis) for axis in axes) == 0:
        raise InputError(f"a {shape[0]} x {shape[1]} picture has no interior cell of period {period}.")
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
