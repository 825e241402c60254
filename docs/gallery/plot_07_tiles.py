"""
Tiles: which places have no second chance
=========================================

A large picture is cut into tiles that overlap. Where the step from tile to tile is a whole number of periods, all tiles
see a place at the same phase, and the overlap helps nothing.
"""

import matplotlib.pyplot as plt

import perturb
from perturb.stories.tiles import plan_structural

model = perturb.load("torchvision:resnet18")
now = perturb.Tiling(picture=(3000, 4000), tile=(640, 640), overlap=(64, 64))
plan = plan_structural(model, now)

# %%
# What is unseen now, and what each change of the tiling would leave, against its cost in tiles.

names = [f"{option.words} ({option.tiling.count / now.count:.1f} x the tiles)" for option in plan.options]
unseen = [100 * option.coverage.unseen for option in plan.options]
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
bars = ax.barh(names[::-1], unseen[::-1], color="#5b3fa0")
ax.bar_label(bars, fmt="%.1f %%", padding=4)
ax.set(xlabel="places that every tile sees at a blind phase, %", xlim=(0, 14))
