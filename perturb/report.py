"""The Report: what a run found, as words and numbers, to JSON and back. Opens without torch."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from perturb.figures import Figures
from perturb.files import SEALED, UNWRITTEN, Upgrade, decode
from perturb.kinds import load_kind
from perturb.quantities import KINDS, SHARES
from perturb.records import Control, Effect, Experiment, Finding, Lattice, PictureAccount, Rate, Remedy, Verdict
from perturb.upgrade import from_schema_1, from_schema_2

SCHEMA = 4
UPGRADES: Mapping[int, Upgrade] = {1: from_schema_1, 2: from_schema_2, 3: dict}
ROUNDING = 1e-9
DECIDED = (Verdict.PASS, Verdict.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSummary:
    """The suite that was asked."""

    name: str
    description: str
    digest: str
    settings: Mapping[str, str] = field(default_factory=dict)  # what the digest is of: "check.0.level" -> its value


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """The model as it came, and what was done to it."""

    reference: str
    weights: str  # a digest
    parameters: int
    input_shape: tuple[int, int, int]  # channels, rows, columns
    untrained: bool
    settled: bool = True  # where untrained: batch normalisation took its statistics from the calibration pictures
    remedy: Remedy | None
    preprocessing: str = ""  # from the pixels of a picture to the model's input, in words; empty: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many pictures, and which."""

    photographs: int
    crops: int
    digest: str = ""  # SHA-256 over the photographs' own, in any order


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSummary:
    """Where the pictures are from, and how many were calibrated on and judged."""

    source: str
    calibration: Sample
    judged: Sample
    region: str = ""  # where an object could be put, in words; empty: anywhere but near the edge
    allowed: float | None = None  # the region's share of the judged crops' pixels
    account: PictureAccount | None = None  # what was done to the user's files; None where nothing was
    at_most: int | None = None  # photographs to judge until each check is decided; None: a given number was judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What it takes to run it again."""

    command: str
    device: str
    python: str
    seed: int
    suite_digest: str
    timestamp: str
    versions: Mapping[str, str]  # by package
    weights_digest: str
    machine: str = ""  # system and processor


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSummary:
    """The map that chose the places of the suite's first check."""

    kind: str
    layer: str
    period: int
    imbalance: float | None  # max/min over the phases; None where a phase is strictly dead
    dead_share: float  # of phases, below half the mean
    images: int
    phases: tuple[tuple[float, ...], ...]  # contribution by phase, mean 1
    makers: tuple[str, ...]  # the layers up to there whose windows meet some pixels more often; () if not traceable
    lattice: Lattice | None = None  # where the picture is resized, cropped or padded ahead of the network
    unread: float | None = None  # share of the picture's pixels that nothing up to the layer reads; None: not known
    periods: tuple[int, int] | None = None  # of rows and of columns where they differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One model, one suite, one run."""

    schema: int
    suite: SuiteSummary
    model: ModelSummary
    images: ImagesSummary
    verdict: Verdict
    map: MapSummary
    findings: tuple[Finding, ...]
    experiments: tuple[Experiment, ...]
    controls: tuple[Control, ...]
    provenance: Provenance
    files: Mapping[str, str] = field(default_factory=dict, compare=False)  # SHA-256 of the trials and maps beside it
    digest: str = field(default="", compare=False, metadata=SEALED)  # of the rest; written by `encode`
    figures: Figures | None = field(  # what report.html shows; not in JSON
        default=None, compare=False, repr=False, metadata=UNWRITTEN
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A Report beside another; `lattice` is its own map by phase, whatever places were measured."""

    name: str
    seed: int
    report: Report
    lattice: tuple[tuple[float, ...], ...]


def from_json(text: str, where: object = "report.json") -> Report:
    """The Report that `files.encode` wrote, now or in an earlier version.

    Raises InputError for any other text, and where its numbers contradict each other.
    """
    return decode(Report, text, where, schema=SCHEMA, upgrades=UPGRADES, check=contradictions)


def contradictions(report: Report) -> Iterator[str]:
    """What cannot be true of a report: a line each, beginning with the field."""
    from perturb.verdict import decide, overall  # here: they load SciPy, which a list of kept runs does without

    for at, finding in enumerate(report.findings):
        yield from _of_effect(f"findings.{at}.effect", finding.effect)
        yield from _outside(f"findings.{at}.claim.confidence", finding.claim.confidence)
        if needed := finding.needed:
            yield from _negative(f"findings.{at}.needed", photographs=needed.photographs, least=needed.least)
        told, (ruled, reason) = finding.verdict, decide(finding.claim, finding.effect)
        # An earlier rule withheld a PASS that this one gives; none gave a verdict that this one withholds.
        if told != ruled and (told in DECIDED or ruled == Verdict.FAIL) and told != Verdict.INVALID:
            yield f"findings.{at}.verdict: {told}, but by its numbers {ruled}: {reason}"
    for at, experiment in enumerate(report.experiments):
        yield from _of_experiment(f"experiments.{at}", experiment)
    yield from _of_map(report.map)
    yield from _negative("model", parameters=report.model.parameters)
    yield from _negative("provenance", seed=report.provenance.seed)
    yield from _least("model.input_shape", *report.model.input_shape)
    for name, sample in (("calibration", report.images.calibration), ("judged", report.images.judged)):
        yield from _negative(f"images.{name}", photographs=sample.photographs, crops=sample.crops)
    if account := report.images.account:
        yield from _negative("images.account", looked_at=account.looked_at)
        for at, note in enumerate(account.notes):
            yield from _negative(f"images.account.notes.{at}", count=note.count, files=note.files)
    if report.verdict != (worst := overall(report.findings, report.controls)):
        yield f"verdict: {report.verdict}, but the findings and controls make it {worst}"


def _of_map(found: MapSummary) -> Iterator[str]:
    yield from _outside("map.dead_share", found.dead_share)
    if found.unread is not None:
        yield from _outside("map.unread", found.unread)
    yield from _negative("map", images=found.images)
    yield from _least("map.period", found.period)
    if found.periods and math.lcm(*found.periods) != found.period:
        yield f"map.periods: {found.periods}, but their least common multiple is not {found.period}"
    yield from _least("map.imbalance", 1.0 if found.imbalance is None else found.imbalance)
    if not found.phases or len({len(row) for row in found.phases}) > 1 or not found.phases[0]:
        yield "map.phases: expected rows of one length, and at least one number"
    yield from (line for row in found.phases for value in row for line in _negative("map", phases=value))


def _of_experiment(at: str, found: Experiment) -> Iterator[str]:
    yield from _negative(at, photographs=found.photographs, pairs=found.pairs)
    yield from _outside(f"{at}.level", found.level)
    if not found.measures:
        yield f"{at}.measures: expected at least one"
    for number, measure in enumerate(found.measures):
        for arm, rate in (("dead", measure.dead), ("live", measure.live), ("clean", measure.clean)):
            if rate is not None:
                yield from _of_rate(f"{at}.measures.{number}.{arm}", rate, share=measure.name in SHARES)
        if measure.difference is not None:
            yield from _of_effect(f"{at}.measures.{number}.difference", measure.difference)
    for row, breakdown in enumerate(found.recall.breakdowns if found.recall else ()):
        for number, one in enumerate(breakdown.bins):
            for arm in ("dead", "live"):
                yield from _of_rate(f"{at}.recall.breakdowns.{row}.bins.{number}.{arm}", getattr(one, arm), share=True)


def _of_rate(at: str, rate: Rate, *, share: bool) -> Iterator[str]:
    yield from _negative(at, n=rate.n, trials=rate.trials)
    yield from _apart(at, rate)
    for name in ("value", "low", "high") if share else ():
        yield from _outside(f"{at}.{name}", getattr(rate, name))


def _of_effect(at: str, effect: Effect) -> Iterator[str]:
    yield from _negative(at, n=effect.n, spread=effect.spread)
    yield from _apart(at, effect)
    yield from _outside(f"{at}.confidence", effect.confidence)
    if effect.quantity in KINDS:
        yield from _outside(f"{at}.value", effect.value, *load_kind(effect.quantity, KINDS).range)


def _apart(at: str, found: Rate | Effect) -> Iterator[str]:
    room = ROUNDING * max(1.0, abs(found.value))
    if not found.low - room <= found.value <= found.high + room:
        yield f"{at}: expected low <= value <= high, got {found.low:g}, {found.value:g}, {found.high:g}"


def _outside(at: str, value: float, low: float = 0, high: float = 1) -> Iterator[str]:
    if not low - ROUNDING <= value <= high + ROUNDING:
        yield f"{at}: expected a number within {low:g} and {high:g}, got {value:g}"


def _least(at: str, *values: float) -> Iterator[str]:
    for value in values:
        if value < 1 - ROUNDING:
            yield f"{at}: expected at least 1, got {value:g}"


def _negative(at: str, **counts: float) -> Iterator[str]:
    for name, count in counts.items():
        if count < 0:
            yield f"{at}.{name}: expected at least 0, got {count:g}"
