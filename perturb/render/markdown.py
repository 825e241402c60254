"""A Report as Markdown: the verdict first, then every number with its interval."""

from perturb.changes import Changes
from perturb.render.environment import fill
from perturb.render.headline import outdated
from perturb.render.terminal import describe
from perturb.report import Report


def report(found: Report, since: Changes | None = None) -> str:
    """The text of report.md; `since` is what changed since a baseline."""
    told = {"description": describe(found.model), "note": outdated(found)}
    return fill("report.md.j2", markup=False, r=found, since=since, **told)
