"""The trend page: each check of each suite over time, all models in one chart, the worst newest verdicts first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perturb.changes import Changes, ChangeVerdict
from perturb.records import Finding, Verdict
from perturb.render import changes, charts, page
from perturb.render.badges import RANK
from perturb.render.headline import experiment_of, quantity
from perturb.render.terminal import describe
from perturb.report import Report
from perturb.visible import plained

BASELINE = "baseline"
MARKS = {ChangeVerdict.REGRESSED: "▼", ChangeVerdict.IMPROVED: "▲", BASELINE: "◆"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A run of the history; `since` is what changed since a baseline, `accepted` says that it is this baseline."""

    report: Report
    run: str = ""  # its digest
    since: Changes | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One check of one run."""

    when: str
    model: str
    finding: Finding
    weights: str
    run: str
    change: str  # the verdict on the change since the baseline, or BASELINE; empty where nothing was compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One check of one suite over time."""

    suite: str
    digest: str
    check: str
    models: tuple[str, ...]
    points: tuple[Point, ...]  # oldest first
    chart: Mapping[str, Any] | None  # None where no point is finite

    @property
    def newest(self) -> tuple[Finding, ...]:
        """Of each model, the worst first."""
        last = {point.model: point.finding for point in self.points}
        return tuple(sorted(last.values(), key=lambda finding: RANK[finding.verdict]))


def trend(runs: Sequence[Kept]) -> str:
    """The page of any number of runs; a suite that was changed begins a course of its own."""
    found = courses(runs)
    verdicts = [finding.verdict for course in found for finding in course.newest]
    counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts), key=lambda each: RANK[each])}
    return page.fill(
        "trend.html.j2",
        charts=any(course.chart for course in found),
        courses=found,
        counts=counts,
        runs=len(runs),
        subject=_subject(found),
        compared=any(point.change for course in found for point in course.points),
        marks=MARKS,
    )


def courses(runs: Sequence[Kept]) -> list[Course]:
    """The worst newest verdict first."""
    grouped: dict[tuple[str, str, str], list[Point]] = {}
    for kept in sorted(plained(runs), key=lambda kept: kept.report.provenance.timestamp):
        for finding in kept.report.findings:
            key = (kept.report.suite.name, kept.report.suite.digest, finding.check)
            grouped.setdefault(key, []).append(_point(kept, finding))
    found = [
        Course(
            suite=suite,
            digest=digest,
            check=check,
            models=tuple(dict.fromkeys(point.model for point in points)),
            points=tuple(points),
            chart=_chart(points),
        )
        for (suite, digest, check), points in grouped.items()
    ]
    return sorted(found, key=lambda course: RANK[course.newest[0].verdict])


def _point(kept: Kept, finding: Finding) -> Point:
    report = kept.report
    verdict = Verdict.INVALID if report.verdict == Verdict.INVALID else finding.verdict
    return Point(
        when=report.provenance.timestamp,
        model=describe(report.model),
        finding=replace(finding, verdict=verdict),
        weights=report.model.weights[:12],
        run=kept.run[:12],
        change=BASELINE if kept.accepted else _change(kept, finding.check),
    )


def _change(kept: Kept, check: str) -> str:
    """The worst verdict on what changed of this check."""
    experiment = experiment_of(kept.report, check)
    if kept.since is None or experiment is None:
        return ""
    if kept.since.verdict == ChangeVerdict.INCOMPARABLE:
        return kept.since.verdict
    return changes.of_check(kept.since, experiment.name).verdict or ""


def _subject(found: Sequence[Course]) -> str:
    """Which models and suites the page is about: by name where there is one."""
    models = list(dict.fromkeys(model for course in found for model in course.models))
    suites = list(dict.fromkeys(course.suite for course in found))
    of_models = models[0] if len(models) == 1 else f"{len(models)} models"
    return f"{of_models} by {suites[0] if len(suites) == 1 else f'{len(suites)} suites'}"


def _chart(points: Sequence[Point]) -> dict[str, Any] | None:
    rows = [
        replace(charts.interval(p.finding, p.when), model=p.model, mark=MARKS.get(p.change, ""), change=p.change)
        for p in points
        if p.finding.effect.high < charts.FINITE
    ]
    return charts.course(rows, quantity(points[-1].finding.effect)) if rows else None
