"""The contribution map that a suite asks for."""

import numpy as np

from perturb.contribution import KINDS, Options
from perturb.protocols import Progress, Sees, quiet
from perturb.records import Contribution, Images
from perturb.suite import MapTable


def estimate(
    model: Sees, table: MapTable, layer: str, images: Images, *, seed: int, progress: Progress = quiet
) -> Contribution:
    """The map of one layer, measured on as many of these images as the table says, evenly chosen."""
    count = min(table.images, len(images.pixels))
    pixels = images.pixels[np.linspace(0, len(images.pixels) - 1, count).astype(int)]
    options = Options(
        probes=table.probes,
        level=table.level,
        period=table.period,
        seed=seed,
        tick=progress("map", len(pixels)),
    )
    return KINDS[table.kind](model, pixels, layer, options)
