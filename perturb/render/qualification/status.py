"""What the run qualifies, in one sentence, and why."""

from collections.abc import Iterator

from perturb.records import Finding, Verdict
from perturb.render.headline import outdated, quantity
from perturb.render.terminal import number
from perturb.report import Report

NOTHING = "Nothing is qualified by this run."
VOID = "No number in this document is evidence for or against the model."
UNTRAINED = "The weights are untrained, so the result is about the architecture with these random weights alone."
STATUS = {
    Verdict.INVALID: f"{NOTHING} The instrument failed its own control.",
    Verdict.INCONCLUSIVE: f"{NOTHING} The evidence is too little for at least one claim.",
    Verdict.FAIL: f"{NOTHING} At least one claim is shown not to hold.",
    Verdict.PASS: "Qualified within the scope of section 1: every claim is shown to hold.",
}


def status(found: Report) -> str:
    """Whether anything is qualified."""
    if not found.findings:
        return f"{NOTHING} Nothing was asked."
    return STATUS[found.verdict]


def reasons(found: Report) -> Iterator[str]:
    """What the status follows from: failed controls, then the claims that do not hold, then those that do."""
    for control in found.controls:
        if not control.passed:
            yield f"INVALID: the control {control.name} failed. Expected: {control.expected}. Got: {control.observed}."
    if found.verdict == Verdict.INVALID:
        yield VOID
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if found.verdict != Verdict.INVALID else ():
        yield from (f"{verdict}: {claim(f)}." for f in found.findings if f.verdict == verdict)
    if found.model.untrained:
        yield UNTRAINED
    if note := outdated(found):
        yield note


def claim(finding: Finding) -> str:
    """The check, what it claims and what was measured."""
    effect = finding.effect
    interval = f" [{number(effect.low)}, {number(effect.high)}]" if effect.high > effect.low else ""
    return (
        f"{finding.check}, {quantity(effect)} at most {finding.claim.at_most:g} claimed, "
        f"{number(effect.value)}{interval} measured"
    )
