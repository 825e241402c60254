"""Receptive fields as a table: by depth of one network, or a row for each of several."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import Correlation, Field

WIDTH = 16  # of the bar that stands for the picture's side


def table(fields: Sequence[Field], side: int, images: int, *, relations: Sequence[Correlation] = ()) -> RenderableType:
    """In theory and in effect, and how either goes with accuracy."""
    one = len({field.model for field in fields}) == 1
    name = fields[0].model if one else f"{len(fields)} networks"
    head = Text.assemble((f"How far {name} sees\n", "bold"))
    head.append(
        "theory: pixels that the layer's central position can see. sigma: of a Gaussian laid over what does move it "
        f"({images} pictures); R²: how well it fits. share: 4 sigma of theory. Bars, of the "
        f"picture's {side} pixels: ░ theory, █ 4 sigma.",
        "dim",
    )
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    grid.add_column("layer" if one else "network, layer", no_wrap=True)
    for column in ("theory", "stride", "offset", "sigma", "R²", "share"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("")
    for field in fields:
        grid.add_row(
            field.theory.layer if one else f"{field.model.rpartition(':')[2]}, {field.theory.layer}",
            _pair(field.theory.size, "whole"),
            _pair(field.theory.stride, ""),
            _pair(field.theory.offset, ""),
            f"{_sigma(field):.1f}" if field.fit else "no fit",
            f"{field.fit.r_squared:.2f}" if field.fit else "",
            f"{4 * _sigma(field) / field.theory.size[0]:.0%}" if field.fit and field.theory.size else "",
            _bar(field, side),
        )
    return Group(head, Text(), grid, *([Text()] if relations else []), *(_relation(r) for r in relations))


def _relation(found: Correlation) -> Text:
    told = "no relation shown" if found.low <= 0 <= found.high else "related"
    return Text.assemble(
        (f"{found.of} and accuracy: {told}. ", "bold"),
        f"Rank correlation {found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}] at 95 %, {found.n} networks.",
    )


def _sigma(field: Field) -> float:
    assert field.fit is not None
    return (field.fit.sigma_row * field.fit.sigma_column) ** 0.5


def _pair(value: tuple[int, int] | None, absent: str) -> str:
    if value is None:
        return absent
    return str(value[0]) if value[0] == value[1] else f"{value[0]} x {value[1]}"


def _bar(field: Field, side: int) -> Text:
    reach = field.theory.size[0] if field.theory.size else side
    light = max(1, round(WIDTH * min(1, reach / side)))
    solid = min(light, round(WIDTH * min(1, 4 * _sigma(field) / side))) if field.fit else 0
    return Text.assemble(("█" * solid, "cyan"), ("░" * (light - solid), "dim"))
