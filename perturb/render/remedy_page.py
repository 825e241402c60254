"""Remedies side by side as a page: what loss is left of each, what it costs, which are on the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perturb.comparisons import Treated
from perturb.render import bars, page, remedy
from perturb.render.terminal import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One network in the words of a page."""

    name: str
    front: bool
    bar: bars.Bar | None
    loss: str  # with its interval; empty where it was not measured
    cells: tuple[str, ...]  # what it costs, under the names of `costs`
    answers: tuple[str, ...]  # right, kept, dead, live; empty where they were not measured


def html(rows: Sequence[Treated], refused: Mapping[str, str], model: str, *, learnt: bool = False) -> str:
    """One file that opens offline; `learnt`: the last is fine-tuned."""
    drawn = bars.of_effects([row.loss for row in rows])
    question, explained = remedy.head(rows[0], model).plain.partition("\n")[::2]
    return page.fill(
        "remedy.html.j2",
        charts=False,
        model=model,
        question=question,
        explained=explained,
        costs=_costs(rows[0]),
        lines=[_line(row, rows[0], bar) for row, bar in zip(rows, drawn, strict=True)],
        legend=remedy.legend(rows[0].loss) if rows[0].loss else "",
        remarks=remedy.remarks(rows, learnt=learnt),
        refused=remedy.grouped(refused),
    )


def _costs(built: Treated) -> tuple[str, ...]:
    """The names of a line's cells."""
    exact = (
        ("windows changed", "parameters", "multiply-adds", "imbalance") if built.parameters is not None else ("looks",)
    )
    return (*exact, *(("measured", "time") if built.loss else ()))


def _line(row: Treated, built: Treated, bar: bars.Bar | None) -> Line:
    exact: tuple[str, ...] = (f"{row.cost:.0f}",)
    if built.parameters is not None:
        windows, count, more, adds, more_adds, imbalance = (str(cell) for cell in remedy.known(row, built))
        exact = (windows or "none", f"{count} {more}".strip(), f"{adds} {more_adds}".strip(), imbalance)
    measured = ("infinite" if row.energy is None else f"{row.energy:.2f}", remedy.times(row)) if row.loss else ()
    loss, answers = "", tuple[str, ...]()
    if row.loss:
        loss = f"{number(row.loss.value)} [{number(row.loss.low)}, {number(row.loss.high)}]"
        loss += "*" if row.loss.saturated else ""
        answers = (f"{row.accuracy:.0%}", remedy.kept(row), f"{row.dead:.0%}", f"{row.live:.0%}")
    return Line(
        name=row.name.partition(":")[0],
        front=row.front,
        bar=bar,
        loss=loss,
        cells=(*exact, *measured),
        answers=answers,
    )
