"""Procedure, operating points and false calls: how it was measured, and when a thing counts as found."""

from collections.abc import Sequence

from perturb.records import Experiment
from perturb.render import threshold
from perturb.render.phases import arms
from perturb.render.qualification.document import MISSING, Facts, Section, Table, Text, joined, recorded
from perturb.render.qualification.subject import reading
from perturb.render.terminal import moved, number, rate, region, unproven, until
from perturb.report import Report, Sample

RANDOM = (
    "photographs, not trials, are the independent units of every interval; level, map and thresholds come from "
    "calibration photographs or clean shots, never from judged outcomes; a trial depends on the seed, the photograph's "
    "content and the number of its crop, not on file names"
)
FEW = 8  # phases that are listed


def procedure(found: Report) -> Section:
    """The design of the test, and the proof that the instrument works."""
    images, account = found.images, found.images.account
    facts = Facts(
        [
            ("what moved", moved(found.experiments) if found.experiments else ""),
            ("pictures", images.source),
            ("judged", f"{_sample(images.judged)}{until(images)}"),
            ("calibrated on", _sample(images.calibration)),
            ("where objects lie", _where(found)),
            ("picture files left out or changed", account.words if account else "none noted"),
            ("how the pictures were chosen", f"{MISSING}: the tool takes what it is given"),
            ("seed", str(found.provenance.seed)),
            ("randomisation", RANDOM),
            ("sensor noise (standard deviation)", joined([_noise(e) for e in found.experiments])),
        ]
    )
    places = Table(
        ("check", "photographs", "pairs", "period", "dead places", "live places"),
        [_places(e) for e in found.experiments],
        "Each pair asks about the same picture at a dead and at a live place. Places are (row, column) in a period.",
    )
    return Section("Procedure", [facts, places, _controls(found)])


def _where(found: Report) -> str:
    if found.experiments and all(e.recall for e in found.experiments):
        return "as annotated"
    return region(found.images).strip() or "anywhere but near the edge"


def _controls(found: Report) -> Table:
    rows = [(c.name, c.expected, c.observed, "passed" if c.passed else "FAILED") for c in found.controls]
    words = f"In this run the instrument also measured systems whose answer is known.{unproven(found.experiments)}"
    return Table(("control", "expected", "observed", "result"), rows, words)


def _sample(sample: Sample) -> str:
    return f"{sample.photographs} photographs in {sample.crops} crops"


def _noise(e: Experiment) -> str:
    return MISSING if e.noise is None else f"{e.noise:g} of the pixel range" if e.noise else "none"


def _places(e: Experiment) -> Sequence[str]:
    dead, live = (_phases(phases) for phases in (e.dead_phases, e.live_phases))
    if e.phases_of == "judged":
        dead, live = (name.removeprefix("at ") for name in arms(e))
    elif e.balanced:
        dead = live = "drawn at random: the map is flat"
    return e.name, str(e.photographs), str(e.pairs), str(e.period), dead, live


def _phases(phases: Sequence[tuple[int, int]]) -> str:
    return ", ".join(map(str, phases[:FEW])) + (f" and {len(phases) - FEW} more" if len(phases) > FEW else "")


def operating(found: Report) -> Section:
    """When the answer counts as yes, and where that limit comes from."""
    table = Table(
        ("check", "found means", "operating point", "threshold applied"),
        [_limit(e) for e in found.experiments],
    )
    return Section("Operating points", [table, *(_free_response(e) for e in found.experiments if e.free_response)])


def _limit(e: Experiment) -> Sequence[str]:
    return e.name, f"{e.verb}, by {reading(e)}", recorded(threshold.source(e)), threshold.applied(e)


def _free_response(e: Experiment) -> Table:
    rows = [
        (f"{f.false_alarms:g}", f"{f.measured:.2g}", f"{f.threshold:.3g}", rate(f.dead), rate(f.live))
        for f in e.free_response
    ]
    head = ("false alarms a picture", "came out", "threshold", "at dead places", "at live places")
    return Table(head, rows, f"{e.name}: detection at other rates of false alarms.")


def false_calls(found: Report) -> Section:
    """What was reported where nothing was."""
    table = Table(
        ("check", "what is counted", "measured [95 % interval]", "photographs (trials)"),
        [_calls(e) for e in found.experiments],
    )
    words = "Measured on the judged pictures without the object. Intervals are over photographs, for reading."
    return Section("False calls", [table, Text(words)])


def _calls(e: Experiment) -> Sequence[str]:
    if e.recall:
        told = e.recall.alarms
        what = "reports that match no annotated object, a picture"
        return e.name, what, f"{number(told.value)} [{number(told.low)}, {number(told.high)}]" if told else "", _n(e)
    if e.detected.clean is None:
        return e.name, "nothing: clean pictures were not asked about", "not asked", "none"
    trial = "share of trials without the object (of maps and boxes a trial is one place, not a picture)"
    what = f"{trial}, {e.verb} all the same" if e.clean == "absent" else f"no alarm: {trial}, answered {e.verb}"
    return e.name, what, rate(e.detected.clean), _n(e)


def _n(e: Experiment) -> str:
    told = e.recall.alarms if e.recall else e.detected.clean
    return f"{told.n} ({told.trials})" if told else ""
