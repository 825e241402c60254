"""Generated pictures: dead leaves, noise, paper, lines with a number, and textures."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from perturb.errors import InputError
from perturb.images.textures import retina, surface

Picture = Float[np.ndarray, "channel row column"]


def dead_leaves(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """A dead-leaves picture: opaque discs of random colour cover the plane; their radii have a density ~ r^-3.

    Radii lie between 2 pixels and a third of the shorter side. The statistics are scale invariant, like those of
    photographs: Lee, Mumford and Huang (2001), "Occlusion models for natural images".
    """
    channels, rows, columns = shape
    smallest, largest = 2.0, max(4.0, min(rows, columns) / 3)
    picture = np.zeros(shape, dtype=np.float32)
    bare = np.ones((rows, columns), dtype=bool)
    row, column = np.ogrid[:rows, :columns]
    for _ in range(20_000):  # far more than full coverage takes; pixels that stay bare are black
        radius = (smallest**-2 - rng.random() * (smallest**-2 - largest**-2)) ** -0.5
        y, x = rng.uniform(-radius, rows + radius), rng.uniform(-radius, columns + radius)
        colour = rng.random((channels, 1)).astype(np.float32) * 0.5 + np.float32(rng.random() * 0.5)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = (slice(top, max(top, int(y + radius) + 2)), slice(left, max(left, int(x + radius) + 2)))
        if not bare[box].any():
            continue
        seen = bare[box] & ((row[box[0]] - y) ** 2 + (column[:, box[1]] - x) ** 2 <= radius**2)
        if seen.any():
            picture[(slice(None), *box)][:, seen] = colour
            bare[box] &= ~seen
            if not bare.any():
                break
    return picture


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
