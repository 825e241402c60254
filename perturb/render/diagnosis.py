"""Why a check did not pass, in the order in which one asks: how much, how sure, where, made by what, seen how."""

from perturb.records import Experiment, Finding
from perturb.render.headline import experiment_of
from perturb.render.phases import both
from perturb.render.terminal import cause, describe, number, unread, would_decide
from perturb.report import Report
from perturb.verdict import WITHOUT_ERROR
from perturb.visible import plained


def diagnosis(report: Report, check: str) -> str:
    """The text under a failing check. Raises StopIteration for a check that the report does not hold."""
    report, check = plained((report, check))
    finding = next(f for f in report.findings if f.check == check)
    lines = [headline(report, finding)]
    lines += [f"  {line}" for line in (*_numbers(finding, experiment_of(report, check)), *_where(report))]
    if report.provenance.command:
        lines.append(f"  again: {report.provenance.command}")
    return "\n".join(lines)


def headline(report: Report, finding: Finding) -> str:
    """One line: verdict, model, quantity with its interval, claim."""
    effect, claim = finding.effect, finding.claim
    interval = f" [{number(effect.low)}, {number(effect.high)}]" if effect.high > effect.low else ""
    return (
        f"{finding.verdict}: {describe(report.model)}: {effect.quantity} {number(effect.value)}{interval}, "
        f"claimed at most {claim.at_most:g}"
    )


def _numbers(finding: Finding, experiment: Experiment | None) -> list[str]:
    effect = finding.effect
    if effect.method in WITHOUT_ERROR:
        return [f"{finding.reason}; {effect.method}"]
    lines = [f"{finding.reason}; n = {effect.n} photographs, {effect.method}"]
    if finding.needed:
        lines.append(would_decide(finding.needed))
    if finding.cause:
        lines.append(cause(finding.cause))
    if experiment is None:
        return lines
    (dead, where), (live, there) = both(experiment)
    lines.append(
        f"{experiment.perturbation} at level {experiment.level:.3g}: {experiment.verb} "
        f"{dead.value:.0%} of the time {where or 'at dead places'}, "
        f"{live.value:.0%} {there or 'at live ones'} ({experiment.pairs} pairs)"
    )
    if (worst := experiment.worst) is not None:
        lines.append(
            f"worst: {worst.photograph}, judged crop {worst.crop}: missed at {worst.dead} "
            f"(evidence {worst.evidence_dead:.3g}, seen above {worst.threshold:.3g}), seen at {worst.live} "
            f"({worst.evidence_live:.3g})"
        )
    return lines


def _where(report: Report) -> list[str]:
    summary = report.map
    phases = {(r, c): value for r, row in enumerate(summary.phases) for c, value in enumerate(row)}
    blind, bright = min(phases, key=lambda at: phases[at]), max(phases, key=lambda at: phases[at])
    lines = [
        f"blindest phase: {blind} of period {summary.period}, {phases[blind]:.2g} of the mean contribution "
        f"({summary.kind} map of {summary.layer}); liveliest: {bright}, {phases[bright]:.2g}"
    ]
    if summary.unread:
        lines.append(unread(summary))
    if summary.makers:
        lines.append(f"made by: {', '.join(summary.makers)}")
    return lines
