"""Functions that answer as people's models do, and read the picture through a lattice that is known.

`blind` reads every second row and column only; `even` reads every pixel alike. Pictures are dark, objects bright.
"""

from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from perturb import Preprocessing

PREPROCESSING = Preprocessing(input_shape=(1, 64, 64))
DARK = """
def dark(shape, rng):
    return rng.random(shape, dtype="float32") * 0.1
"""  # of a file: a source of pictures


def blind(x: Tensor) -> Tensor:
    return x[:, 0, ::2, ::2]


def even(x: Tensor) -> Tensor:
    return max_pool2d(x, 2)[:, 0]


def nothing(x: Tensor) -> Tensor:
    return torch.zeros_like(blind(x))


def everything(x: Tensor) -> Tensor:
    return torch.ones_like(blind(x))


def score(seen: Tensor) -> Tensor:
    return seen.amax((1, 2))


def heat(seen: Tensor) -> dict[str, Tensor]:
    return {"anomaly_map": seen[:, None], "pred_score": seen.amax((1, 2))}


def boxes(seen: Tensor) -> list[dict[str, Tensor]]:
    return [_boxes(one) for one in seen]


def _boxes(seen: Tensor) -> dict[str, Tensor]:
    row, column = torch.nonzero(seen > 0.2).T
    corners = torch.stack([2 * column, 2 * row, 2 * column + 2, 2 * row + 2], 1).float()
    return {"boxes": corners, "scores": seen[row, column], "labels": torch.ones(len(row), dtype=torch.long)}


def text(seen: Tensor) -> list[str]:
    return ["12.5" if float(one.max()) > 0.3 else "125" for one in seen]


def results(seen: Tensor) -> list[SimpleNamespace]:
    return [SimpleNamespace(own=float(one.max())) for one in seen]


EYES = {"blind": blind, "even": even, "nothing": nothing, "everything": everything}
ANSWERS = {"score": score, "map": heat, "boxes": boxes, "text": text, "own": results}


def model(eye: str, answer: str):
    """A function of a batch: what the eye sees, answered in this form."""
    return lambda x: ANSWERS[answer](EYES[eye](x))
