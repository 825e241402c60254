"""Frozen features and a linear head, per position and pooled by max: what a small trained detector could use."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.evaluators.reading import Reading
from perturb.protocols import Asked

POSITIONS = 8  # of every clean picture that teach "nothing here", besides the twin of the changed one


@dataclass(frozen=True, kw_only=True)
class Features(Reading):
    """Evidence = the largest score of a logistic regression over the positions of a feature map.

    Learnt on calibration images. A perturbed picture teaches the position that differs most from its clean twin. The
    twin teaches that same position and a few more, evenly over the map. Features are standardised; `C` is
    scikit-learn's inverse penalty.
    """

    words: ClassVar[str] = "a logistic regression on frozen features, taught on calibration photographs"
    scale: ClassVar[str] = "log-odds of the regression, at the position of the feature map where they are largest"

    noise: float = 0.02
    layer: str = "last"
    C: float = 0.1
    weight: Float[Tensor, "channel 1 1"] | None = None  # what `learn` finds
    bias: float = 0.0

    def learn(self, clean: Tensor, perturbed: Tensor) -> "Features":
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        without, with_ = clean.flatten(2), perturbed.flatten(2)
        changed = (with_ - without).square().mean(1).argmax(1)
        row = torch.arange(len(changed), device=changed.device)
        some = without[:, :, :: max(1, without.shape[2] // POSITIONS)].transpose(1, 2).flatten(0, 1)
        nothing = torch.cat([without[row, :, changed], some])
        x = torch.cat([with_[row, :, changed], nothing]).double().cpu().numpy()
        y = [1] * len(changed) + [0] * len(nothing)
        scaler = StandardScaler().fit(x)
        head = LogisticRegression(C=self.C, class_weight="balanced", max_iter=1000).fit(scaler.transform(x), y)
        weight = head.coef_[0] / scaler.scale_
        bias = float(head.intercept_[0] - (weight * scaler.mean_).sum())
        return replace(self, weight=torch.from_numpy(weight)[:, None, None].to(with_), bias=bias)

    def evidence(self, outputs: Tensor, asked: Asked, known: Any) -> Float[Tensor, " picture"]:
        assert self.weight is not None, "learn comes before evidence"
        return ((outputs * self.weight).sum(1) + self.bias).amax((1, 2))
