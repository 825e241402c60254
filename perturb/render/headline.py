"""What the numbers mean, in words for somebody who opens a report."""

from perturb.changes import Changes, ChangeVerdict
from perturb.kinds import load_kind
from perturb.quantities import KINDS
from perturb.records import Effect, Experiment, Finding, Verdict
from perturb.render import changes
from perturb.render.badges import RANK
from perturb.render.terminal import number
from perturb.report import Report


def decisive(found: Report) -> Finding:
    """The finding that the claims' verdict hangs on."""
    return min(found.findings, key=lambda f: RANK[f.verdict])


def experiment_of(report: Report, check: str) -> Experiment | None:
    """The experiment that the check's claim is about: its own, or the one that it shares."""
    own = [e for e in report.experiments if e.name == check]
    return own[0] if own else (report.experiments[0] if len(report.experiments) == 1 else None)


def title(found: Report, since: Changes | None = None) -> str:
    """What the verdict means: a sentence about the claims and one about the change, the worse first."""
    said = [(RANK[found.verdict], _of_claims(found))]
    if since is not None and found.verdict != Verdict.INVALID and since.verdict != ChangeVerdict.EQUIVALENT:
        said.append((RANK[since.verdict], _of_change(since)))
    return ". ".join(sentence for _, sentence in sorted(said))


def _of_change(since: Changes) -> str:
    """The largest change of those that make the verdict, in words."""
    when = changes.day(since.baseline)
    if since.verdict == ChangeVerdict.INCOMPARABLE:
        return f"The baseline of {when} cannot be compared: {since.differs[0]}"
    if since.verdict == ChangeVerdict.INCONCLUSIVE:
        return f"Whether it changed since {when} is not decided"
    largest = max((c for c in since.changes if c.verdict == since.verdict), key=lambda c: abs(c.effect.value))
    moved = f"{largest.after - largest.before:+.2f} ({largest.before:.2f} -> {largest.after:.2f})"
    return f"{since.verdict} since {when}: {changes.title(largest)} {moved}"


def _of_claims(found: Report) -> str:
    finding = decisive(found)
    of, value, claimed = quantity(finding.effect), number(finding.effect.value), finding.claim.at_most
    measured = f"{of[:1].upper()}{of[1:]}"
    return {
        Verdict.INVALID: "The instrument failed, so nothing is decided",
        Verdict.INCONCLUSIVE: "Not decided: too little evidence either way",
        Verdict.FAIL: f"{measured} exceeds the claim: {value}, at most {claimed:g} was claimed",
        Verdict.PASS: f"{measured} stays within the claim ({value} of {claimed:g})",
    }[found.verdict]


def outdated(found: Report) -> str:
    """A note where quantities have a newer version than those that the report holds; empty where they are current."""
    old = sorted({f.effect.quantity for f in found.findings if is_older(f.effect)})
    if not old:
        return ""
    return (
        f"Measured by an earlier version of {', '.join(old)}, which drew other trials: do not compare its numbers with "
        "those of new runs."
    )


def is_older(effect: Effect) -> bool:
    return effect.quantity in KINDS and effect.version < load_kind(effect.quantity, KINDS).version


def quantity(effect: Effect) -> str:
    """A quantity in words."""
    return effect.words or effect.quantity
