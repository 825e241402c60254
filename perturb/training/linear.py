"""A linear head on frozen features. Max pooling, so that a small perturbation is not averaged away."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from perturb.answers import tensor_of
from perturb.errors import InputError
from perturb.protocols import Differentiable
from perturb.training.lessons import Lessons

PASSES = 4  # epochs that it learns from; each shows a picture at another place
C = 0.1  # inverse strength of the L2 penalty, as in scikit-learn


def linear_head(model: Differentiable, layer: str, lessons: Lessons, *, seed: int) -> Callable[[Tensor], Tensor]:
    """A logistic regression on the maximum of each standardised channel: from the output of `layer` to logits.

    Raises InputError if the examples do not show every class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    shown = [batch for i in range(PASSES) for batch in lessons.epoch(128, seed=seed, name=f"probe/{i}")]
    maps = (tensor_of(model.measure(pictures, layer), "a feature map") for pictures, _ in shown)
    x = np.concatenate([_pooled(part).numpy() for part in maps])
    y = np.concatenate([truths.numpy() for _, truths in shown])
    if len(np.unique(y)) < lessons.task.outputs:
        shown_classes = f"{len(np.unique(y))} of {lessons.task.outputs} classes"
        raise InputError(f"the training pictures show {shown_classes}; add pictures, so that every class is shown.")
    scaler = StandardScaler().fit(x)
    head = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(x), y)
    weight, bias = head.coef_ / scaler.scale_, head.intercept_ - (head.coef_ / scaler.scale_) @ scaler.mean_
    if lessons.task.outputs == 2:  # scikit-learn keeps one row, for the second class
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    slope, offset = torch.from_numpy(weight.T), torch.from_numpy(bias)
    return lambda maps: _pooled(maps) @ slope + offset


def _pooled(maps: Tensor) -> Tensor:
    return maps.amax((2, 3)).double().cpu()
