"""Remedies side by side, a row each."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import Treated
from perturb.records import Effect

FLAT = 1 + 1e-9


def table(rows: Sequence[Treated], refused: Mapping[str, str], model: str) -> RenderableType:
    """The question, a row for the network as built and each remedy, and how to read them."""
    loss = rows[0].loss
    parts: list[RenderableType] = [_head(rows[0], model), Text(), _costs(rows) if loss is None else _losses(rows)]
    fates = " or ".join(sorted({row.done.weights for row in rows if row.done}))
    if fates:
        parts += [Text(), Text(f"Weights of the changed networks: {fates}. {_legend(loss) if loss else ''}", "dim")]
    if any(row.done and (row.done.kind, row.done.weights) == ("padding", "kept") for row in rows):
        kept = "Padded with its weights kept, a network does what it did: its dead pixels stay until it learns more."
        parts.append(Text(kept, "yellow"))
    if any(row.loss and row.loss.saturated for row in rows):
        parts.append(Text("* too little or nearly all is seen at its own level: a small loss says nothing.", "yellow"))
    parts += [Text(f"{name} does not apply: {why}", "dim") for name, why in refused.items()]
    return Group(*parts)


def _head(built: Treated, model: str) -> Text:
    seen = "its output" if built.layer == "output" else f"`{built.layer}`"
    return Text.assemble(
        (f"What cures the dead pixels of {model}?\n", "bold"),
        (f"imbalance: how much more the liveliest phase moves {seen} than the deadest; 1 is flat.", "dim"),
    )


def _costs(rows: Sequence[Treated]) -> Table:
    grid = _grid("network", "windows\nchanged", "parameters", "", "multiply-\nadds", "", "imbalance")
    for row in rows:
        grid.add_row(
            _name(row),
            str(len(row.done.changed)) if row.done else "",
            _short(row.parameters),
            _more(row.parameters, rows[0].parameters),
            _short(row.multiply_adds),
            _more(row.multiply_adds, rows[0].multiply_adds),
            _ratio(row),
        )
    return grid


def _losses(rows: Sequence[Treated]) -> Table:
    grid = _grid(
        "network",
        "para-\nmeters",
        "mult.-\nadds",
        "imba-\nlance",
        "meas-\nured",
        "\nright",
        "\ndead",
        "\nlive",
        "\nloss",
    )
    grid.add_column("95 %\ninterval", no_wrap=True)
    for row in rows:
        assert row.loss is not None
        held = row.loss.low <= 0 <= row.loss.high and not row.loss.saturated
        colour = "bold red" if row.loss.low > 0 else "bold green" if held else ""
        grid.add_row(
            _name(row),
            _short(row.parameters),
            _short(row.multiply_adds),
            _ratio(row),
            "infinite" if row.energy is None else f"{row.energy:.2f}",
            f"{row.accuracy:.0%}",
            f"{row.dead:.0%}",
            f"{row.live:.0%}",
            Text(f"{row.loss.value:+.2f}", colour),
            f"[{row.loss.low:+.2f}, {row.loss.high:+.2f}]{'*' if row.loss.saturated else ''}",
        )
    return grid


def _grid(first: str, *others: str) -> Table:
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    grid.add_column(first, no_wrap=True)
    for column in others:
        grid.add_column(column, justify="right", no_wrap=True)
    return grid


def _name(row: Treated) -> Text:
    return Text(row.name.partition(":")[0], "bold" if row.done is None else "")


def _ratio(row: Treated) -> Text:
    if row.structural is None:
        return Text("infinite", "red")
    return Text(f"{row.structural:.2f}", "green" if row.structural < FLAT else "")


def _legend(loss: Effect) -> str:
    return (
        "measured: the same ratio of the root mean square gradient, about the square root of the exact one. right: "
        "share of right answers. dead, live: the same of what is perturbed at each network's own dead and live places, "
        f"at the level that its own calibration finds. loss: live - dead, {loss.method}."
    )


def _short(count: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            digits = 2 - min(2, len(str(int(count / size))) - 1)
            return f"{count / size:.{digits}f}{unit}"
    return str(count)


def _more(count: int, before: int) -> str:
    return f"{count / before - 1:+.1%}" if count != before else ""
