"""The gradient map of the central unit: ours against OpenERF on the same pictures."""

from collections.abc import Iterator

import numpy as np
import torch
from openerf.erf import _compute_positive_input_gradients_from_layer as openerf_picture
from torchvision.models import resnet18

from benchmarks.timing import DEVICE, interleaved, table
from perturb.contribution import centre
from perturb.images import load_images
from perturb.model import Network, Preprocessing
from perturb.precision import full_float32


def report() -> Iterator[str]:
    rows = []
    for side, count, rounds in ((224, 8, 3), (896, 8, 1)):
        shape = (3, side, side)
        pictures = np.asarray(load_images("built-in", shape=shape, crops=1).pixels[:count])
        model = Network(resnet18(), preprocessing=Preprocessing(input_shape=shape), device=DEVICE)
        model.settle(torch.from_numpy(pictures))
        theirs = resnet18().eval().to(DEVICE)
        theirs.load_state_dict(model.module.state_dict())
        found: dict[str, np.ndarray] = {}

        def ours() -> None:
            found["ours"] = centre(model, pictures, "layer4").values  # noqa: B023

        @full_float32()
        def openerf() -> None:
            total = torch.zeros(shape[1:])  # noqa: B023
            for picture in pictures:  # noqa: B023
                x = torch.from_numpy(picture)[None].to(DEVICE).requires_grad_()
                total += openerf_picture(theirs, x, theirs.layer4, "layer4").cpu()  # noqa: B023
            found["openerf"] = (total / total.sum()).numpy()  # noqa: B023

        seconds = interleaved({"ours": ours, "openerf": openerf}, rounds)
        agreement = np.corrcoef(found["ours"].ravel(), found["openerf"].ravel())[0, 1]
        each = [f"{1000 * s / count:.0f} ms" for s in seconds.values()]
        rows.append([f"{side} x {side}", *each, f"{seconds['openerf'] / seconds['ours']:.2f}", f"{agreement:.6f}"])
    return table(["picture", "ours, a picture", "OpenERF", "ratio", "correlation"], rows)
