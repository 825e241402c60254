"""Several models by one suite, side by side: in the terminal, as Markdown, as a page."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from perturb.records import Effect, Finding, Verdict
from perturb.render import checks, page
from perturb.render.badges import BADGES, RANK
from perturb.render.columns import table_of
from perturb.render.environment import fill
from perturb.render.terminal import describe, named, number
from perturb.report import Report
from perturb.visible import plained


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model and its report, or why there is none."""

    folder: str  # of its report, beside the tables
    reference: str
    report: Report | None
    error: str

    @property
    def verdict(self) -> str:
        return str(self.report.verdict) if self.report else "ERROR"

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.report.findings if self.report else ()

    @property
    def model(self) -> str:
        """In words."""
        return describe(self.report.model) if self.report else self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """What one suite finds of several models, in the order in which they were named."""

    suite: str
    description: str
    rows: tuple[Row, ...] = ()
    waiting: tuple[str, ...] = ()  # references of the models that are not measured yet

    @property
    def verdict(self) -> str:
        """The worst."""
        return min((row.verdict for row in self.rows), key=lambda each: RANK[each])

    @property
    def counts(self) -> str:
        """How many models have each verdict, the worst first."""
        found = Counter(row.verdict for row in self.rows)
        known = [f"{found[verdict]} {verdict}" for verdict in RANK if found[verdict]]
        return ", ".join([*known, *([f"{len(self.waiting)} not measured"] if self.waiting else [])])


def table(found: SideBySide) -> RenderableType:
    """A line for each check of each model; below them why a model has none."""
    found = plained(found)
    shown = table_of("model", "verdict", "check", "measured", "at most", "n", gap=1, right={"at most", "n"})
    shown.columns[0].overflow = "fold"
    for fixed in shown.columns[1:]:
        fixed.no_wrap = True
    for row in found.rows:
        leading = (Text(row.folder, "bold"), Text(row.verdict, BADGES[row.verdict].style))
        for finding in row.findings:
            badge = BADGES[finding.verdict]
            value = Text.assemble((f"{badge.mark} ", badge.style), measured(finding.effect))
            shown.add_row(*leading, finding.check, value, f"{finding.claim.at_most:g}", judged(row))
            leading = (Text(), Text())
        if not row.findings:
            shown.add_row(*leading)
    head = Text.assemble((f" {found.verdict} ", f"{BADGES[found.verdict].style} reverse"), f"  {found.counts}")
    head.append(f"\n{named(found.suite, found.description)}", "dim")
    marks = ", ".join(f"{BADGES[verdict].mark} {verdict}" for verdict in Verdict if verdict != Verdict.INVALID)
    return Group(head, Text(), shown, Text(f"{marks}; n: judged photographs", "dim"), *errors(found))


def errors(found: SideBySide) -> list[Text]:
    """Why a model has no report, a line each."""
    return [Text(f"ERROR: {row.folder}: {row.error}", "magenta") for row in plained(found.rows) if row.error]


def markdown(found: SideBySide) -> str:
    """The text of models.md."""
    return fill("models.md.j2", markup=False, **_values(found))


def page_of(found: SideBySide) -> str:
    """The page index.html, one file as a report is."""
    found = plained(found)
    lines = iter(checks.rows([row.report for row in found.rows if row.report]))
    shown = [(row, next(lines) if row.report else []) for row in found.rows]
    verdicts = {each.verdict for _, of in shown for each in of} | {"ERROR" for row in found.rows if not row.report}
    names = list(dict.fromkeys(each.finding.check for _, of in shown for each in of))
    ranked = sorted(verdicts, key=lambda verdict: RANK[verdict])
    return page.fill("models.html.j2", charts=False, shown=shown, verdicts=ranked, names=names, **_values(found))


def _values(found: SideBySide) -> dict[str, Any]:
    return {"found": found, "measured": measured, "judged": judged}


def measured(effect: Effect) -> str:
    """The value, with its interval where it has one."""
    interval = f" [{number(effect.low)}, {number(effect.high)}]" if effect.high > effect.low else ""
    return f"{number(effect.value)}{interval}"


def judged(row: Row) -> str:
    """How many photographs were judged."""
    return str(row.report.images.judged.photographs) if row.report else ""
