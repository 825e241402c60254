"""Remedies side by side, a row each."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import Treated
from perturb.records import Effect
from perturb.render.levels import decibels

FLAT = 1 + 1e-9
MARGIN = 0.05  # of right answers: the non-inferiority margin


def table(rows: Sequence[Treated], refused: Mapping[str, str], model: str, *, learnt: bool = False) -> RenderableType:
    """The question, what each remedy costs, what it cures, and how to read both; `learnt`: the last is fine-tuned."""
    loss = rows[0].loss
    parts: list[RenderableType] = [head(rows[0], model), Text(), _costs(rows)]
    if loss is not None:
        parts += [Text(), _losses(rows)]
    said = remarks(rows, learnt=learnt)
    parts += [Text(), *(Text(line) for line in said)] if said else []
    if loss is not None:
        parts += [Text(), Text(legend(loss), "dim")]
    parts += [Text(f"Does not apply: {names}: {why}", "dim") for names, why in grouped(refused)]
    parts.append(Text("Of a picture that is cut into tiles, `perturb tiles` finds the overlap that cures.", "dim"))
    return Group(*parts)


def remarks(rows: Sequence[Treated], *, learnt: bool = False) -> list[str]:
    """How to read the rows, where that is not plain; `learnt`: the last is fine-tuned."""
    said = [f"penalty {row.name}: {decibels(row.penalty)}" for row in rows if row.penalty]
    if fates := " or ".join(sorted({row.done.weights for row in rows if row.done and row.done.changed})):
        said.append(f"Weights of the changed networks: {fates}.")
    if not learnt and any(row.done and (row.done.kind, row.done.weights) == ("padding", "kept") for row in rows):
        said.append(
            "Padded with its weights kept, a network does what it did: its dead pixels stay until it learns more."
        )
    if any(row.loss and row.loss.saturated for row in rows):
        said.append("* too little or nearly all is seen at its own level: a small loss says nothing.")
    return said


def grouped(refused: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names of remedies that do not apply for the same reason, and the reason."""
    return [
        (", ".join(name for name, reason in refused.items() if reason == why), why)
        for why in dict.fromkeys(refused.values())
    ]


def head(built: Treated, model: str) -> Text:
    """The question, and below it what an imbalance is."""
    if built.loss is None and built.structural is not None and built.structural < FLAT:
        return Text(f"By its structure {model} has no dead pixels: nothing to cure there.", "bold")
    seen = "its output" if built.layer == "output" else f"`{built.layer}`"
    return Text.assemble(
        (f"What cures the dead pixels of {model}?\n", "bold"),
        (f"imbalance: how much more the liveliest phase moves {seen} than the deadest; 1 is flat.", "dim"),
    )


def _costs(rows: Sequence[Treated]) -> Table:
    built, network = rows[0], rows[0].parameters is not None
    exact = ("windows\nchanged", "parameters", "", "multiply-\nadds", "", "imbalance")
    grid = _grid("network", *(exact if network else ("looks",)), *(("meas-\nured", "time") if built.loss else ()))
    for row in rows:
        grid.add_row(
            _name(row),
            *(known(row, built) if network else (f"{row.cost:.0f}",)),
            *(("infinite" if row.energy is None else f"{row.energy:.2f}", times(row)) if row.loss else ()),
        )
    return grid


def known(row: Treated, built: Treated) -> tuple[str | Text, ...]:
    """What is exact of a network."""
    pairs = (row.parameters, built.parameters), (row.multiply_adds, built.multiply_adds)
    counts = (text for now, before in pairs if now and before for text in (_short(now), _more(now, before)))
    return str(len(row.done.changed)) if row.done else "", *counts, _ratio(row)


def times(row: Treated) -> str:
    """Seconds of a picture, in units of those as built."""
    return "" if row.time is None else f"{row.time:.2f} x"


def _losses(rows: Sequence[Treated]) -> Table:
    grid = _grid("network", "right", "kept", "dead", "live", "loss")
    grid.add_column("95 % interval", no_wrap=True)
    grid.add_column("front", no_wrap=True)
    for row in rows:
        assert row.loss is not None
        held = row.loss.low <= 0 <= row.loss.high and not row.loss.saturated
        colour = "bold red" if row.loss.low > 0 else "bold green" if held else ""
        grid.add_row(
            _name(row),
            f"{row.accuracy:.0%}",
            kept(row),
            f"{row.dead:.0%}",
            f"{row.live:.0%}",
            Text(f"{row.loss.value:+.2f}", colour),
            f"[{row.loss.low:+.2f}, {row.loss.high:+.2f}]{'*' if row.loss.saturated else ''}",
            "+" if row.front else "",
        )
    return grid


def kept(row: Treated) -> str:
    """Whether the share of right answers is shown to be no more than MARGIN below that as built."""
    if row.done is None or row.kept is None:
        return ""
    return "yes" if row.kept.low > -MARGIN else "no" if row.kept.high < -MARGIN else "open"


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


def legend(loss: Effect) -> str:
    """What the columns mean, where a loss was measured."""
    return (
        "measured: the same ratio of the measured map; of a map of root mean square gradients it is about the square "
        "root of the exact one. time: of a picture, relative to the model as built. right: share of right answers. "
        f"kept: shown to be less than {MARGIN:g} below that as built, paired by photograph (betting, one-sided 2.5 %). "
        "dead, live: share of right answers where a place of each network's own dead and live ones is perturbed, at "
        f"the level that its own calibration finds. loss: live - dead, {loss.method}. front: no other row is as good "
        "in loss, cost (multiply-adds, or looks) and right answers, and better in one."
    )


def _short(count: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            digits = 2 - min(2, len(str(int(count / size))) - 1)
            return f"{count / size:.{digits}f}{unit}"
    return str(count)


def _more(count: int, before: int) -> str:
    return f"{count / before - 1:+.1%}" if count != before else ""
