"""Checks as rows of a table: the verdict, what is detected, the interval against the claim, what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from perturb.changes import Changes
from perturb.records import Finding, Rate, Verdict
from perturb.render import bars, changes
from perturb.render.headline import experiment_of
from perturb.render.phases import both
from perturb.report import Report
from perturb.verdict import WITHOUT_ERROR

Place = tuple[Rate, str]  # the share detected, and a note on where


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check of one report."""

    finding: Finding
    verdict: str  # INVALID where the instrument of the whole run failed
    bar: bars.Bar | None
    dead: Place | None  # None of what is no question of detection, such as a ratio of a map
    live: Place | None
    since: changes.Since | None
    experiment: str  # whose numbers they are; empty without one


def rows(reports: Sequence[Report], since: Changes | None = None) -> list[list[CheckRow]]:
    """The rows of each report; the bars of a quantity share a scale over all of them."""
    drawn = iter(bars.of_findings([finding for report in reports for finding in report.findings]))
    return [[_row(report, finding, next(drawn), since) for finding in report.findings] for report in reports]


def _row(report: Report, finding: Finding, bar: bars.Bar | None, since: Changes | None) -> CheckRow:
    experiment = experiment_of(report, finding.check)
    asked = experiment if finding.effect.method not in WITHOUT_ERROR else None
    dead, live = both(asked) if asked else (None, None)
    return CheckRow(
        finding=finding,
        verdict=Verdict.INVALID if report.verdict == Verdict.INVALID else finding.verdict,
        bar=bar,
        dead=dead,
        live=live,
        since=changes.of_check(since, asked.name) if since and asked else None,
        experiment=experiment.name if experiment else "",
    )
