"""
One changed pixel at a dead place and at a live one
===================================================

An experiment shows a model the same photograph with the same change at two places a few pixels apart. The layer at
stride 8 of an untrained MobileNetV3-small moves much less for one of them.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import perturb
from perturb.contribution import structural
from perturb.images import load_images

model = perturb.load("torchvision:mobilenet_v3_small")
photograph = load_images("built-in", shape=model.input_shape, crops=1, seed=0).pixels[3]
layer = model.find_layer("stride:8")

# %%
# Each of 16 x 16 pixels in the middle of the photograph is changed by half the range, one at a time.

SIDE, top, left = 16, 104, 104
changed = np.repeat(photograph[None], SIDE * SIDE + 1, axis=0)
for number in range(SIDE * SIDE):
    pixel = changed[number, :, top + number // SIDE, left + number % SIDE]
    changed[number, :, top + number // SIDE, left + number % SIDE] = np.where(pixel > 0.5, pixel - 0.5, pixel + 0.5)
with torch.inference_mode():
    features = torch.cat([model.measure(torch.from_numpy(part), layer) for part in np.array_split(changed, 9)])
moved = (features[:-1] - features[-1]).flatten(1).norm(dim=1).reshape(SIDE, SIDE).numpy()

# %%
# Beside it the structural map of the same layer, which looked at no picture at all.

exact = structural(model, layer).values ** 0.5
repeats = SIDE // exact.shape[0]
exact = np.tile(exact, (repeats, repeats))
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
axes[0].imshow(photograph.transpose(1, 2, 0))
axes[0].add_patch(plt.Rectangle((left, top), SIDE, SIDE, fill=False, edgecolor="red"))
axes[0].set_title("the photograph; pixels of the square are changed")
for ax, values, title in zip(axes[1:], (exact, moved), ("structure (root)", "how far the features move"), strict=True):
    figure.colorbar(ax.imshow(values / values.mean(), cmap="viridis", vmin=0), ax=ax, shrink=0.8)
    ax.set_title(title)
print(f"liveliest / deadest place: {moved.max() / moved.min():.1f}; rank correlation with the structure: ", end="")
ranks = [values.ravel().argsort().argsort() for values in (exact, moved)]
print(f"{np.corrcoef(*ranks)[0, 1]:.2f}")
