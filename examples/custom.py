"""A perturbation, an evaluator and a quantity of your own, named in a suite: see custom.perturb.toml beside this file.

perturb qualify torchvision:mobilenet_v3_small --suite examples/custom.perturb.toml
"""

from dataclasses import dataclass

import numpy as np

from perturb.evaluators.reading import Reading
from perturb.quantities.detection import Paired, measured


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A dark diagonal line of `size` pixels."""

    words = "a short scratch"
    size: int = 3

    def apply(self, picture, place, level, rng):
        changed, step = picture.copy(), np.arange(self.size)
        changed[:, place[0] + step, place[1] + step] *= 1 - np.float32(level)
        return changed


@dataclass(frozen=True, kw_only=True)
class Entropy(Reading):
    """How undecided the network's output is, as the entropy of its softmax; `move` is how far it moved, in decades."""

    words = "the entropy of the output"
    temperature: float = 1.0
    noise: float = 0.01
    layer: str = "output"

    def evidence(self, outputs, asked, known):
        share = (outputs.flatten(1) / self.temperature).softmax(1)
        return -(share * share.log()).sum(1)

    def measures(self, outputs, asked):
        return {"move": (outputs - outputs[asked.twin]).flatten(1).norm(dim=1).clamp(min=1e-12).log10()}


MOVE_LOST = Paired(
    value=measured("move"), version=2, words="how much less the output moves at dead places", limit=1.0
)  # a difference of more than a decade counts as one decade
