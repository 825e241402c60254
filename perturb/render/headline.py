"""What the numbers mean, in words for somebody who opens a report."""

from perturb.kinds import load_kind
from perturb.quantities import KINDS
from perturb.records import Effect, Finding, Verdict
from perturb.render.terminal import number
from perturb.report import Report

WORST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)


def worst(found: Report) -> Finding:
    """The finding that the verdict hangs on."""
    return min(found.findings, key=lambda f: WORST_FIRST.index(f.verdict))


def title(found: Report) -> str:
    """What the verdict means, in a line: of the finding that it hangs on."""
    finding = worst(found)
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
