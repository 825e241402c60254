"""A baseline: the accepted outcomes that later runs of the same trials are compared with. A small file, fit for git.

It keeps what a run must repeat (suite, pictures, places, level) and a bit for each trial, of the accepted run and of
the best one yet: many small steps down are seen against the best.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from perturb import changes
from perturb.changes import LOSS, TESTED, Against, Changes, ChangeVerdict, Pairing, RunSummary
from perturb.errors import InputError, UsageError
from perturb.files import Upgrade, decode
from perturb.quantities.detection import FLOOR, detected, saturation
from perturb.records import Arm, Conditions, Locations, Measurement
from perturb.runs import Run

SCHEMA = 2
UPGRADES: Mapping[int, Upgrade] = {1: dict}  # 2 has several seeds, and trials drawn by the identity of a crop
PHASES = re.compile(r"(\d{1,9},\d{1,9}( \d{1,9},\d{1,9})*)?( \| (\d{1,9},\d{1,9}( \d{1,9},\d{1,9})*)?)*")
SEEDS = " | "  # between the phases of one seed and of the next
MARGIN = 0.05  # a change of detection up to it counts as none, unless the file says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """One arm of an experiment in one run."""

    run: str
    rate: float  # for who reads the file's difference
    detected: str  # a bit for each trial, image by image; base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One experiment: what must be repeated, and what was detected then."""

    level: float
    period: int
    balanced: bool
    dead_phases: str  # "row,column row,column ..." for each seed
    live_phases: str
    shape: tuple[int, int]  # images times seeds, pairs on each
    trials: str  # a digest of places, photographs, seed and purpose
    evidence: str  # a digest of what the accepted run's evaluator gave
    accepted: Mapping[str, Detected]  # by arm: dead and live
    best: Mapping[str, Detected]  # the accepted run that detected most; each arm's own
    runs: int  # accepted so far, of which it is the best
    area: tuple[int, int, int, int] | None = None  # of a resized picture: top, left, bottom, right of what is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteKey:
    """The suite that a run must be of."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What was accepted, and the best yet."""

    schema: int
    suite: SuiteKey
    seed: int
    pictures: str  # a digest of all judged crops
    margin: float
    accepted: RunSummary
    experiments: Mapping[str, Tracked]


def accept(run: Run, name: str, *, margin: float = MARGIN, before: Baseline | None = None) -> Baseline:
    """The baseline that this run makes; `name` is the run's.

    Where the run was measured at the conditions of `before` too, these stay the conditions, and the best of `before`
    lives on; not in a check that has REGRESSED: who accepts that has decided. Raises InputError for an INVALID run.
    """
    if run.report.verdict == "INVALID":
        raise InputError("an INVALID run cannot be a baseline: its instrument failed.")
    known = before.experiments if before and not _unlike(before, run) else {}
    since = compare(before, run, name).changes if before else ()
    fallen = {change.check for change in since if change.verdict == ChangeVerdict.REGRESSED}
    experiments = {}
    for check, own in run.measured.items():
        past = known.get(check)
        again = past and _same_trials(past, run, check)
        experiments[check] = _track(name, again or own, past if again and check not in fallen else None)
    return Baseline(
        schema=SCHEMA,
        suite=SuiteKey(name=run.report.suite.name, digest=run.report.suite.digest),
        seed=run.report.provenance.seed,
        pictures=_pictures(run),
        margin=margin,
        accepted=_who(run, name),
        experiments=experiments,
    )


def conditions(baseline: Baseline) -> dict[str, Conditions]:
    """Where each experiment is to be measured so that its trials pair with the baseline's."""
    return {
        check: Conditions(
            level=past.level,
            locations=tuple(
                Locations(
                    dead=_phases(dead),
                    live=_phases(live),
                    period=past.period,
                    balanced=past.balanced,
                    area=past.area,
                )
                for dead, live in zip(past.dead_phases.split(SEEDS), past.live_phases.split(SEEDS), strict=True)
            ),
        )
        for check, past in baseline.experiments.items()
    }


def compare(baseline: Baseline, run: Run, name: str) -> Changes:
    """What changed from the baseline to this run, trial by trial; INCOMPARABLE says what differs.

    Raises InputError where the baseline holds no trials.
    """
    if not baseline.experiments or any(0 in past.shape for past in baseline.experiments.values()):
        raise InputError("the baseline holds no trials.")
    found = {check: _same_trials(past, run, check) for check, past in baseline.experiments.items()}
    differs = _unlike(baseline, run) or tuple(
        _how_unlike(check, baseline.experiments[check], run) for check, again in found.items() if again is None
    )
    pairings = [] if differs else [p for check, again in found.items() for p in _pairings(check, baseline, again)]
    judged = changes.judge(pairings, margin=baseline.margin, seed=baseline.seed)
    return Changes(
        schema=changes.SCHEMA,
        suite=baseline.suite.name,
        verdict=ChangeVerdict.INCOMPARABLE if differs else changes.overall(judged),
        margin=baseline.margin,
        baseline=baseline.accepted,
        candidate=_who(run, name),
        changes=judged,
        differs=differs,
    )


def from_json(text: str, where: object = "baseline.json") -> Baseline:
    """The baseline that `files.encode` wrote. Raises InputError for any other text."""
    return decode(Baseline, text, where, schema=SCHEMA, upgrades=UPGRADES, check=_faults)


def _faults(baseline: Baseline) -> Iterator[str]:
    if not 0 < baseline.margin < 1:
        yield f"margin: expected a number between 0 and 1, got {baseline.margin:g}"
    for check, past in baseline.experiments.items():
        at = f"experiments.{check}"
        for name, phases in (("dead_phases", past.dead_phases), ("live_phases", past.live_phases)):
            if not PHASES.fullmatch(phases):
                yield f'{at}.{name}: expected "row,column row,column ...", got {phases[:40]!r}'
        for name, arms in (("accepted", past.accepted), ("best", past.best)):
            if set(arms) != set(TESTED):
                yield f"{at}.{name}: expected {list(TESTED)}, got {sorted(arms)[:4]}"
            for which, arm in arms.items():
                yield from _of_arm(f"{at}.{name}.{which}", arm, past.shape)


def _of_arm(at: str, arm: Detected, shape: tuple[int, int]) -> Iterator[str]:
    if not 0 <= arm.rate <= 1:
        yield f"{at}.rate: expected a number within 0 and 1, got {arm.rate:g}"
    try:
        size = len(base64.b64decode(arm.detected, validate=True))
    except (binascii.Error, ValueError):
        yield f"{at}.detected: not base64"
        return
    if min(shape) < 0 or size != -(-shape[0] * shape[1] // 8):
        yield f"{at}.detected: {shape[0]} x {shape[1]} trials do not fit {size} bytes"


def _track(name: str, found: Measurement, past: Tracked | None) -> Tracked:
    locations = found.conditions.locations
    if any(one.pixels for one in locations):
        raise UsageError(
            "the lattice has no whole period in the picture, and a baseline keeps phases: resize by a whole ratio."
        )
    accepted: dict[str, Detected] = {arm: _arm(name, _seen(found, arm)) for arm in TESTED}
    best = {arm: max(kept, past.best[arm], key=lambda a: a.rate) if past else kept for arm, kept in accepted.items()}
    return Tracked(
        level=found.conditions.level,
        period=locations[0].period,
        balanced=any(one.balanced for one in locations),
        dead_phases=SEEDS.join(_written(one.dead) for one in locations),
        live_phases=SEEDS.join(_written(one.live) for one in locations),
        shape=_shape(found),
        trials=_design(found),
        evidence=_evidence(found),
        accepted=accepted,
        best=best,
        runs=past.runs + 1 if past else 1,
        area=locations[0].area,
    )


def _pairings(check: str, baseline: Baseline, again: Measurement | None) -> Iterator[Pairing]:
    assert again is not None
    past = baseline.experiments[check]
    before = {arm: _bits(past.accepted[arm], past.shape) for arm in TESTED}
    after = {arm: _seen(again, arm) for arm in TESTED}
    identical = past.evidence == _evidence(again)

    def paired(quantity: str, against: Against, one: np.ndarray, other: np.ndarray, **more: Any) -> Pairing:
        cluster = np.tile(again.seen.photograph, len(again.trials))
        return Pairing(
            check=check, quantity=quantity, against=against, before=one, after=other, photograph=cluster, **more
        )

    for arm, quantity in TESTED.items():
        saturated = saturation(before["live"], before["dead"], FLOOR)
        yield paired(quantity, "accepted", before[arm], after[arm], saturated=saturated, identical=identical)
        if past.best[arm].detected != past.accepted[arm].detected:
            yield paired(quantity, "best", _bits(past.best[arm], past.shape), after[arm], among=past.runs)
    yield paired(LOSS, "accepted", before["live"] - before["dead"], after["live"] - after["dead"])


def _unlike(baseline: Baseline, run: Run) -> tuple[str, ...]:
    """What makes every one of their trials differ."""
    unlike = ["the candidate's run is INVALID: its instrument failed"] if run.report.verdict == "INVALID" else []
    if run.report.suite.digest != baseline.suite.digest:
        one, other = baseline.suite, run.report.suite
        unlike.append(f"suites: {one.name} {one.digest[:12]} and {other.name} {other.digest[:12]}")
    elif _pictures(run) != baseline.pictures:
        unlike.append("judged pictures: their pixels differ")
    return tuple(unlike)


def _same_trials(past: Tracked, run: Run, check: str) -> Measurement | None:
    """The run's own measurement of them, or its repetition at the baseline's conditions."""
    found = (series[check] for series in (run.repeated, run.measured) if check in series)
    return next((m for m in found if m.conditions.level == past.level and _design(m) == past.trials), None)


def _how_unlike(check: str, past: Tracked, run: Run) -> str:
    if check not in run.measured:
        return f"{check}: not measured"
    own = run.measured[check]
    level, shape = own.conditions.level, _shape(own)
    if shape != past.shape:
        return f"{check}: {past.shape[0]} x {past.shape[1]} pairs and {shape[0]} x {shape[1]}"
    what = f"levels {past.level:.4g} and {level:.4g}" if level != past.level else "dead and live places"
    return f"{check}: {what}; measure the candidate with --baseline, at the baseline's own"


def _who(run: Run, name: str) -> RunSummary:
    report = run.report
    return RunSummary(
        run=name,
        model=report.model.reference,
        weights=report.model.weights,
        device=report.provenance.device,
        timestamp=report.provenance.timestamp,
    )


def _pictures(run: Run) -> str:
    return hashlib.sha256(" ".join(run.pictures).encode()).hexdigest()


def _seen(found: Measurement, arm: Arm) -> Float[np.ndarray, "image pair"]:
    """Whether each trial was detected; seeds one after another."""
    return detected(found.seen, arm)[:, 0].reshape(_shape(found))


def _shape(found: Measurement) -> tuple[int, int]:
    seeds, images = found.seen.threshold.shape
    return seeds * images, found.seen.evidence.shape[3]


def _design(found: Measurement) -> str:
    digest = hashlib.sha256()
    for trials in found.trials:
        digest.update(f"{trials.seed} {trials.purpose} {trials.dead.shape}".encode())
        for part in (trials.dead, trials.live, trials.photograph):
            digest.update(part.astype("<i4").tobytes())
    return digest.hexdigest()


def _evidence(found: Measurement) -> str:
    parts = (found.seen.evidence[:, :1], found.seen.threshold)
    return hashlib.sha256(b"".join(part.astype("<f8").tobytes() for part in parts)).hexdigest()


def _arm(name: str, seen: Float[np.ndarray, "image pair"]) -> Detected:
    packed = base64.b64encode(np.packbits(seen.astype(bool)).tobytes()).decode()
    return Detected(run=name, rate=round(float(seen.mean()), 6), detected=packed)


def _bits(arm: Detected, shape: tuple[int, int]) -> Float[np.ndarray, "image pair"]:
    packed = np.frombuffer(base64.b64decode(arm.detected), dtype=np.uint8)
    return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(float)


def _written(phases: np.ndarray) -> str:
    return " ".join(f"{row},{column}" for row, column in phases)


def _phases(text: str) -> np.ndarray:
    return np.array([[int(n) for n in phase.split(",")] for phase in text.split()]).reshape(-1, 2)
