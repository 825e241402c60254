"""Scope, object and system: what the document is about."""

from collections.abc import Sequence

from perturb.records import Experiment, Verdict
from perturb.render.lattice import sentences
from perturb.render.qualification.document import Block, Facts, Section, Table, Text, joined
from perturb.render.terminal import describe, percent, trained
from perturb.report import Report

OUTSIDE = (
    "other objects, sizes and strengths than those of section 2; other weights, inputs and processing than those of "
    "section 3; pictures unlike those of section 4; other settings than those of section 9; errors that no claim of "
    "section 10 bounds"
)


def scope(found: Report) -> Section:
    """What is qualified, and what is not."""
    shown = [f.check for f in found.findings if f.verdict == Verdict.PASS]
    alone = f"nothing as a whole; by themselves these checks hold: {joined(shown)}" if shown else "nothing"
    qualified = {Verdict.PASS: joined(shown), Verdict.INVALID: "nothing"}.get(found.verdict, alone)
    open_ = [f"{f.check} ({f.verdict})" for f in found.findings if f.verdict != Verdict.PASS]
    rows = [
        ("purpose", "how often the system finds small things, and whether that depends on where they lie"),
        ("qualified", qualified),
        ("not qualified", "all" if found.verdict == Verdict.INVALID else joined(open_) or "no claim of the suite"),
        ("outside the scope", OUTSIDE),
    ]
    return Section("Scope", [Facts(rows)])


def thing(found: Report) -> Section:
    """What is to be found: a row for each experiment."""
    table = Table(
        ("check", "object", "parameters", "strength", "mean change at dead, live places", "lost to clipping"),
        [_thing(e) for e in found.experiments],
    )
    words = (
        "Strength is the level, a fraction of the pixel range. The mean change is what was left of it in the picture, "
        "over the object's pixels."
    )
    own = {e.name for e in found.experiments}
    shared = [f.check for f in found.findings if f.check not in own]
    more = [Text(f"Measured together with another check, and without a row here: {joined(shared)}.")] if shared else []
    return Section("Object", [table, Text(words), *more])


def _thing(e: Experiment) -> Sequence[str]:
    change = f"{e.realised['dead']:.3f}, {e.realised['live']:.3f}" if {"dead", "live"} <= e.realised.keys() else ""
    clipped = f"{percent(e.clipped['dead'])}, {percent(e.clipped['live'])}" if e.clipped else ""
    if e.recall:
        return e.name, e.thing, f"{e.recall.objects} annotated objects", "as in the pictures", "none", "none"
    return e.name, e.thing, e.perturbation, strength(e), change, clipped


def strength(e: Experiment) -> str:
    """The level or levels, and how they were chosen."""
    if e.recall:
        return "as in the pictures"
    told = f"{e.level:.3g}"
    if e.calibrated and e.live_target is not None:
        told += f", sought on calibration pictures for {e.live_target:.0%} found at live places"
    if e.levels:
        told += f"; {len(e.levels.levels)} levels from {e.levels.levels[0]:.3g} to {e.levels.levels[-1]:.3g}"
    return told


def system(found: Report) -> Section:
    """The model as it was measured."""
    model = found.model
    blocks: list[Block] = [
        Facts(
            [
                ("model", describe(model)),
                ("parameters", f"{model.parameters}" if model.parameters else "not known: its answers alone were seen"),
                ("SHA-256 of the weights or of the function", model.weights),
                ("weights", _weights(found)),
                ("input (channels, rows, columns)", " x ".join(map(str, model.input_shape))),
                ("preprocessing", model.preprocessing),
                ("ahead of the network", camera(found)),
                ("change to the network", _remedy(found)),
                ("how its outputs are read", joined([reading(e) for e in found.experiments])),
                ("engine of the computation", joined([e.engine for e in found.experiments])),
            ]
        )
    ]
    rows = [(e.name, str(t.seed), trained(t)) for e in found.experiments for t in e.training]
    if rows:
        blocks.append(Table(("check", "seed", "training in this run"), rows))
    return Section("System under test", blocks)


def _weights(found: Report) -> str:
    if any(e.training for e in found.experiments):
        return "trained in this run, see below"
    return "untrained" if found.model.untrained else "as they came; how they were trained is not recorded"


def reading(e: Experiment) -> str:
    """The evaluator and where it looks."""
    return f"{e.evaluator} at {e.layer}"


def camera(found: Report) -> str:
    """What happens between the camera's picture and the network, as far as the run had a part in it."""
    otherwise = "nothing but cutting or fitting pictures to the input's size, as their source does"
    return " ".join(sentences(found.map.lattice)) or otherwise


def _remedy(found: Report) -> str:
    remedy = found.model.remedy
    if remedy is None:
        return "none"
    changed = "; ".join(f"{c.name} ({c.kind}) {c.before} -> {c.after}" for c in remedy.changed)
    return f"{remedy.kind}, weights {remedy.weights}: {changed}"
