"""A verdict from a claim and an effect. A large p-value alone never passes a model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perturb.records import Claim, Control, Effect, Finding, Needed, Verdict
from perturb.stats.multiplicity import holm
from perturb.stats.power import clusters_to_decide, least_mean_found

POWER = 0.8  # with which a report says what its photographs would FAIL
WITHOUT_ERROR = ("exact", "as measured")  # methods of effects that have no sampling error
SATURATED = {
    "floor": "too little is seen even at live places for a small loss to mean anything, or one answer is right "
    "everywhere; use a larger perturbation, a lower threshold or an earlier layer, or train for longer",
    "ceiling": "nearly everything is seen; use a lower level, or calibrate it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A check before it is decided; `effect_at(confidence)` gives its effect with an interval at that confidence."""

    check: str
    claim: Claim
    effect_at: Callable[[float], Effect]
    bounds: tuple[float, float] = (-1.0, 1.0)  # of the quantity
    supply: float = 1.0  # photographs to supply for each one that is judged


def judge(questions: Sequence[Question]) -> list[Finding]:
    """A finding for each question, in their order.

    The suite passes only if each check does, so each passes at its own confidence (intersection-union: Berger 1982).
    Any FAIL speaks against the model, so Holm's procedure shares the error rate of all FAILs. Effects without sampling
    error take no part in it.
    """
    first = [q.effect_at(q.claim.confidence) for q in questions]
    sampled = [i for i, effect in enumerate(first) if effect.method not in WITHOUT_ERROR]

    def fails_at(i: int) -> Callable[[float], bool]:
        return lambda confidence: questions[i].effect_at(confidence).low > questions[i].claim.at_most

    confidences = holm([fails_at(i) for i in sampled], [questions[i].claim.confidence for i in sampled])
    shared = dict(zip(sampled, confidences, strict=True))
    return [_finding(q, effect, shared.get(i)) for i, (q, effect) in enumerate(zip(questions, first, strict=True))]


def decide(claim: Claim, effect: Effect) -> tuple[Verdict, str]:
    """The verdict and the reason for it: FAIL if the whole interval is above the margin, PASS if none of it is.

    INCONCLUSIVE where the margin lies within the interval, and in place of PASS where detection is saturated.
    Raises ValueError for an effect that is not finite: NaN decides nothing.
    """
    if not all(map(math.isfinite, (effect.value, effect.low, effect.high))):
        raise ValueError(f"effect of {effect.quantity} is not finite: {effect}")
    margin = claim.at_most
    if effect.low > margin:
        return Verdict.FAIL, f"the whole interval lies above {margin:g}"
    if effect.high > margin:
        return Verdict.INCONCLUSIVE, f"the interval contains {margin:g}"
    if effect.saturated:
        return Verdict.INCONCLUSIVE, f"at the {effect.saturated}: {SATURATED[effect.saturated]}"
    if effect.method in WITHOUT_ERROR:
        return Verdict.PASS, f"at most {margin:g}"
    error = (1 - effect.confidence) / 2
    return (
        Verdict.PASS,
        f"the whole interval lies within {margin:g}; a larger value passes at most {error:.3g} of the time",
    )


def overall(findings: Sequence[Finding], controls: Sequence[Control]) -> Verdict:
    """The worst of the findings; INVALID where a control failed or nothing was asked."""
    verdicts = {finding.verdict for finding in findings}
    if not findings or not all(control.passed for control in controls):
        return Verdict.INVALID
    for verdict in (Verdict.INVALID, Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def _finding(question: Question, effect: Effect, shared: float | None) -> Finding:
    """`shared`: the confidence that Holm's procedure leaves to this check's FAIL."""
    verdict, reason = decide(question.claim, effect)
    if verdict == Verdict.FAIL and shared is not None:
        own, effect = effect.confidence, question.effect_at(shared)
        verdict, reason = decide(question.claim, effect)
        if verdict != Verdict.FAIL:
            reason += f"; above it at {own:.4g} alone, not at the {effect.confidence:.4g} that several checks ask for"
    elif shared is not None and math.inf not in question.bounds:
        reason += f"; {_would_fail(question, effect, shared)}"
    return Finding(
        check=question.check,
        claim=question.claim,
        effect=effect,
        verdict=verdict,
        reason=f"{reason}; {effect.where}" if effect.where else reason,
        needed=_needed(question, effect) if verdict == Verdict.INCONCLUSIVE and not effect.saturated else None,
    )


def _would_fail(question: Question, effect: Effect, shared: float) -> str:
    """The smallest true value that so many photographs would FAIL, if they spread as these do.

    The largest of several means must win the money of all of them, as if it alone were above the claim.
    """
    error = (1 - shared) / 2 / effect.among
    value = least_mean_found(effect.spread, question.claim.at_most, question.bounds, error, have=effect.n, power=POWER)
    if value is None:
        return f"so few photographs FAIL no value in {POWER:.0%} of runs"
    return f"a true {value:.2f} or more would FAIL in {POWER:.0%} of such runs"


def _needed(question: Question, effect: Effect) -> Needed | None:
    """Photographs to supply that would decide, if the value is what was measured, give or take a standard error.

    None for a quantity without bounds, such as a level: what decides it is not the mean of a number by photograph.
    """
    margin, error = question.claim.at_most, effect.spread / effect.n**0.5
    away = math.copysign(error, effect.value - margin)

    def supplied(value: float) -> int | None:
        if (value - margin) * away < 0:  # on the other side of the margin
            return None
        value = min(max(value, question.bounds[0]), question.bounds[1])
        confidence = 1 - (1 - effect.confidence) / (effect.among if value > margin else 1)  # FAIL is shared among all
        judged = clusters_to_decide(value, effect.spread, margin, question.bounds, confidence, have=effect.n)
        return None if judged is None else math.ceil(judged * question.supply)

    photographs, least, most = (supplied(effect.value + shift) for shift in (0.0, away, -away))
    return None if photographs is None or least is None else Needed(photographs=photographs, least=least, most=most)
