"""Draw docs/objects.png: every kind of object at two levels, on a photograph of bricks, four times enlarged.

python examples/objects.py [FILE]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.data import brick

from perturb.perturbations.cutout import Cutout
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.perturbations.print import Print
from perturb.perturbations.shapes import Blob, Scratch

HERE = Path(__file__).parent
SIDE, ZOOM, LEVELS = 32, 4, (0.3, 1.0)
OBJECTS = {
    "pixel": Pixel(),
    "box": Box(size=3),
    "noise": Noise(size=4),
    "blob": Blob(sigma=1.2, polarity="darker"),
    "blob, a disc": Blob(sigma=0.8, diameter=7),
    "scratch": Scratch(width=0.7, length=28, angle=12, polarity="darker", strength="contrast"),
    "cutout": Cutout(file=str(HERE / "fibre.png"), longest=24, angle=20),
    "print": Print(),
    "print, a text": Print(text="R5", font_size=16, mode="blend", polarity="darker", colour=(1.0, 0.8, 0.2)),
}


def tile(kind: object, level: float) -> Image.Image:
    """The object in the middle of a piece of the photograph."""
    picture = np.repeat(brick()[None, 8 : 8 + SIDE, 40 : 40 + SIDE], 3, 0).astype(np.float32) / 255
    place = tuple((SIDE - n) // 2 for n in kind.extent)
    shown = kind.apply(picture, place, level, np.random.default_rng(0))
    values = np.uint8(np.round(255 * shown)).transpose(1, 2, 0)
    return Image.fromarray(values).resize((ZOOM * SIDE, ZOOM * SIDE), Image.Resampling.NEAREST)


def sheet() -> Image.Image:
    """A column for each object, a row for each level."""
    step, head = ZOOM * SIDE + 4, 16
    drawn = Image.new("RGB", (step * len(OBJECTS), head + step * len(LEVELS)), "white")
    for column, (name, kind) in enumerate(OBJECTS.items()):
        ImageDraw.Draw(drawn).text((column * step + 2, 2), name, fill="black")
        for row, level in enumerate(LEVELS):
            drawn.paste(tile(kind, level), (column * step, head + row * step))
    return drawn


if __name__ == "__main__":
    sheet().save(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "docs" / "objects.png", optimize=True)
