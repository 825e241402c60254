"""What the terminal shows of the history: a line for each run, a curve for each check."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.history import Entry, Point, Series
from perturb.render.badges import BADGES
from perturb.render.terminal import number
from perturb.visible import plained

BARS = "▁▂▃▄▅▆▇█"
NEWEST = 24  # points that a curve shows


def listing(entries: Sequence[Entry]) -> RenderableType:
    if not entries:
        return Text("No runs kept yet: `perturb qualify` keeps each of its own.")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("run", "when", "verdict", "suite", "model"):
        table.add_column(column, overflow="fold")
    for e in plained(list(entries)):
        when = e.timestamp[:16].replace("T", " ")
        table.add_row(e.run[:12], when, Text(e.verdict, BADGES[e.verdict].style), e.suite, e.model)
    return table


def trends(series: Sequence[Series]) -> RenderableType:
    """A curve for each check, under its suite and model; in the colour of the latest verdict."""
    if not series:
        return listing(())
    parts: list[RenderableType] = []
    for (suite, model), each in groupby(plained(list(series)), key=lambda s: (s.suite, s.model)):
        parts.append(Text(f"{suite}: {model}", "bold"))
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for s in each:
            last = s.points[-1]
            latest = f"{number(last.value)} [{number(last.low)}, {number(last.high)}]"
            claim = f"claimed at most {last.at_most:g}; runs: {len(s.points)}"
            table.add_row(f"  {s.check}", Text(_curve(s.points), BADGES[last.verdict].style), latest, claim)
        parts.append(table)
    return Group(*parts)


def _curve(points: Sequence[Point]) -> str:
    """From zero to the largest value or claim."""
    values = [point.value for point in points][-NEWEST:]
    high = max(*values, points[-1].at_most, 1e-9)
    return "".join(BARS[round(max(value, 0) / high * (len(BARS) - 1))] for value in values)
