"""A sweep proves itself before it is used: a few places against the dense network in float64."""

import numpy as np
import torch
from torch import Tensor

from perturb.incremental.engine import Incremental, Patches
from perturb.streams import stream

TOLERANCE = 1e-3  # of the change itself
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
        plain = model.propagate(model.normalise(picture), engine.layer)
    _compare("the traced network", sweep.output.double(), plain.double(), TOLERANCE)
    start = np.array([[0, 0], [rows - 1, columns - 1], [int(rng.integers(rows)), int(rng.integers(columns))]])
    values = torch.full((len(start), channels, 1, 1), LEVEL, device=sweep.x.device)
    patches = Patches(picture=np.zeros(len(start), dtype=int), start=start, values=values)
    dense = sweep.x.double().repeat(len(start) + 1, 1, 1, 1)
    for trial, (row, column) in enumerate(start):
        dense[trial, :, row, column] += LEVEL
    with torch.inference_mode():
        after = engine.evaluate(dense)
    found = sweep.output.new_zeros(len(start), *sweep.output.shape[1:])
    sweep.add(found, np.arange(len(start)), patches)
    allowed = BFLOAT16 if engine.bfloat16 else TOLERANCE
    engine.error = _compare("a change", found.double(), after[:-1] - after[-1:], allowed)


def _compare(what: str, found: Tensor, wanted: Tensor, tolerance: float) -> float:
    """How far off, by trial, in the Euclidean norm; what is far below the largest change is rounding."""
    apart, size = ((t.flatten(1)).norm(dim=1) for t in (found - wanted, wanted))
    off = float((apart / size.clamp(min=1e-300)).max())
    if not (apart <= tolerance * size + 1e-6 * size.max()).all():
        raise MismatchError(f"{what} is off by {off:.1g} of itself")
    return off
