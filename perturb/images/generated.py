"""Generated pictures: dead leaves, noise, paper, lines with a number, and textures."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from perturb.errors import InputError
from perturb.images.textures import retina, surface

Picture = Float[np.ndarray, "channel row column"]
LEAVES = 20_000  # far more than full coverage takes; pixels that stay bare are black
AT_ONCE = 500  # leaves


def dead_leaves(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """A dead-leaves picture: opaque discs of random colour cover the plane; their radii have a density ~ r^-3.

    Radii lie between 2 pixels and a third of the shorter side. The statistics are scale invariant, like those of
    photographs: Lee, Mumford and Huang (2001), "Occlusion models for natural images".
    """
    channels, rows, columns = shape
    smallest, largest = 2.0, max(4.0, min(rows, columns) / 3)
    drawn = rng.random((LEAVES, channels + 4))
    radius = radii(drawn[:, 0], smallest, largest)
    y, x = (-radius + (side + 2 * radius) * drawn[:, axis] for axis, side in ((1, rows), (2, columns)))
    colour = drawn[:, 3:-1].astype(np.float32) * 0.5 + (drawn[:, -1:] * 0.5).astype(np.float32)
    top, left = (np.maximum(0, (centre - radius).astype(int)) for centre in (y, x))
    bottom, right = (np.minimum((centre + radius).astype(int) + 2, side) for centre, side in ((y, rows), (x, columns)))
    picture = np.zeros(shape, dtype=np.float32)
    bare = np.ones((rows, columns), dtype=bool)
    row, column = np.ogrid[:rows, :columns]
    for first in range(0, LEAVES, AT_ONCE):
        if not bare.any():
            break
        # The bare pixels in the boxes of many leaves at once, from a table of sums: late leaves hardly meet any.
        sums = np.pad(bare.cumsum(0, dtype=np.int32).cumsum(1), ((1, 0), (1, 0)))
        up, down, west, east = (edge[first : first + AT_ONCE] for edge in (top, bottom, left, right))
        met = sums[down, east] - sums[up, east] - sums[down, west] + sums[up, west]
        for leaf in first + np.flatnonzero(met):
            box = (slice(top[leaf], bottom[leaf]), slice(left[leaf], right[leaf]))
            disc = (row[box[0]] - y[leaf]) ** 2 + (column[:, box[1]] - x[leaf]) ** 2 <= radius[leaf] ** 2
            seen = bare[box] & disc
            picture[(slice(None), *box)][:, seen] = colour[leaf, :, None]
            bare[box] &= ~seen
    return picture


def radii(uniform: Float[np.ndarray, " leaf"], smallest: float, largest: float) -> Float[np.ndarray, " leaf"]:
    """Radii with a density ~ r^-3 between these, from uniform numbers in [0, 1)."""
    return np.asarray((smallest**-2 - uniform * (smallest**-2 - largest**-2)) ** -0.5)


def noise(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """Independent pixels, uniform between 0 and 1."""
    return rng.random(shape, dtype=np.float32)


def paper(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """A blank page in 8 bits: grey level 230 with Gaussian grain of standard deviation 1.5."""
    page = np.clip(230 + rng.normal(0, 1.5, shape[1:]), 0, 255).round() / 255
    return np.broadcast_to(page.astype(np.float32), shape).copy()


def number_line(shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[Picture, tuple[int, int]]:
    """A line with a number of one to three digits, a gap for its decimal point, and two decimals; black on white.

    The font is Pillow's own, two thirds of the line high. Also gives the (row, column) of the pixel where the point
    belongs: on the foot of the digits, two pixels behind the whole number. Raises InputError where it does not fit.
    """
    _, rows, columns = shape
    font = ImageFont.load_default(2 * rows // 3)
    assert isinstance(font, ImageFont.FreeTypeFont)
    whole, decimals = str(rng.integers(1, 1000)), str(rng.integers(10, 100))
    top, left = rows // 12, rows // 4
    right = left + int(np.ceil(font.getlength(whole)))
    if right + 6 + font.getlength(decimals) > columns:
        raise InputError(f"a picture of {rows} x {columns} is too narrow for a line with a number; try 48 x 176.")
    line = Image.new("L", (columns, rows), 255)
    draw = ImageDraw.Draw(line)
    draw.text((left, top), whole, font=font, fill=0)
    draw.text((right + 6, top), decimals, font=font, fill=0)
    picture = np.broadcast_to(np.asarray(line, dtype=np.float32) / 255, shape).copy()
    return picture, (top + font.getmetrics()[0] - 1, right + 2)


Place = tuple[int, int]
Draw = Callable[[tuple[int, int, int], np.random.Generator], Picture | tuple[Picture, Place]]
GENERATED: dict[str, Draw] = {
    "dead-leaves": dead_leaves,
    "noise": noise,
    "paper": paper,
    "number-lines": number_line,
    "surface": surface,
    "retina": retina,
}
