"""Pictures of published reports, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from perturb.report import Report
from perturb.visible import plain

WIDTH, ROW, LEFT, RIGHT = 760, 26, 250, 30  # in pixels
INK, FAINT, GRID, RED, BLUE = "#1e1e22", "#8a8a92", "#e4e4e8", "#b3261e", "#1f6fb2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One network, as built or changed, over the seeds of its weights."""

    model: str
    remedy: str
    files: tuple[str, ...]
    level: float
    dead: float  # means over seeds
    live: float
    losses: tuple[float, ...]
    low: float  # of one seed its interval; of several, half widths over photographs and seeds (t), added in squares
    high: float
    photographs: int
    verdicts: tuple[str, ...]

    @property
    def loss(self) -> float:
        return float(np.mean(self.losses))


def losses(found: Sequence[Line]) -> str:
    """Each line's loss with its interval: red as built, blue changed; small dots are single seeds."""
    height = ROW * len(found) + 60

    def x(loss: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (min(max(loss, -0.4), 1.0) + 0.4) / 1.4, 1)

    parts = []
    for tick in (-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(_line((x(tick), 10), (x(tick), height - 44), INK if tick == 0 else GRID))
        parts.append(_text(x(tick), height - 28, f"{tick:+.1f}", FAINT))
    for i, line in enumerate(found):
        y, colour = 24 + ROW * i, RED if line.remedy == "as built" else BLUE
        parts.append(_text(LEFT - 12, y + 4, f"{short(line.model)}, {line.remedy}", INK, "end"))
        parts.append(_line((x(line.low), y), (x(line.high), y), colour, 2))
        parts += [_dot(x(loss), y, 2.5, colour) for loss in line.losses]
        parts.append(_dot(x(line.loss), y, 5, colour))
    label = "accuracy lost at dead places: found at live ones minus found at dead ones"
    return _sheet([*parts, _text((LEFT + WIDTH - RIGHT) / 2, height - 8, label, INK)], height)


def lengths(found: Report) -> str:
    """The share right at dead (red) and at live places (blue), with intervals, against the length of training."""
    height, left = 300, 70
    epochs = [e.training[0].epochs for e in found.experiments]

    def x(length: float) -> float:
        share = np.log(length / min(epochs)) / np.log(max(epochs) / min(epochs))
        return round(left + 20 + (WIDTH - left - 60) * float(share), 1)

    def y(share: float) -> float:
        return round(20 + (height - 80) * (1 - share), 1)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            _line((left, y(tick)), (WIDTH - RIGHT, y(tick)), GRID),
            _text(left - 10, y(tick) + 4, f"{tick:g}", FAINT, "end"),
        ]
    parts += [_text(x(length), height - 40, f"{length}", FAINT) for length in epochs]
    for arm, colour, shift in (("dead", RED, -3), ("live", BLUE, 3)):
        rates = [getattr(e.detected, arm) for e in found.experiments]
        at = [(x(length) + shift, y(r.value)) for length, r in zip(epochs, rates, strict=True)]
        parts += [_line(a, b, colour) for a, b in pairwise(at)]
        parts += [_line((p[0], y(r.low)), (p[0], y(r.high)), colour, 2) for p, r in zip(at, rates, strict=True)]
        parts += [_dot(*p, 4, colour) for p in at]
    label = "epochs of training; share right at dead places (red) and at live ones (blue)"
    return _sheet([*parts, _text((left + WIDTH - RIGHT) / 2, height - 14, label, INK)], height)


def short(model: str) -> str:
    """A reference without where it is from."""
    return model.rpartition("/")[2].removeprefix("torchvision:").removeprefix("timm:")


def _sheet(parts: Sequence[str], height: int) -> str:
    box = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="{colour}" stroke-width="{width}"/>'
    )


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'


def _text(x: float, y: float, words: str, colour: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(plain(words))}</text>'
