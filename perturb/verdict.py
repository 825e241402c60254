"""A verdict from a claim and an effect. A large p-value alone never passes a model."""

import math
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
    """A check before it is decided; `effect_at(confidence)` gives its effect with an interval at that confidence."""

    check: str
    claim: Claim
    effect_at: Callable[[float], Effect]


def judge(questions: Sequence[Question]) -> list[Finding]:
    """A finding for each question, in their order.

    Holm's procedure shares the error rate among the effects with sampling error; exact ones take no part in it.
    """
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
    """The verdict and the reason for it: FAIL if the whole interval is above the margin, PASS if none of it is.

    INCONCLUSIVE where the margin lies within the interval. Instead of PASS, INCONCLUSIVE where detection is saturated
    or an effect of the margin's size could have been missed.
    Raises ValueError for an effect that is not finite: NaN decides nothing.
    """
    if not all(map(math.isfinite, (effect.value, effect.low, effect.high, effect.detectable))):
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
    undecided = verdict == Verdict.INCONCLUSIVE and not effect.saturated
    return Finding(
        check=question.check,
        claim=question.claim,
        effect=effect,
        verdict=verdict,
        reason=reason,
        images_needed=_images_needed(question.claim.at_most, effect) if undecided else None,
    )


def _images_needed(margin: float, effect: Effect) -> int | None:
    """Photographs that would decide if the effect is truly what was measured; None where no number would.

    FAIL needs the value told from the margin. PASS needs that too, and that an effect of the margin's size would have
    been seen: the margin itself bounds the distance, and with a margin of 0 or less nothing measured ever passes.
    """
    distance = effect.value - margin if effect.value > margin else min(margin - effect.value, margin)
    return clusters_to_decide(distance, effect.spread, effect.confidence, effect.n)
