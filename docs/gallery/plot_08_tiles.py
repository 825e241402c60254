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

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for option in plan.options:
    cost = option.tiling.count / now.count
    ax.plot(cost, 100 * option.coverage.unseen, "o", color="#117a52" if option.efficient else "#8a8a92")
    ax.annotate(option.words, (cost, 100 * option.coverage.unseen), xytext=(6, 4), textcoords="offset points")
    print(f"{option.words:45} {100 * option.coverage.unseen:5.1f} % unseen, {cost:.1f} x the tiles")
ax.set(xlabel="tiles, times those of now", ylabel="places at blind phases only, %", xlim=(0.8, 6), ylim=(-1, 14))
