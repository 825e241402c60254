"""Translation consistency as two tables and a lattice."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import Consistency, Shift
from perturb.render.terminal import Lattice, rate


def table(found: Shift) -> RenderableType:
    """By offset, by phase, and the change at each pair of offsets."""
    head = Text.assemble((f"Does {found.model} say the same when the crop moves by a pixel?\n", "bold"))
    head.append(
        f"change: sum |f(crop) - f(moved crop)|; 0 is unmoved, 1 as different as another photograph (a sum of "
        f"{found.apart:.3g}). same label: how often the largest output stays. 95 % intervals over "
        f"{found.photographs} {found.source} photographs.",
        "dim",
    )
    lattice = Table.grid(padding=(0, 3))
    legend = Text("change by rows (down) and columns (right)\nmoved, from 0; dark unmoved, bright changed", "dim")
    lattice.add_row(Lattice(found.lattice), legend)
    offsets = _rows(found.by_offset, "By offset: moved by so many pixels, the more of rows and columns")
    phases = _rows(found.by_phase, "By phase: so many pixels divide the offset, and no larger power of 2")
    return Group(head, Text(), offsets, Text(), phases, Text(), lattice)


def _rows(rows: Sequence[Consistency], title: str) -> Table:
    grid = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", title=title, title_justify="left", title_style="bold"
    )
    for column in ("pixels", "change", "same label"):
        grid.add_column(column, no_wrap=True)
    for row in rows:
        grid.add_row(str(row.pixels), f"{row.change:.3f} [{row.low:.3f}, {row.high:.3f}]", rate(row.equal))
    return grid
