"""Frozen features and a linear head, per position and pooled by max: what a small trained detector could use."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.protocols import Taps

POSITIONS = 8  # of every clean picture that teach "nothing here", besides the twin of the changed one


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Evidence = the largest score of a logistic regression over the positions of a feature map.

    Learnt on calibration images. A perturbed picture teaches the position that differs most from its clean twin; the
    twin teaches that same position and a few more, evenly over the map. Features are standardised; `C` is
    scikit-learn's inverse penalty. The threshold is pinned on clean shots of the calibration images.
    """

    noise: float = 0.02
    layer: str = "last"
    shots: int = 4
    C: float = 0.1
    weight: Float[Tensor, "channel 1 1"] | None = None  # what `fit` learns
    bias: float = 0.0

    own_threshold = False
    needs_examples = True

    def fit(self, model: Taps, clean: Tensor, perturbed: Tensor) -> "Probe":
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        without, with_ = (model.measure(p.flatten(0, 1), self.layer).flatten(2) for p in (clean, perturbed))
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

    def study(self, model: Taps, shots: Tensor) -> tuple[None, Float[Tensor, "image shot"]]:
        return None, self.evidence(model, None, shots)

    def evidence(self, model: Taps, known: None, retakes: Tensor) -> Float[Tensor, "image picture"]:
        assert self.weight is not None, "fit comes before evidence"
        maps = model.measure(retakes.flatten(0, 1), self.layer)
        scores = ((maps * self.weight).sum(1) + self.bias).amax((1, 2))
        return scores.unflatten(0, retakes.shape[:2])
