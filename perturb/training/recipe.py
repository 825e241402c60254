"""Hyperparameters of training."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stochastic gradient descent with momentum and weight decay; the learning rate follows half a cosine."""

    epochs: int = 200
    batch: int = 128
    rate: float = 1e-2
    momentum: float = 0.9
    decay: float = 5e-4

    def rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch (counted from 0): rate (1 + cos(pi epoch / epochs)) / 2."""
        return self.rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


RECIPES = {
    "paper": Recipe(),  # Kim et al. (2023)
    "short": Recipe(epochs=20, batch=32),  # takes minutes on two cores for a small network
}
