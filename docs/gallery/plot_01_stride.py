"""
One stride is enough
====================

A 3 x 3 kernel that moves by 2 reads some pixels once, some twice and some four times. Stacked layers multiply these
counts, and the places with the smallest product are **dead pixels**.
"""

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

from perturb import Network, Preprocessing
from perturb.contribution import structural

# %%
# Three networks whose layers differ by their kernels alone.


def network(kernel, padding, layers):
    """`layers` convolutions with stride 2, three channels each."""
    stack = [nn.Conv2d(3, 3, kernel, stride=2, padding=padding) for _ in range(layers)]
    return Network(nn.Sequential(*stack), preprocessing=Preprocessing(input_shape=(3, 64, 64)))


networks = {
    "one 3 x 3, stride 2": network(3, 1, 1),
    "three 3 x 3, stride 2": network(3, 1, 3),
    "three 4 x 4, stride 2": network(4, 1, 3),
}

# %%
# :func:`structural` counts exactly, for weights whose squares are alike: no picture is shown and nothing is drawn at
# random. The values repeat, so a cell of 16 x 16 pixels shows everything.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (name, model) in zip(axes, networks.items(), strict=True):
    found = structural(model)
    values = found.values / found.values.mean()
    shown = ax.imshow(np.tile(values, (16 // found.period,) * 2), cmap="viridis", vmin=0)
    ax.set_title(f"{name}\nliveliest / deadest: {values.max() / values.min():.3g}")
    figure.colorbar(shown, ax=ax, shrink=0.7)

# %%
# One layer makes a ratio of 4 between its liveliest and its deadest pixels. Three layers make more. The even kernel
# makes none: its size is a multiple of its stride, so each pixel is read equally often.
