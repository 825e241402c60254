"""What the numbers mean, in words for somebody who opens a report."""

from perturb.records import Finding, Verdict
from perturb.report import Report

WORST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)
LOSSES = ("accuracy-loss", "accuracy-loss-2afc")
MEASURE = {
    "accuracy-loss": "accuracy lost at dead places",
    "accuracy-loss-2afc": "accuracy lost at dead places (two alternatives)",
    "miss-rate": "share missed at dead places",
    "imbalance": "liveliest / deadest phase",
    "dead-share": "share of phases below half the mean",
}
SMALL_THING = {
    "Pixel": "one changed pixel",
    "Box": "a small box",
    "Noise": "a small patch of noise",
    "Digits": "a small digit",
}


def worst(found: Report) -> Finding:
    """The finding that the verdict hangs on."""
    return min(found.findings, key=lambda f: WORST_FIRST.index(f.verdict))


def title(found: Report) -> str:
    """What the verdict means, in a line."""
    of_loss = worst(found).claim.quantity in LOSSES
    return {
        Verdict.INVALID: "The instrument failed, so nothing is decided",
        Verdict.INCONCLUSIVE: "Not decided: too little evidence either way",
        Verdict.FAIL: "Small changes go unnoticed at dead pixels" if of_loss else "A claim does not hold",
        Verdict.PASS: "Small changes are noticed at dead pixels as at live ones" if of_loss else "Every claim holds",
    }[found.verdict]


def measure(quantity: str) -> str:
    """A quantity in words; somebody else's by its name."""
    return MEASURE.get(quantity, quantity)


def small_thing(perturbation: str) -> str:
    """A perturbation's repr, or that of a task which puts it somewhere, in words."""
    put = perturbation.rpartition("perturbation=")[2]
    return SMALL_THING.get(put.partition("(")[0], f"the perturbation {perturbation}")
