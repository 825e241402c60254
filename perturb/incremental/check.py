"""The engine's self-check: a few changes against the dense network in float64, before the engine is used."""

import numpy as np
import torch
from torch import Tensor

from perturb.incremental.engine import Incremental, Patches
from perturb.streams import stream

TOLERANCE = 1e-3  # relative to the change itself
BFLOAT16 = 5e-2  # the same for bfloat16, which has eight significant bits
LEVEL = 0.5  # change of one pixel, in units of the normalised input


class MismatchError(Exception):
    """The engine's result differs from that of the network."""


def check(engine: Incremental) -> None:
    """Compare changes at two corners and one random place, on a noise picture that was not used for tracing.

    Stores the largest relative error in `engine.error`. Raises MismatchError.
    """
    model, rng = engine.model, stream(0, "incremental/check")
    channels, rows, columns = model.input_shape
    picture = torch.from_numpy(rng.random((1, channels, rows, columns), dtype=np.float32))
    clean = engine.run_clean(picture)
    with torch.inference_mode():
        plain = model.propagate(model.normalise(picture), engine.layer)
    _compare("the traced network", clean.output.double(), plain.double(), TOLERANCE)
    start = np.array([[0, 0], [rows - 1, columns - 1], [int(rng.integers(rows)), int(rng.integers(columns))]])
    values = torch.full((len(start), channels, 1, 1), LEVEL, device=clean.x.device)
    patches = Patches(picture=np.zeros(len(start), dtype=int), start=start, values=values)
    dense = clean.x.double().repeat(len(start) + 1, 1, 1, 1)
    for trial, (row, column) in enumerate(start):
        dense[trial, :, row, column] += LEVEL
    with torch.inference_mode():
        after = engine.evaluate(dense)
    found = clean.output.new_zeros(len(start), *clean.output.shape[1:])
    clean.add(found, np.arange(len(start)), patches)
    allowed = BFLOAT16 if engine.bfloat16 else TOLERANCE
    engine.error = _compare("a change", found.double(), after[:-1] - after[-1:], allowed)


def _compare(what: str, found: Tensor, wanted: Tensor, tolerance: float) -> float:
    """The largest relative error of a trial, in the Euclidean norm.

    Errors below a millionth of the largest change count as rounding. Raises MismatchError above `tolerance`.
    """
    apart, size = ((t.flatten(1)).norm(dim=1) for t in (found - wanted, wanted))
    off = float((apart / size.clamp(min=1e-300)).max())
    if not (apart <= tolerance * size + 1e-6 * size.max()).all():
        raise MismatchError(f"{what} is off by {off:.1g} of itself")
    return off
