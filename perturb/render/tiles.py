"""Tiles as tables: what a tiling leaves unseen and what would leave less; what was found where."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import FoundWhere, PlaceRate, TilePlan
from perturb.render.terminal import rate
from perturb.tiling import Option, Tiling


def table(found: TilePlan) -> RenderableType:
    """The tiling as it is in a sentence, then a row for it and for each change."""
    now = found.options[0]
    head = Text.assemble((f"{_sentence(now)}\n", "bold"))
    head.append(
        f"{found.source}: period {found.period[0]} x {found.period[1]}, {found.blind:.0%} of the phases are blind. "
        f"{_steps(now.tiling, found.period)}",
        "dim",
    )
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    grid.add_column("", no_wrap=False)
    columns = ["unseen", "blind phases", "edges", "frame", "tiles", "cost"]
    for column in columns + (["found, at least"] if found.measured else []):
        grid.add_column(column, justify="right", no_wrap=True)
    for option in found.options:
        grid.add_row(
            *_row(option, now, measured=found.measured), style="" if option.efficient or option is now else "dim"
        )
    legend = Text(
        "unseen: share of all places whose best look is blind, or that no tile shows whole and clear of its edges "
        "(frame: closer than the margin to the picture's own edge). cost: tiles, times those of now. "
        "*: nothing that was tried is as good at a lower cost.",
        "dim",
    )
    return Group(head, Text(), grid, Text(), legend)


def rates(found: FoundWhere) -> RenderableType:
    """What was found, by kind of place."""
    parts: list[RenderableType] = []
    titles = {"By the best look that a tile gives": found.by_look, "By distance from tiles' edges": found.by_depth}
    for title, rows in titles.items():
        if rows:
            parts += [_rates(title, rows), Text()]
    return Group(*parts[:-1])


def _rates(title: str, rows: Sequence[PlaceRate]) -> Table:
    grid = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", title=title, title_justify="left", title_style="bold"
    )
    grid.add_column("places")
    for column in ("share", "found", "without it", "pictures"):
        grid.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        grid.add_row(row.words, f"{row.share:.1%}", rate(row.found), f"{row.false.value:.1%}", str(row.found.n))
    return grid


def _sentence(now: Option) -> str:
    seen = now.coverage
    if seen.unseen == 0:
        return "Now: every place is seen at a live phase, whole and clear of tiles' edges."
    parts = [
        f"{share:.1%} of the places are seen {words}"
        for share, words in (
            (seen.blind, "at blind phases only"),
            (seen.edge, "at tiles' edges only"),
            (seen.frame, "at the picture's own edge only"),
        )
        if share
    ]
    return f"Now: {', '.join(parts)}."


def _steps(now: Tiling, period: tuple[int, int]) -> str:
    """Whether neighbouring tiles see what they share at the same phase."""
    if now.picture[0] <= now.tile[0] and now.picture[1] <= now.tile[1]:
        return ""
    told = f"From tile to tile there are {now.step[0]} x {now.step[1]} pixels"
    if all(step % n == 0 for step, n in zip(now.step, period, strict=True)):
        return f"{told}, whole periods: neighbouring tiles see what they share at the same phase."
    return f"{told}, no whole periods: neighbouring tiles see what they share at different phases."


def _row(option: Option, now: Option, *, measured: bool) -> list[str]:
    seen = option.coverage
    shares = [f"{share:.1%}" for share in (seen.unseen, seen.blind, seen.edge, seen.frame)]
    cost = f"{option.tiling.count / now.tiling.count:.1f} x"
    words = f"{option.words} *" if option.efficient else option.words
    return [words, *shares, str(option.tiling.count), cost, *([f"{seen.mean:.1%}"] if measured else [])]
