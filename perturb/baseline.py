"""A baseline: the accepted outcomes that later runs of the same trials are compared with. A small file, fit for git.

It keeps what a run must repeat (suite, pictures, places, level) and a bit for each trial, of the accepted run and of
the best one yet: many small steps down are seen against the best. Two runs judge photographs in the same order, so one
that stopped early is compared on those that both judged.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from perturb import changes
from perturb.changes import LOSS, OWN, TESTED, Against, Asked, Changes, ChangeVerdict, Pairing, RunSummary
from perturb.errors import InputError, UsageError
from perturb.files import SEALED, Upgrade, decode
from perturb.quantities.detection import FLOOR, detected, saturation
from perturb.records import Arm, Conditions, Locations, Measurement, Measurements
from perturb.runs import Run

SCHEMA = 4
DIGEST = 8  # hexadecimal digits that tell a crop's pixels, or a photograph's trials or evidence, from others


def _per_photograph(data: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 had one digest for all photographs, so that it agrees with no later run."""

    def arms(old: dict[str, Any], images: int) -> dict[str, Any]:
        return {arm: kept | {"images": images} for arm, kept in old.items()}

    def tracked(old: dict[str, Any]) -> dict[str, Any]:
        images, pairs = old.pop("shape")
        images //= len(old["dead_phases"].split(SEEDS))
        return old | {"pairs": pairs} | {key: arms(old[key], images) for key in ("accepted", "best")}

    return data | {"experiments": {check: tracked(old) for check, old in data["experiments"].items()}}


UPGRADES: Mapping[int, Upgrade] = {1: dict, 2: _per_photograph, 3: dict}
PHASES = re.compile(r"(\d{1,9},\d{1,9}( \d{1,9},\d{1,9})*)?( \| (\d{1,9},\d{1,9}( \d{1,9},\d{1,9})*)?)*")
SEEDS = " | "  # between the phases of one seed and of the next
MARGIN = 0.05  # a change of detection up to it counts as none, unless the file says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """One arm of an experiment in one run."""

    run: str
    rate: float  # for who reads the file's difference
    images: int
    detected: str  # a bit for each trial, by seed, image and pair; base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One experiment: what must be repeated, and what was detected then."""

    level: float
    period: int
    balanced: bool
    dead_phases: str  # "row,column row,column ..." for each seed
    live_phases: str
    pairs: int  # on each image
    trials: str  # for each photograph a digest of places, seed and purpose
    evidence: str  # for each photograph a digest of what the accepted run's evaluator gave
    accepted: Mapping[str, Detected]  # by arm: dead and live
    best: Mapping[str, Detected]  # the accepted run that detected most; each arm's own
    runs: int  # accepted so far, of which it is the best
    own: Mapping[str, Detected] | None = None  # the accepted run at its own places, where these are others
    area: tuple[int, int, int, int] | None = None  # of a resized picture: top, left, bottom, right of what is taken
    every: bool = False  # the dead places take each phase in turn


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
    pictures: str  # a digest of each judged crop
    margin: float
    accepted: RunSummary
    experiments: Mapping[str, Tracked]
    digest: str = field(default="", compare=False, metadata=SEALED)  # of the rest; written by `encode`


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
    experiments, seen = {}, _measurements(run)
    for check, own in run.measured.items():
        past = known.get(check)
        again = past and _same_trials(past, seen, check, len(run.photographs))
        kept = past if again and check not in fallen else None
        tracked = _track(name, again or own, kept, len(run.photographs))
        elsewhere = again and _elsewhere(again, seen, check)
        experiments[check] = replace(tracked, own=_arms(name, elsewhere)) if elsewhere else tracked
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
                    every=past.every,
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
    if not baseline.experiments or not all(_size(past) for past in baseline.experiments.values()):
        raise InputError("the baseline holds no trials.")
    seen = _measurements(run)
    found = _pairing_with(baseline, seen, len(run.photographs))
    differs = _unlike(baseline, run) or tuple(
        _how_unlike(check, baseline.experiments[check], run) for check, again in found.items() if again is None
    )
    pairings = [] if differs else _all_pairings(baseline, seen, found)
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
        warnings=() if differs else tuple(_warnings(baseline, run.report.model.reference, seen, found)),
    )


def decided(baseline: Baseline, seen: Measurements) -> bool:
    """Whether every change since the baseline is decided by what was seen so far.

    Where trials do not pair, no further photograph makes them comparable.
    """
    photographs = 1 + max(int(one.seen.photograph.max()) for one in seen.measured.values())
    found = _pairing_with(baseline, seen, photographs)
    if None in found.values():
        return True
    pairings = _all_pairings(baseline, seen, found)
    judged = changes.judge(pairings, margin=baseline.margin, seed=baseline.seed)
    return changes.overall(judged) != ChangeVerdict.INCONCLUSIVE


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
        for name, arms in (("accepted", past.accepted), ("best", past.best), ("own", past.own or past.accepted)):
            if set(arms) != set(TESTED):
                yield f"{at}.{name}: expected {list(TESTED)}, got {sorted(arms)[:4]}"
            for which, arm in arms.items():
                yield from _of_arm(f"{at}.{name}.{which}", arm, past)


def _of_arm(at: str, arm: Detected, past: Tracked) -> Iterator[str]:
    if not 0 <= arm.rate <= 1:
        yield f"{at}.rate: expected a number within 0 and 1, got {arm.rate:g}"
    try:
        size = len(base64.b64decode(arm.detected, validate=True))
    except (binascii.Error, ValueError):
        yield f"{at}.detected: not base64"
        return
    seeds = _seeds(past)
    if min(arm.images, past.pairs) < 0 or size != -(-seeds * arm.images * past.pairs // 8):
        yield f"{at}.detected: {seeds} x {arm.images} x {past.pairs} trials do not fit {size} bytes"


def _track(name: str, found: Measurement, past: Tracked | None, photographs: int) -> Tracked:
    locations = found.conditions.locations
    if any(one.pixels for one in locations):
        raise UsageError(
            "the lattice has no whole period in the picture, and a baseline keeps phases: resize by a whole ratio."
        )
    accepted = _arms(name, found)
    tracked = Tracked(
        level=found.conditions.level,
        period=locations[0].period,
        balanced=any(one.balanced for one in locations),
        dead_phases=_written_of(found)[0],
        live_phases=_written_of(found)[1],
        pairs=found.seen.evidence.shape[3],
        trials=_design(found, photographs),
        evidence=_evidence(found, photographs),
        accepted=accepted,
        best=accepted,
        runs=past.runs + 1 if past else 1,
        area=locations[0].area,
        every=locations[0].every,
    )
    if past is None:
        return tracked
    return replace(tracked, best={arm: _better(tracked, accepted[arm], past.best[arm]) for arm in TESTED})


def _better(past: Tracked, own: Detected, other: Detected) -> Detected:
    """The one that detected more on the images that both judged; of the other no more than these are kept."""
    both = min(own.images, other.images)
    mine, theirs = (_bits(arm, past)[:, :both] for arm in (own, other))
    return own if mine.mean() >= theirs.mean() else _arm(other.run, theirs)


def _all_pairings(baseline: Baseline, seen: Measurements, found: Mapping[str, Measurement | None]) -> list[Pairing]:
    known = ((check, again) for check, again in found.items() if again)
    return [p for check, again in known for p in _pairings(check, baseline, again, _elsewhere(again, seen, check))]


def _measurements(run: Run) -> Measurements:
    return Measurements(measured=run.measured, repeated=run.repeated, own=run.own)


def _elsewhere(again: Measurement, seen: Measurements, check: str) -> Measurement | None:
    """The run at its own places and the same level; None where these are the very places of `again`."""
    level = again.conditions.level
    found = (series[check] for series in (seen.own, seen.measured) if check in series)
    own = next((m for m in found if m.conditions.level == level), None)
    if own is None or _written_of(own) == _written_of(again):
        return None
    return own if np.array_equal(own.seen.photograph, again.seen.photograph) else None


def _pairings(check: str, baseline: Baseline, again: Measurement, own: Measurement | None) -> Iterator[Pairing]:
    """Of the images that both runs judged, in the same order; `own`: the candidate at places of its own."""
    past = baseline.experiments[check]
    before = {arm: _bits(past.accepted[arm], past) for arm in TESTED}
    after = {arm: _seen(again, arm) for arm in TESTED}
    identical = _agree(past.evidence, _evidence(again, int(again.seen.photograph.max()) + 1))

    def paired(quantity: str, against: Against, one: np.ndarray, other: np.ndarray, **more: Any) -> Pairing:
        both = min(one.shape[1], other.shape[1])
        one, other = (values[:, :both].reshape(-1, past.pairs) for values in (one, other))
        cluster = np.tile(again.seen.photograph[:both], len(again.trials))
        return Pairing(
            check=check, quantity=quantity, against=against, before=one, after=other, photograph=cluster, **more
        )

    each_own = own is not None or past.own is not None
    asked: dict[Arm, Asked] = {"dead": "a fall", "live": "nothing"} if each_own else dict.fromkeys(TESTED, "any change")
    for arm, quantity in TESTED.items():
        at = {"saturated": saturation(before["live"], before["dead"], FLOOR), "identical": identical}
        yield paired(quantity, "accepted", before[arm], after[arm], asked=asked[arm], **at)
        if past.best[arm].detected != past.accepted[arm].detected and asked[arm] != "nothing":
            yield paired(quantity, "best", _bits(past.best[arm], past), after[arm], among=past.runs, asked="a fall")
    if each_own:
        before = {arm: _bits((past.own or past.accepted)[arm], past) for arm in TESTED}
        after = {arm: _seen(own or again, arm) for arm in TESTED}
        for arm, quantity in OWN.items():
            saturated = saturation(before["live"], before["dead"], FLOOR)
            yield paired(quantity, "accepted", before[arm], after[arm], saturated=saturated)
    yield paired(LOSS, "accepted", before["live"] - before["dead"], after["live"] - after["dead"], asked="nothing")


def _warnings(
    baseline: Baseline, other: str, seen: Measurements, found: Mapping[str, Measurement | None]
) -> Iterator[str]:
    """What limits a comparison of the model `other` at the baseline's places."""
    if (one := baseline.accepted.model) != other:
        yield f"the baseline is of `{one}`, another network: its places say little of `{other}`"
    for check, again in found.items():
        past, own = baseline.experiments[check], again and _elsewhere(again, seen, check)
        if past.balanced:
            yield f"{check}: the baseline's map is flat: its places are random, and show no lattice of the candidate"
        if own:
            there, here = (set(text.split(SEEDS)[0].split()) for text in (past.dead_phases, _written_of(own)[0]))
            yield (
                f"{check}: the two maps have {len(there & here)} of {len(there)} dead phases in common, so each model "
                "is judged at its own places"
            )


def _unlike(baseline: Baseline, run: Run) -> tuple[str, ...]:
    """What makes every one of their trials differ."""
    unlike = ["the candidate's run is INVALID: its instrument failed"] if run.report.verdict == "INVALID" else []
    if run.report.suite.digest != baseline.suite.digest:
        one, other = baseline.suite, run.report.suite
        unlike.append(f"suites: {one.name} {one.digest[:12]} and {other.name} {other.digest[:12]}")
    elif not _agree(_pictures(run), baseline.pictures):
        unlike.append("judged pictures: their pixels differ")
    return tuple(unlike)


def _pairing_with(baseline: Baseline, seen: Measurements, photographs: int) -> dict[str, Measurement | None]:
    """For each experiment of the baseline the measurement of the same trials; None where there is none."""
    return {check: _same_trials(past, seen, check, photographs) for check, past in baseline.experiments.items()}


def _same_trials(past: Tracked, seen: Measurements, check: str, photographs: int) -> Measurement | None:
    """The run's own measurement of them, or its repetition at the baseline's conditions."""
    found = (series[check] for series in (seen.repeated, seen.measured) if check in series)
    alike = (m for m in found if m.conditions.level == past.level and m.seen.evidence.shape[3] == past.pairs)
    return next((m for m in alike if _agree(_design(m, photographs), past.trials)), None)


def _how_unlike(check: str, past: Tracked, run: Run) -> str:
    if check not in run.measured:
        return f"{check}: not measured"
    own = run.measured[check]
    level, (seeds, *_, pairs) = own.conditions.level, _seen(own, "dead").shape
    if (seeds, pairs) != (_seeds(past), past.pairs):
        return f"{check}: {past.pairs} pairs an image with {_seeds(past)} seeds, and {pairs} with {seeds}"
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


def _agree(one: str, other: str) -> bool:
    """Whether the digests of two runs are the same for all that both judged."""
    return all(mine == theirs for mine, theirs in zip(one.split(), other.split(), strict=False))


def _pictures(run: Run) -> str:
    return " ".join(digest[:DIGEST] for digest in run.pictures)


def _seen(found: Measurement, arm: Arm) -> Float[np.ndarray, "seed image pair"]:
    """Whether each trial was detected."""
    return detected(found.seen, arm)[:, 0]


def _design(found: Measurement, photographs: int) -> str:
    """A digest of each photograph's trials."""

    def part(*images: np.ndarray) -> bytes:
        mine = zip(found.trials, images, strict=True)
        places = [arm[which].astype("<i4").tobytes() for t, which in mine for arm in (t.dead, t.live)]
        return b"".join([*(f"{t.seed} {t.purpose} ".encode() for t in found.trials), *places])

    return _digests([*map(part, *(_images_of(t.photograph, photographs) for t in found.trials))])


def _evidence(found: Measurement, photographs: int) -> str:
    """A digest of what the evaluator gave for each photograph."""
    seen = found.seen

    def part(mine: np.ndarray) -> bytes:
        return b"".join(v.astype("<f8").tobytes() for v in (seen.evidence[:, 0, mine], seen.threshold[:, mine]))

    return _digests([*map(part, _images_of(seen.photograph, photographs))])


def _images_of(photograph: np.ndarray, photographs: int) -> list[np.ndarray]:
    """The numbers of each photograph's images, in their order."""
    order = np.argsort(photograph, kind="stable")
    return np.split(order, np.searchsorted(photograph[order], np.arange(1, photographs)))


def _digests(parts: Sequence[bytes]) -> str:
    return " ".join(hashlib.sha256(part).hexdigest()[:DIGEST] for part in parts)


def _arms(name: str, found: Measurement) -> dict[str, Detected]:
    return {arm: _arm(name, _seen(found, arm)) for arm in TESTED}


def _arm(name: str, seen: Float[np.ndarray, "seed image pair"]) -> Detected:
    packed = base64.b64encode(np.packbits(seen.astype(bool)).tobytes()).decode()
    return Detected(run=name, rate=round(float(seen.mean()), 6), images=seen.shape[1], detected=packed)


def _bits(arm: Detected, past: Tracked) -> Float[np.ndarray, "seed image pair"]:
    packed = np.frombuffer(base64.b64decode(arm.detected), dtype=np.uint8)
    shape = (_seeds(past), arm.images, past.pairs)
    return np.unpackbits(packed, count=math.prod(shape)).reshape(shape).astype(float)


def _seeds(past: Tracked) -> int:
    return len(past.dead_phases.split(SEEDS))


def _size(past: Tracked) -> int:
    """How many trials it has."""
    return _seeds(past) * past.accepted["dead"].images * past.pairs


def _written_of(found: Measurement) -> tuple[str, str]:
    """Dead and live phases of each seed."""
    locations = found.conditions.locations
    dead, live = (SEEDS.join(_written(getattr(one, arm)) for one in locations) for arm in TESTED)
    return dead, live


def _written(phases: np.ndarray) -> str:
    return " ".join(f"{row},{column}" for row, column in phases)


def _phases(text: str) -> np.ndarray:
    return np.array([[int(n) for n in phase.split(",")] for phase in text.split()]).reshape(-1, 2)
