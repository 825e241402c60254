"""Essential parameters, results and limits: under which conditions the document holds, and what it shows."""

from collections.abc import Iterator, Sequence

from perturb.images.generated import GENERATED
from perturb.records import Experiment, Finding, Verdict
from perturb.render import charts, embed, levels, threshold
from perturb.render.headline import outdated, quantity
from perturb.render.lattice import repeats
from perturb.render.qualification.document import MISSING, Block, Figure, Points, Section, Table, Text, joined, recorded
from perturb.render.qualification.status import UNTRAINED, VOID
from perturb.render.qualification.subject import camera, reading
from perturb.render.terminal import cause, number, unproven, would_decide
from perturb.report import Report
from perturb.verdict import WITHOUT_ERROR

RULE = (
    "A claim passes if its whole interval lies within the margin, and fails if the whole interval lies above it; "
    "anything else is INCONCLUSIVE. The suite passes if every check does, so each passes at its own confidence "
    "(intersection-union). FAILs share one error rate by Holm's procedure."
)
BETS = ("betting", "bets")  # how the methods begin whose rates hold for all photographs
SUPPLIED = frozenset(["built-in", "digits", *GENERATED])  # pictures that come with the package


def essential(found: Report) -> Section:
    """What must not change without a new qualification."""
    words = "A change of any of these asks for a new qualification."
    return Section("Essential parameters", [Table(("parameter", "in this run"), list(_essential(found)), words)])


def _essential(found: Report) -> Iterator[tuple[str, str]]:
    model, origin, each = found.model, found.provenance, found.experiments
    yield "weights (SHA-256)", model.weights
    yield "input size (channels, rows, columns)", " x ".join(map(str, model.input_shape))
    yield "preprocessing", model.preprocessing
    yield "resizing, cropping, padding ahead of the network", camera(found)
    yield "tiles", f"{MISSING}: where the model is asked tile by tile, its code is part of the system"
    yield "period of the stride lattice, pixels", repeats(found.map)
    yield "change to the network", model.remedy.kind if model.remedy else "none"
    yield "reading of the outputs", joined([reading(e) for e in each])
    yield "threshold", joined([f"{e.name}: {recorded(threshold.applied(e))}" for e in each])
    yield "operating point", joined([recorded(threshold.source(e)) for e in each])
    yield "engine", joined([e.engine for e in each])
    yield "libraries", ", ".join(f"{name} {told}" for name, told in sorted(origin.versions.items()))
    yield "Python", origin.python
    yield "device", origin.device
    yield "machine", origin.machine


def results(found: Report) -> Section:
    """Each claim with its verdict, and how often the rule errs."""
    blocks: list[Block] = [Text(f"The instrument failed. {VOID}")] if found.verdict == Verdict.INVALID else []
    blocks.append(Table(HEAD, [_result(f) for f in found.findings]))
    for spec in charts.by_quantity(found.findings):
        words = "Estimates with their intervals; shaded: where the claim holds."
        blocks.append(Figure(embed.drawn(charts.svg(spec, colours=charts.PRINT)), words))
    blocks.append(Table(("check", "why"), [(f.check, _why(f)) for f in found.findings]))
    blocks += [
        Text(RULE),
        Table(("check", "interval by", "decided wrongly at most"), [_error(f) for f in found.findings]),
    ]
    blocks.append(Points(list(_assumed(found))))
    return Section("Results against claims", blocks)


HEAD = ("check", "claim", "measured", "interval", "its confidence", "photographs", "verdict")


def _result(f: Finding) -> Sequence[str]:
    effect = f.effect
    return (
        f.check,
        f"{quantity(effect)} at most {f.claim.at_most:g}, at confidence {f.claim.confidence:g}",
        number(effect.value),
        f"{number(effect.low)} to {number(effect.high)}",
        f"{effect.confidence:.4g}",
        str(effect.n),
        f.verdict,
    )


def _why(f: Finding) -> str:
    parts = [f.reason, would_decide(f.needed) if f.needed else "", cause(f.cause) if f.cause else ""]
    return ". ".join(part for part in parts if part)


def _error(f: Finding) -> Sequence[str]:
    effect = f.effect
    if effect.method in WITHOUT_ERROR:
        return f.check, effect.method, "no sampling error"
    error = (1 - effect.confidence) / 2
    told = {
        Verdict.PASS: f"{error:.3g}: a value beyond the claim passes so often",
        Verdict.FAIL: f"{error:.3g}: a value within the claim fails so often",
    }
    return f.check, effect.method, told.get(f.verdict, "no decision")


def _assumed(found: Report) -> Iterator[str]:
    yield "All intervals assume that photographs are independent of one another."
    methods = [f.effect.method for f in found.findings if f.effect.method not in WITHOUT_ERROR]
    if nominal := [method for method in methods if not method.startswith(BETS)]:
        yield f"Error rates by {joined(nominal)} are nominal: approximate, and better with more photographs."
    if note := outdated(found):
        yield note


def limits(found: Report) -> Section:
    """What the run cannot tell."""
    return Section("Limits", [Points(list(_limits(found)))])


def _limits(found: Report) -> Iterator[str]:
    judged = found.images.judged.photographs
    yield (
        f"{judged} photographs were judged. The result holds for pictures like these. Whether they stand for those of "
        "the inspection is for the owner of the pictures to show."
    )
    if found.images.source in SUPPLIED:
        yield "The pictures came with the tool, so nothing is shown for pictures of the inspection itself."
    if any(e.recall is None for e in found.experiments):
        yield (
            "Objects were drawn into the pictures. How far they look like real ones is not measured here; annotated "
            "objects or real defects answer that."
        )
    if found.model.untrained:
        yield UNTRAINED
    yield (
        "Light, focus, cameras, wear and operators that the pictures do not show are not covered, nor is change of the "
        "system over time."
    )
    yield "Larger objects, sizing and classification are covered only where a claim of section 10 names them."
    if words := unproven(found.experiments).strip():
        yield words
    if single := [e.name for e in found.experiments if not e.levels]:
        yield f"Measured at one strength: {joined(single)}. Nothing is shown for weaker objects."
    for e in found.experiments:
        yield from _of_experiment(e)


def _of_experiment(e: Experiment) -> Iterator[str]:
    if e.balanced:
        yield f"{e.name}: the map is flat, so there are no dead places; both arms were drawn at random."
    if e.training:
        yield f"{e.name}: trained in this run ({len(e.training)} times); nothing is shown for a further training."
    arms = [arm for arm in ("dead", "live") if e.levels and getattr(e.levels, arm).surely is None]
    if arms:
        yield f"{e.name}: a90/95 {levels.ABSENT} at {' and '.join(arms)} places."
