"""How each verdict looks, the worst first: verdicts of claims and of changes since a baseline, in one order."""

from dataclasses import dataclass

from perturb.changes import Changes
from perturb.report import Report


@dataclass(frozen=True, slots=True)
class Badge:
    """A colour of the terminal, and a mark that needs no colour."""

    style: str
    mark: str


BADGES = {
    "ERROR": Badge("bold magenta", "!"),  # of several models, one that could not be measured
    "INVALID": Badge("bold magenta", "!"),
    "INCOMPARABLE": Badge("bold magenta", "!"),
    "FAIL": Badge("bold red", "✕"),
    "REGRESSED": Badge("bold red", "✕"),
    "INCONCLUSIVE": Badge("bold yellow", "?"),
    "PASS": Badge("bold green", "✓"),
    "IMPROVED": Badge("bold green", "✓"),
    "EQUIVALENT": Badge("bold green", "✓"),
}
RANK = {verdict: rank for rank, verdict in enumerate(BADGES)}  # 0 is the worst


def verdict(found: Report, since: Changes | None = None) -> str:
    """What a headline shows: the worse of the claims' verdict and of what changed since a baseline."""
    return found.verdict if since is None else min(found.verdict, since.verdict, key=lambda each: RANK[each])
