"""
The lattices of well-known networks
===================================

The same count for networks that people use. It takes no weights and no pictures.
"""

import matplotlib.pyplot as plt

import perturb
from perturb.contribution import structural

names = ["mobilenet_v3_small", "resnet18"]
found = {name: structural(perturb.load(f"torchvision:{name}")) for name in names}

# %%
# A value of 1 is the mean. Each picture is one period; it repeats over the whole input.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for ax, (name, contribution) in zip(axes, found.items(), strict=True):
    perturb.ContributionDisplay(contribution).plot(ax)
    ratio = contribution.values.max() / contribution.values.min()
    ax.set_title(f"{name}, period {contribution.period}\nliveliest / deadest: {ratio:.3g}")

# %%
# Which layers make the lattice of MobileNetV3-small? ``perturb lint torchvision:mobilenet_v3_small`` prints the table,
# and Python has it as a record. A layer is balanced where its kernel is a multiple of its stride.

for layer in perturb.lint(perturb.load("torchvision:mobilenet_v3_small"))["layers"]:
    if layer["stride"] != [1, 1]:
        print(f"{layer['name']:24} kernel {layer['kernel']}  stride {layer['stride']}  balanced: {layer['balanced']}")
