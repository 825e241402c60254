"""Translation consistency: how much the output changes when the crop moves by a few pixels."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from perturb.answers import tensor_of
from perturb.comparisons import Consistency, Shift
from perturb.errors import InputError
from perturb.images import load_images
from perturb.protocols import Differentiable, Progress, Sees, Tick, quiet
from perturb.records import Images, Rate
from perturb.stack import each
from perturb.stats.clusters import cluster_means, mean_interval
from perturb.stats.proportion import wilson
from perturb.streams import stream

CONFIDENCE = 0.95


def shift(model: Sees, source: str, *, span: int = 8, count: int = 20, progress: Progress = quiet) -> Shift:
    """Sum |f(crop) - f(crop moved by t)| and the share of equal labels, for every t of 0 to `span` rows and columns.

    The sum is told in units of the mean sum between two photographs: 0 is unmoved, 1 as different as another picture.
    By offset (the longer of rows and columns), and by phase: the largest power of 2 that divides rows and columns,
    since moves by a whole stride leave each position its windows. Intervals are over photographs, one crop of each.
    An untrained network gets its normalisation statistics from the unmoved crops.
    """
    channels, rows, columns = model.input_shape
    images = load_images(source, shape=(channels, rows + span, columns + span), crops=1, count=count)
    if model.untrained and isinstance(model, Differentiable):
        model.settle(each(images.pixels, lambda _, picture: picture[:, :rows, :columns], model.input_shape))
    outputs = _outputs(model, images, span, progress("moving crops", len(images.pixels)))
    still = outputs[:, :1, :1]
    apart = float(np.abs(outputs[:, 0, 0] - outputs[:, None, 0, 0]).sum(-1).sum()) / (len(outputs) * (len(outputs) - 1))
    change = np.abs(outputs - still).sum(-1) / apart
    equal = outputs.argmax(-1) == still.argmax(-1)
    row, column = np.indices((span + 1, span + 1))
    offset = np.maximum(row, column)
    phase = np.gcd(np.gcd(row, column), 2 ** (span.bit_length() - 1))
    return Shift(
        model=model.name,
        source=source,
        photographs=len(images.names),
        apart=apart,
        by_offset=tuple(_row(t, offset == t, change, equal, images) for t in range(1, span + 1)),
        by_phase=tuple(_row(s, (phase == s) & (offset > 0), change, equal, images) for s in np.unique(phase)),
        lattice=tuple(tuple(float(v) for v in line) for line in change.mean(0)),
    )


def _outputs(
    model: Sees, images: Images, span: int, tick: Tick
) -> Float[np.ndarray, "image row_offset column_offset output"]:
    rows, columns = model.input_shape[1:]
    found = []
    for picture in map(torch.from_numpy, images.pixels):
        windows = picture.unfold(1, rows, 1).unfold(2, columns, 1)  # channel, row offset, column offset, row, column
        moved = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
        outputs = tensor_of(model.measure(moved), "a vector for each picture").double().cpu()
        if outputs[0].numel() > outputs.shape[1]:
            raise InputError(f"{model.name} gives {tuple(outputs.shape[1:])} a picture: that moves with the crop.")
        found.append(outputs.flatten(1).unflatten(0, (span + 1, span + 1)).numpy())
        tick(1)
    return np.stack(found)


def _row(
    name: int,
    among: Bool[np.ndarray, "row_offset column_offset"],
    change: Float[np.ndarray, "image row_offset column_offset"],
    equal: Bool[np.ndarray, "image row_offset column_offset"],
    images: Images,
) -> Consistency:
    moved, same = (cluster_means(v[:, among].mean(1), images.photograph) for v in (change, equal))
    low, high, _ = mean_interval(moved, CONFIDENCE, rng=stream(0, f"shift/{name}"))
    trials = int(among.sum()) * len(change)
    share_low, share_high = wilson(same, trials, CONFIDENCE)
    share = Rate(value=float(same.mean()), low=share_low, high=share_high, n=len(same), trials=trials)
    return Consistency(pixels=int(name), change=float(moved.mean()), low=low, high=high, equal=share)
