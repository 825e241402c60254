"""A contribution map as a picture: the whole map, and one period of it enlarged."""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from perturb.render.colour import paint

SIDE = 448  # of each panel, in pixels
GAP, TOP, BAR = 40, 84, 64
INK, FAINT = (30, 30, 34), (110, 110, 118)


def picture(
    values: Float[np.ndarray, "row column"],
    phases: Float[np.ndarray, "phase_row phase_column"],
    *,
    title: str,
    subtitle: str,
) -> Image.Image:
    """Left the map, coloured from 0 to its 99.5th percentile; right one period with values in units of the mean.

    Where the map's top left is not at phase (0, 0) the caller aligns it.
    """
    sheet = Image.new("RGB", (2 * SIDE + 3 * GAP, TOP + SIDE + BAR + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 16), title, INK, _font(20))
    draw.text((GAP, 46), subtitle, FAINT, _font(14))
    high = float(np.percentile(values, 99.5))
    sheet.paste(_panel(values, 0.0, high), (GAP, TOP))
    left = SIDE + 2 * GAP
    sheet.paste(_panel(phases, 0.0, float(phases.max())), (left, TOP))
    _numbers(draw, phases, left)
    _bar(
        sheet,
        draw,
        GAP,
        0.0,
        high / float(values.mean()),
        f"{values.shape[0]} x {values.shape[1]} pixels, contribution / mean",
    )
    _bar(sheet, draw, left, 0.0, float(phases.max()), f"one {len(phases)} x {len(phases)} period, contribution / mean")
    return sheet


def _panel(values: np.ndarray, low: float, high: float) -> Image.Image:
    image = Image.fromarray(paint(values, low, high))
    scale = max(1, SIDE // max(values.shape))
    image = image.resize((values.shape[1] * scale, values.shape[0] * scale), Image.Resampling.NEAREST)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX if scale == 1 else Image.Resampling.NEAREST)


def _numbers(draw: ImageDraw.ImageDraw, phases: np.ndarray, left: int) -> None:
    """Each phase's value, as far as there is room; dark ink on bright phases."""
    count = len(phases)
    if count > 16:
        return
    cell = SIDE / count
    font = _font(int(min(18, cell / 2.6)))
    for row in range(count):
        for column in range(count):
            value = float(phases[row, column])
            ink = INK if value > 0.6 * phases.max() else (255, 255, 255)
            centre = (left + (column + 0.5) * cell, TOP + (row + 0.5) * cell)
            draw.text(centre, f"{value:.2f}", ink, font, anchor="mm")


def _bar(sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, low: float, high: float, label: str) -> None:
    ramp = paint(np.linspace(0, 1, SIDE)[None].repeat(12, 0), 0.0, 1.0)
    top = TOP + SIDE + 16
    sheet.paste(Image.fromarray(ramp), (left, top))
    draw.text((left, top + 18), f"{low:.2g}", FAINT, _font(13))
    draw.text((left + SIDE, top + 18), f"{high:.3g}", FAINT, _font(13), anchor="ra")
    draw.text((left + SIDE / 2, top + 18), label, FAINT, _font(13), anchor="ma")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
