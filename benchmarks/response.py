"""Phases and borders in 2.9 % of the places, against every place."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.timing import DEVICE, once, table
from perturb.contribution import Options, full_scan, quotient_scan
from perturb.images import load_images
from perturb.locations import fold
from perturb.model import load_network
from perturb.records import Contribution


def report() -> Iterator[str]:
    model = load_network("torchvision:mobilenet_v2", device=DEVICE)
    pictures = np.asarray(load_images("noise", shape=model.input_shape, count=64).pixels)
    model.settle(torch.from_numpy(pictures[:16]))
    layer = model.find_layer("stride:4")
    rows = []
    for count in (4, 16, 64):
        found: dict[str, Contribution] = {}

        def scan(name: str, of: object, **options: float) -> None:
            found[name] = of(model, pictures[:count], layer, Options(**options))  # type: ignore[operator]  # noqa: B023

        seconds = {
            "quotient": once(lambda: scan("quotient", quotient_scan, precision=0.0)),
            "full": once(lambda: scan("full", full_scan)),
        }
        whole, phases = (
            np.corrcoef(*(by(found[name]).ravel() for name in ("quotient", "full")))[0, 1]
            for by in (lambda c: c.values, fold)
        )
        rows.append(
            [
                count,
                f"{seconds['quotient']:.1f} s",
                f"{seconds['full']:.0f} s",
                f"{seconds['quotient'] / seconds['full']:.1%}",
                f"{whole:.4f}",
                f"{phases:.4f}",
            ]
        )
    return table(["pictures", "quotient", "full", "cost", "correlation of the maps", "of the phases"], rows)
