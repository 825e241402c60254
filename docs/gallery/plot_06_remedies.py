"""
What balances a network
=======================

Each remedy takes a network and gives a changed copy. The structure says at once which of them make it even.
"""

import matplotlib.pyplot as plt

import perturb
from perturb.contribution import structural

model = perturb.load("torchvision:resnet18")
networks = {"as built": model}
for remedy in ("padding:fresh", "blurpool"):
    networks[remedy] = model.with_module(perturb.apply_remedy(model, remedy)[0])

# %%
figure, axes = plt.subplots(1, len(networks), figsize=(11, 3.4), layout="constrained")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    values = structural(network).values
    values = values / values.mean()
    figure.colorbar(ax.imshow(values, cmap="viridis", vmin=0, vmax=2), ax=ax, shrink=0.8)
    ax.set_title(f"{name}\nliveliest / deadest: {values.max() / values.min():.3g}")
