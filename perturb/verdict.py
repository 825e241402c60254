"""Claim x Effect -> Verdict. A large p-value never passes a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perturb.records import Claim, Control, Effect, Finding, Verdict
from perturb.stats.multiplicity import holm
from perturb.stats.power import clusters_to_decide

SATURATED = {
    "floor": "too little is seen even at live places for a small loss to mean anything; use a larger perturbation or "
    "an earlier layer, or train for longer",
    "ceiling": "nearly everything is seen; use a lower level, or calibrate it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A check before it is decided; `effect_at` gives its effect with an interval of the confidence asked for."""

    check: str
    claim: Claim
    effect_at: Callable[[float], Effect]


def judge(questions: Sequence[Question]) -> list[Finding]:
    """A finding for each question. Holm's procedure shares the error rate among those with sampling error."""
    first = [q.effect_at(q.claim.confidence) for q in questions]
    sampled = [i for i, effect in enumerate(first) if effect.method not in ("exact", "as measured")]

    def decided_at(i: int) -> Callable[[float], bool]:
        question = questions[i]
        return lambda confidence: decide(question.claim, question.effect_at(confidence))[0] != Verdict.INCONCLUSIVE

    confidences = holm([decided_at(i) for i in sampled], [questions[i].claim.confidence for i in sampled])
    effects = list(first)
    for i, confidence in zip(sampled, confidences, strict=True):
        effects[i] = questions[i].effect_at(confidence)
    return [_finding(question, effect) for question, effect in zip(questions, effects, strict=True)]


def decide(claim: Claim, effect: Effect) -> tuple[Verdict, str]:
    """PASS iff the interval's upper end is at most the margin, FAIL iff its lower end is above it.

    No PASS where a loss of the margin's size could have been missed, or where detection is saturated.
    Raises ValueError for an effect that is not finite: NaN decides nothing.
    """
    if not all(-1e309 < number < 1e309 for number in (effect.value, effect.low, effect.high, effect.detectable)):
        raise ValueError(f"effect of {effect.quantity} is not finite: {effect}")
    margin = claim.at_most
    if effect.low > margin:
        return Verdict.FAIL, f"the whole interval lies above {margin:g}"
    if effect.high > margin:
        return Verdict.INCONCLUSIVE, f"the interval contains {margin:g}"
    if effect.saturated:
        return Verdict.INCONCLUSIVE, f"at the {effect.saturated}: {SATURATED[effect.saturated]}"
    if effect.detectable > margin:
        return Verdict.INCONCLUSIVE, f"a value of {effect.detectable:.2g} could have been missed with n = {effect.n}"
    if effect.detectable > 0:
        return Verdict.PASS, f"the whole interval lies within {margin:g}; {effect.detectable:.2g} would have been seen"
    return Verdict.PASS, f"at most {margin:g}"


def overall(findings: Sequence[Finding], controls: Sequence[Control]) -> Verdict:
    """The worst of the findings; INVALID where a control failed or nothing was asked."""
    verdicts = {finding.verdict for finding in findings}
    if not findings or not all(control.passed for control in controls):
        return Verdict.INVALID
    for verdict in (Verdict.INVALID, Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def _finding(question: Question, effect: Effect) -> Finding:
    verdict, reason = decide(question.claim, effect)
    needed = None
    if verdict == Verdict.INCONCLUSIVE and not effect.saturated:
        margin = question.claim.at_most
        distance = abs(margin - effect.value)
        if effect.value < 0 < margin:  # within the margin, and a loss of its size would have been seen
            distance = margin
        needed = clusters_to_decide(distance, effect.spread, effect.confidence, effect.n)
    return Finding(
        check=question.check, claim=question.claim, effect=effect, verdict=verdict, reason=reason, images_needed=needed
    )
