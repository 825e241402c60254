"""A sweep proves itself before it is used: a few places against the dense network in float64."""

import numpy as np
import torch
from torch import Tensor

from perturb.incremental.engine import Incremental, Patches
from perturb.streams import stream

TOLERANCE = 1e-3  # of the change itself
ROUNDED = 1e-2  # the same, where dense float32 is off as much: some activations are within rounding of a kink
BFLOAT16 = 5e-2  # the same, where its eight binary digits were asked for
LEVEL = 0.5  # of what one pixel is changed by, in units of the normalised input


class MismatchError(Exception):
    """What is propagated is not what the network does."""


def check(engine: Incremental) -> None:
    """Two corners and a place between, on a picture of noise that was not traced. Raises MismatchError.

    Leaves in `engine.error` how far the changes were off, in shares of themselves.
    """
    model, rng = engine.model, stream(0, "incremental/check")
    channels, rows, columns = model.input_shape
    picture = torch.from_numpy(rng.random((1, channels, rows, columns), dtype=np.float32))
    sweep = engine.look(picture)
    with torch.inference_mode():
        plain = model.propagate(sweep.x, engine.layer)
    _compare("the traced network", sweep.output.double(), plain.double(), TOLERANCE)
    start = np.array([[0, 0], [rows - 1, columns - 1], [int(rng.integers(rows)), int(rng.integers(columns))]])
    values = torch.full((len(start), channels, 1, 1), LEVEL, device=sweep.x.device)
    patches = Patches(picture=np.zeros(len(start), dtype=int), start=start, values=values)
    dense = sweep.x.double().repeat(len(start) + 1, 1, 1, 1)
    for trial, (row, column) in enumerate(start):
        dense[trial, :, row, column] += LEVEL
    with torch.inference_mode():
        after, rounded = engine.evaluate(dense), engine.evaluate(dense.float()).double()
    wanted = after[:-1] - after[-1:]
    found = sweep.output.new_zeros(len(start), *sweep.output.shape[1:])
    sweep.add(found, np.arange(len(start)), patches)
    rounding = _norms(rounded[:-1] - rounded[-1:] - wanted)
    allowed = _shares(rounding, _norms(wanted)).clamp(TOLERANCE, ROUNDED)
    engine.error = _compare("a change", found.double(), wanted, BFLOAT16 if engine.bfloat16 else allowed)


def _compare(what: str, found: Tensor, wanted: Tensor, tolerance: float | Tensor) -> float:
    """How far off at worst; what is far below the largest change is rounding."""
    apart, size = _norms(found - wanted), _norms(wanted)
    off = float(_shares(apart, size).max())
    if not (apart <= tolerance * size + 1e-6 * size.max()).all():
        raise MismatchError(f"{what} is off by {off:.1g} of itself")
    return off


def _norms(values: Tensor) -> Tensor:
    """Of each trial, Euclidean."""
    return values.flatten(1).norm(dim=1)


def _shares(apart: Tensor, size: Tensor) -> Tensor:
    return apart / size.clamp(min=1e-300)
