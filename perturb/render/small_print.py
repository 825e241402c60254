"""The page of the second demonstration as a picture: the same words, lost on one row and found on another."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Group, RenderableType
from rich.text import Text

from perturb.figures import Page
from perturb.render import terminal
from perturb.report import Report

SHOWN = 250, 330  # rows and columns of the page
SCALE, GAP, TOP = 2, 36, 96
KEY = "Green: found. Red: lost."
LIMITS = (
    "The effect lives in a window: print that is much darker is found on every row, lighter print and lone words on "
    "none. Most pages have larger print. Which rows are weak is learned by this version; the next one differs."
)
INK, LOST, FOUND = (30, 30, 34), (200, 30, 40), (20, 130, 60)


def picture(model: str, lost: Page, found: Page) -> Image.Image:
    """Left the page where its words are lost, right the same page moved by a few rows."""
    rows, columns = (SCALE * n for n in SHOWN)
    sheet = Image.new("RGB", (2 * columns + 3 * GAP, TOP + rows + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 14), f"What {model} finds of small print on a page. {KEY}", INK, ImageFont.load_default(20))
    for number, (page, words) in enumerate(((lost, "as it lies"), (found, f"moved up by {moved(lost, found)}"))):
        left = GAP + number * (columns + GAP)
        draw.text((left, 56), f"The page {words}: {share(page)} found", INK, ImageFont.load_default(17))
        sheet.paste(_panel(page), (left, TOP))
    return sheet


def moved(lost: Page, found: Page) -> str:
    pixels = int(lost.words[0, 0] - found.words[0, 0])
    return f"{pixels} pixel{'s' if pixels > 1 else ''}"


def share(page: Page) -> str:
    return f"{int(page.found.sum())} of {len(page.found)} words"


def view(report: Report, lost: Page, found: Page, folder: str) -> RenderableType:
    """What the terminal shows: the page, the check, what argues against reading too much into it, what comes next."""
    (finding,), (experiment,) = report.findings, report.experiments
    head = Text("Does it find small print wherever the page lies?\n", "bold")
    head.append(
        f"{report.model.reference}: words of five digits, five pixels high, on grey paper. The page moves by a few "
        f"pixels; the words stay on it. Rows were chosen on {report.images.calibration.photographs} pages, and judged "
        f"on {report.images.judged.photographs} others.",
        "dim",
    )
    page = Text(
        f"\nOne page as it lies: {share(lost)} found. Moved up by {moved(lost, found)}: {share(found)}.", "bold"
    )
    return Group(
        head,
        page,
        Text(),
        terminal.finding(finding),
        Text(),
        terminal.rates([experiment]),
        Text(),
        terminal.phases(experiment),
        Text("\n" + LIMITS, "dim"),
        Text(f"\nOpen {folder}/small-print.png and {folder}/report.html."),
    )


def _panel(page: Page) -> Image.Image:
    """A part of the page, enlarged, each word in a frame."""
    top, left = (int(n) - 16 for n in page.words.min(0))
    part = page.pixels[:, top : top + SHOWN[0], left : left + SHOWN[1]]
    image = Image.fromarray((255 * part.transpose(1, 2, 0)).round().astype(np.uint8))
    image = image.resize((SCALE * SHOWN[1], SCALE * SHOWN[0]), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    rows, columns = page.extent
    for (row, column), seen in zip(page.words.tolist(), page.found, strict=True):
        y, x = SCALE * (row - top - 3), SCALE * (column - left - 3)
        draw.rectangle(
            (x, y, x + SCALE * (columns + 5), y + SCALE * (rows + 5)), outline=FOUND if seen else LOST, width=2
        )
    return image
