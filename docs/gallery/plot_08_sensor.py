"""
The camera's pixels that a resize passes over
=============================================

Many pipelines resize with OpenCV's ``INTER_LINEAR``. It reads two rows and two columns for each pixel of the result.
What lies between them reaches no network.
"""

import matplotlib.pyplot as plt
from torch import nn

import perturb
from perturb.contribution.camera import sensor
from perturb.sensor import Letterbox

# %%
# A camera of 1080 x 1920 pixels before a network of 640 x 640: the factor is 3, and one pixel of nine is read.


def behind(antialias):
    """Any network behind the letterbox: the map of the camera does not depend on it."""
    steps = (Letterbox((640, 640), antialias=antialias),)
    told = perturb.Preprocessing(input_shape=(3, 1080, 1920), steps=steps)
    return perturb.Network(nn.Conv2d(3, 1, 1), preprocessing=told)


figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for ax, antialias in zip(axes, (False, True), strict=True):
    found = sensor(behind(antialias))
    values = found.values[540:552, 960:972] / found.values.mean()
    figure.colorbar(ax.imshow(values, cmap="viridis", vmin=0), ax=ax, shrink=0.8)
    ax.set_title(f"antialias={antialias}: {100 * (found.values == 0).mean():.0f} % never read")
