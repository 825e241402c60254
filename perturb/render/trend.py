"""The trend page: each check of each suite and model over time, the newest verdicts first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perturb.records import Finding, Verdict
from perturb.render import charts, page
from perturb.render.badges import RANK
from perturb.render.headline import quantity
from perturb.render.terminal import describe
from perturb.report import Report

Point = tuple[str, Finding]  # when, and what was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One check of one suite on one model."""

    suite: str
    digest: str
    model: str
    check: str
    points: tuple[Point, ...]  # oldest first
    chart: Mapping[str, Any] | None  # None where no point is finite

    @property
    def newest(self) -> Finding:
        return self.points[-1][1]


def trend(reports: Sequence[Report]) -> str:
    """The page of any number of Reports; a suite that was changed begins a course of its own."""
    found = courses(reports)
    verdicts = [course.newest.verdict for course in found]
    counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts), key=lambda each: RANK[each])}
    return page.fill("trend.html.j2", courses=found, counts=counts, runs=len(reports))


def courses(reports: Sequence[Report]) -> list[Course]:
    """The worst newest verdict first."""
    grouped: dict[tuple[str, str, str, str], list[Point]] = {}
    for report in sorted(reports, key=lambda r: r.provenance.timestamp):
        for finding in report.findings:
            key = (report.suite.name, report.suite.digest, describe(report.model), finding.check)
            verdict = Verdict.INVALID if report.verdict == Verdict.INVALID else finding.verdict
            grouped.setdefault(key, []).append((report.provenance.timestamp, replace(finding, verdict=verdict)))
    found = [
        Course(suite=suite, digest=digest, model=model, check=check, points=tuple(points), chart=_chart(points))
        for (suite, digest, model, check), points in grouped.items()
    ]
    return sorted(found, key=lambda course: RANK[course.newest.verdict])


def _chart(points: Sequence[Point]) -> dict[str, Any] | None:
    rows = [charts.interval(finding, when) for when, finding in points if finding.effect.high < charts.FINITE]
    return charts.course(rows, quantity(points[-1][1].effect)) if rows else None
