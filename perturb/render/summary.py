"""Many reports as one piece of Markdown, for a pull request or the summary of a CI step: what failed comes first."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from perturb.changes import Changes
from perturb.render.badges import RANK
from perturb.render.changes import moved, title, why
from perturb.render.diagnosis import diagnosis
from perturb.render.environment import code
from perturb.render.terminal import describe, number
from perturb.report import Report
from perturb.visible import plained

LIMIT = 256 * 1024  # bytes; GitHub takes four times as many for a step
ROOM = 200  # of them for the line that counts what is left out
FINE = ("PASS", "IMPROVED", "EQUIVALENT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One run's report, and what changed since its baseline where one was given."""

    report: Report
    changes: Changes | None = None


def summary(sheets: Sequence[Sheet], *, limit: int = LIMIT) -> str:
    """A line for each check and each change, then why they failed: whole lines of it, at most `limit` bytes."""
    sheets = [plained(sheet) for sheet in sheets]
    verdicts = Counter(verdict for sheet in sheets for verdict in _verdicts(sheet))
    counts = ", ".join(f"{verdicts[v]} {v}" for v in RANK if verdicts[v])
    blocks = [f"## perturb: {counts}\n\n"]
    blocks += _table(("", "check", "measured", "claim", "n", "model", "suite"), [r for s in sheets for r in _claims(s)])
    blocks += _table(("", "change", "before -> after", "why", "model", "suite"), [r for s in sheets for r in _since(s)])
    blocks += [detail for sheet in sorted(sheets, key=_rank) for detail in _details(sheet)]
    return _within(blocks, limit)


Row = tuple[str, ...]  # the first cell is a verdict


def _claims(sheet: Sheet) -> Iterator[Row]:
    report = sheet.report
    whose = (code(describe(report.model)), code(report.suite.name))
    for c in report.controls:
        if not c.passed:
            yield ("INVALID", code(c.name), code(c.observed), code(c.expected), "", *whose)
    for f in report.findings:
        effect = f.effect
        measured = f"{effect.quantity} {number(effect.value)} [{number(effect.low)}, {number(effect.high)}]"
        yield (f.verdict, code(f.check), measured, f"at most {f.claim.at_most:g}", str(effect.n), *whose)


def _since(sheet: Sheet) -> Iterator[Row]:
    if sheet.changes is None:
        return
    whose = (code(describe(sheet.report.model)), code(sheet.changes.suite))
    for line in sheet.changes.differs:
        yield (sheet.changes.verdict, code(line), "", "", *whose)
    for c in sheet.changes.changes:
        if c.verdict is not None:
            yield (c.verdict, code(title(c)), moved(c), why(c), *whose)


def _table(head: Row, rows: Sequence[Row]) -> list[str]:
    """A line a block, the worst first; none where there is no row."""
    if not rows:
        return []
    lines = [(f"**{verdict}**", *cells) for verdict, *cells in sorted(rows, key=lambda row: RANK[row[0]])]
    return [*(f"| {' | '.join(line)} |\n" for line in (head, ("---",) * len(head), *lines)), "\n"]


def _details(sheet: Sheet) -> Iterator[str]:
    """Why each check did not pass, folded away; indented, so that no name breaks out of it."""
    for finding in sheet.report.findings:
        if finding.verdict not in FINE:
            head = escape(" ".join(f"{finding.verdict}: {finding.check}, {describe(sheet.report.model)}".split()))
            text = "".join(f"    {line}\n" for line in diagnosis(sheet.report, finding.check).splitlines())
            yield f"<details><summary>{head}</summary>\n\n{text}\n</details>\n\n"


def _verdicts(sheet: Sheet) -> tuple[str, ...]:
    return (sheet.report.verdict, sheet.changes.verdict) if sheet.changes else (sheet.report.verdict,)


def _rank(sheet: Sheet) -> int:
    return min(RANK[verdict] for verdict in _verdicts(sheet))


def _within(blocks: Sequence[str], limit: int) -> str:
    sizes = [len(block.encode()) for block in blocks]
    if sum(sizes) <= limit:
        return "".join(blocks)
    kept, room = 0, limit - ROOM
    while sizes[kept] <= room:
        room -= sizes[kept]
        kept += 1
    return (
        "".join(blocks[:kept]) + f"\n*{len(blocks) - kept} more rows and explanations are left out for their size.*\n"
    )
