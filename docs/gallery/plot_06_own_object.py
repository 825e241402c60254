"""
An object of your own
=====================

What matters to you may be a scratch, a hair or a speck of your own kind. A perturbation is a class with one function.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from perturb.images import load_images

# %%
# ``apply`` takes a picture (channel, row, column; values from 0 to 1), the place (row, column) of the object's top
# left, its level from 0 to 1 and a random generator. It gives a changed copy. At level 0 nothing may change.


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A dark diagonal line of `size` pixels."""

    words = "a short scratch"
    size: int = 3

    def apply(self, picture, place, level, rng):
        changed, step = picture.copy(), np.arange(self.size)
        changed[:, place[0] + step, place[1] + step] *= 1 - np.float32(level)
        return changed


photograph = load_images("built-in", shape=(3, 96, 96), crops=1, seed=1).pixels[5]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, level in zip(axes, (0.1, 0.3, 0.9), strict=True):
    shown = Scratch(size=12).apply(photograph, (40, 40), level, np.random.default_rng(0))
    ax.imshow(shown.transpose(1, 2, 0))
    ax.set_title(f"level {level}")
    ax.axis("off")

# %%
# Put the class into a file beside the suite, and name it there::
#
#     [[check]]
#     name = "scratch"
#     perturbation = { kind = "custom.py:Scratch", size = 4 }
#     level = 0.5
#     claim = { quantity = "accuracy-loss", at_most = 0.1 }
#
# ``examples/custom.py`` is such a file, with an evaluator and a quantity beside the object.
