"""A Run: a report with the trials and maps behind it; as three files, and back. Opens without torch.

Trials and maps are NumPy's .npz: exact, a few bytes a trial, read without pickle and without a further package. `table`
gives the columns that a data frame is made of.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from perturb import files
from perturb.errors import InputError, UsageError
from perturb.npz import LIMIT, Stored, pack, small, unpack
from perturb.records import (
    ARMS,
    Conditions,
    Contribution,
    Images,
    Lattice,
    Locations,
    Measurement,
    Observation,
    OperatingPoint,
    Trials,
)
from perturb.report import Report, from_json
from perturb.visible import plain

TRIALS = 3  # schema of trials.npz; 1 had one seed and an array for each arm, 2 had one clean arm
MAPS = 2  # of maps.npz; 1 had no keys, as there was one map of a layer
FILES = ("report.json", "trials.npz", "maps.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run found, and every number that it was found from."""

    report: Report
    photographs: tuple[str, ...]  # names of those judged
    pictures: tuple[str, ...]  # a digest of each judged crop's pixels
    measured: Mapping[str, Measurement]  # by experiment
    repeated: Mapping[str, Measurement]  # the same at the places and levels of a baseline, where one was given
    own: Mapping[str, Measurement]  # at the run's own places and the level of a baseline, where both are others
    maps: Mapping[str, Contribution]  # by layer or by check and layer; their windows are not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsHead:
    """What trials.npz says of one experiment beside its arrays."""

    level: float
    purpose: str
    seeds: tuple[int, ...]
    periods: tuple[int, ...]  # by seed
    balanced: tuple[bool, ...]  # by seed
    point: OperatingPoint
    measures: tuple[str, ...]
    scenes: bool = False  # whether the picture moved
    together: bool = False
    counted: bool = False  # whether false alarms anywhere in a picture were kept
    area: tuple[int, int, int, int] | None = None  # of the locations, as below
    pixels: bool = False
    levels: tuple[float, ...] = ()  # beside the check's own
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsFile:
    """The header of trials.npz."""

    schema: int
    photographs: tuple[str, ...]
    pictures: tuple[str, ...]
    measured: Mapping[str, TrialsHead]
    repeated: Mapping[str, TrialsHead]
    own: Mapping[str, TrialsHead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapHead:
    """What maps.npz says of one map beside its values."""

    key: str  # in Run.maps
    kind: str
    layer: str
    period: int
    images: int
    lattice: Lattice | None = None
    periods: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapsFile:
    """The header of maps.npz."""

    schema: int
    maps: tuple[MapHead, ...]


def digests(images: Images) -> tuple[str, ...]:
    """What tells each crop from any other: SHA-256 of its pixels, its first 16 digits."""
    return tuple(hashlib.sha256(picture.tobytes()).hexdigest()[:16] for picture in images.pixels)


def encode(run: Run) -> dict[str, bytes]:
    """The files of a run, by name; the same run gives the same bytes."""
    beside = {"trials.npz": _trials(run), "maps.npz": _maps(run.maps)}
    report = replace(run.report, files={name: hashlib.sha256(data).hexdigest() for name, data in beside.items()})
    return {"report.json": files.encode(report).encode(), **beside}


def decode(given: Mapping[str, bytes], where: object = "run") -> Run:
    """The run that `encode` wrote, now or in an earlier version. Raises InputError for files that are damaged."""
    at, trials, maps = (f"{where}/{name}" for name in FILES)
    report = from_json(files.as_text(given["report.json"], at), at)
    arrays, told = unpack(given["trials.npz"], trials)
    head = files.decode(TrialsFile, told, trials, schema=TRIALS, upgrades={1: _with_seeds, 2: lambda told: told})
    arrays = arrays if any(key.endswith("/evidence") for key in arrays) else _by_arm(arrays)
    arrays = arrays if any(key.endswith("/truth") for key in arrays) else _at_both_places(arrays)
    drawn, told = unpack(given["maps.npz"], maps)
    named = files.decode(MapsFile, told, maps, schema=MAPS, upgrades={1: _keyed})

    def series(kind: str, heads: Mapping[str, TrialsHead]) -> dict[str, Measurement]:
        count = len(head.photographs)
        return {name: _measurement(Stored(arrays, f"{kind}/{name}", trials), t, count) for name, t in heads.items()}

    run = Run(
        report=report,
        photographs=head.photographs,
        pictures=head.pictures,
        measured=series("measured", head.measured),
        repeated=series("repeated", head.repeated),
        own=series("own", head.own),
        maps={m.key: _map(Stored(drawn, str(i), maps), m) for i, m in enumerate(named.maps)},
    )
    _check_beside(report, given, where)
    return run


def _check_beside(report: Report, given: Mapping[str, bytes], where: object) -> None:
    """Raises InputError where the trials or maps are others than the report was written with."""
    for name, digest in report.files.items():
        if hashlib.sha256(given.get(name, b"")).hexdigest() != digest:
            raise InputError(f"`{where}/{name}`: not the file that its report.json names by digest: measure it again.")


def identify(given: Mapping[str, bytes]) -> str:
    """A run's name: SHA-256 over the names and bytes of its files."""
    each = [f"{name} {hashlib.sha256(given[name]).hexdigest()}\n" for name in FILES]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def read(folder: Path) -> dict[str, bytes]:
    """The files of the run in this folder. Raises InputError where one is missing."""
    try:
        return {name: files.read_bytes(folder / name, limit=LIMIT) for name in FILES}
    except UsageError as error:
        raise InputError(f"`{plain(folder)}` is not a whole run: {error} Measure it again.") from error


def table(run: Run, experiment: str) -> dict[str, np.ndarray]:
    """A row for each pair of an experiment and seed: columns for a data frame."""
    found = run.measured[experiment]
    seen = found.seen
    seeds, _, images, pairs, _ = seen.evidence.shape
    threshold = np.repeat(seen.threshold.ravel(), pairs)
    columns = {
        "seed": np.repeat([trials.seed for trials in found.trials], images * pairs),
        "photograph": np.tile(np.repeat(np.array(run.photographs)[seen.photograph], pairs), seeds),
        "crop": np.tile(np.repeat(np.arange(images), pairs), seeds),
        "pair": np.tile(np.arange(pairs), seeds * images),
        "threshold": threshold,
    }
    for arm in ("dead", "live"):
        places = np.concatenate([getattr(trials, arm).reshape(-1, 2) for trials in found.trials])
        columns |= {f"{arm}_row": places[:, 0], f"{arm}_column": places[:, 1]}
    for number, arm in enumerate(ARMS):
        evidence = seen.evidence[:, 0, ..., number].ravel()
        columns |= {f"evidence_{arm}": evidence, f"detected_{arm}": evidence > threshold}
        columns |= {f"{name}_{arm}": values[:, 0, ..., number].ravel() for name, values in seen.measures.items()}
    return columns


def _measurement(stored: Stored, told: TrialsHead, photographs: int) -> Measurement:
    seeds = len(told.seeds)
    if not seeds == len(told.periods) == len(told.balanced):
        raise InputError(f"`{stored.where}`: {stored.at}: expected a period and a balance for each seed.")
    evidence = stored.take("evidence", "f", seeds, None, None, len(ARMS))
    _, images, pairs, _ = shape = evidence.shape
    photograph = stored.take("photograph", "i", images)
    if images and not (photograph.min() >= 0 and photograph.max() < photographs):
        raise InputError(f"`{stored.where}`: {stored.at}/photograph: expected numbers below {photographs}.")
    truth = stored.take("truth", "i", seeds, images, pairs)
    scene = stored.take("places/scene", "i", seeds, images, pairs, 2) if told.scenes else None
    places = {arm: stored.take(f"places/{arm}", "i", seeds, images, pairs, 2) for arm in ("dead", "live")}
    locations = tuple(
        Locations(
            dead=stored.take(f"phases/{seed}/dead", "i", None, 2),
            live=stored.take(f"phases/{seed}/live", "i", None, 2),
            period=told.periods[seed],
            balanced=told.balanced[seed],
            area=told.area,
            pixels=told.pixels,
            every=told.every,
        )
        for seed in range(seeds)
    )

    def at_levels(name: str, own: np.ndarray) -> np.ndarray:
        """With the axis of levels: the check's own, then the others."""
        whole = [own[:, None]]
        if told.levels:
            whole.append(stored.take(f"levels/{name}", "f", seeds, len(told.levels), *shape[1:]))
        return np.concatenate(whole, 1).astype(float)

    phase = places["dead"] % np.array(told.periods)[:, None, None, None] if told.every else None
    return Measurement(
        conditions=Conditions(level=told.level, locations=locations),
        trials=tuple(
            Trials(
                dead=places["dead"][number],
                live=places["live"][number],
                photograph=photograph,
                seed=seed,
                purpose=told.purpose,
                scene=None if scene is None else scene[number],
                together=told.together,
                phase=None if phase is None else phase[number],
            )
            for number, seed in enumerate(told.seeds)
        ),
        seen=Observation(
            evidence=at_levels("evidence", evidence),
            realised=at_levels("realised", stored.take("realised", "f", *shape)),
            threshold=stored.take("threshold", "f", seeds, images).astype(float),
            measures={
                name: at_levels(f"measures/{name}", stored.take(f"measures/{name}", "f", *shape))
                for name in told.measures
            },
            levels=(told.level, *told.levels),
            photograph=photograph,
            point=told.point,
            truth=truth,
            alarms=stored.take("alarms", "f", seeds, images, None).astype(float) if told.counted else None,
            phase=phase,
        ),
    )


def _with_seeds(data: dict[str, Any]) -> dict[str, Any]:
    """Schema 1: one seed, and change detection pinned to 5 % alone."""
    point = {"false_alarms": 0.05, "clean": "absent", "chance": 0.5}

    def head(old: dict[str, Any]) -> dict[str, Any]:
        kept = {"level": old["level"], "purpose": old["purpose"], "point": point, "measures": []}
        return kept | {"seeds": [old["seed"]], "periods": [old["period"]], "balanced": [old["balanced"]]}

    return data | {kind: {name: head(old) for name, old in data[kind].items()} for kind in ("measured", "repeated")}


def _by_arm(old: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of schema 1 as those of schema 2."""
    new = {}
    for at in {key.removesuffix("/threshold") for key in old if key.endswith("/threshold")}:
        arms = [old.get(f"{at}/{arm}") for arm in ARMS[:3]]
        moved = [old.get(f"{at}/realised_{arm}") for arm in ("dead", "live")]
        if any(array is None for array in (*arms, *moved)):
            continue
        new[f"{at}/evidence"] = np.stack(arms, -1)[None]  # type: ignore[arg-type]
        new[f"{at}/realised"] = np.stack([np.zeros_like(moved[0]), *moved], -1)[None]  # type: ignore[list-item]
        for name in ("threshold", "places/dead", "places/live"):
            new[f"{at}/{name}"] = old[f"{at}/{name}"][None]
        new[f"{at}/photograph"] = old[f"{at}/photograph"]
        new |= {f"{at}/phases/0/{arm}": old[f"{at}/phases/{arm}"] for arm in ("dead", "live")}
    return new


def _at_both_places(old: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of schema 2 as those of schema 3: clean pictures gave the same at both places of a pair."""
    new = dict(old)
    for key, values in old.items():
        if key.endswith(("/evidence", "/realised")) or "/measures/" in key:
            new[key] = np.concatenate([values, values[..., :1]], -1) if values.ndim else values
        if key.endswith("/evidence"):
            new[key.removesuffix("evidence") + "truth"] = np.ones(values.shape[:3], dtype=np.int8)
    return new


def _map(stored: Stored, told: MapHead) -> Contribution:
    values = stored.take("", "f", None, None).astype(float)
    return Contribution(
        values=values,
        kind=told.kind,
        layer=told.layer,
        period=told.period,
        periods=told.periods,
        images=told.images,
        lattice=told.lattice,
    )


def _keyed(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"maps": [told | {"key": told["layer"]} for told in data["maps"]]}


def _trials(run: Run) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    heads: dict[str, dict[str, TrialsHead]] = {"measured": {}, "repeated": {}, "own": {}}
    for kind, series in heads.items():
        for name, found in getattr(run, kind).items():
            seen, locations = found.seen, found.conditions.locations
            series[name] = TrialsHead(
                level=found.conditions.level,
                purpose=found.trials[0].purpose,
                seeds=tuple(trials.seed for trials in found.trials),
                periods=tuple(one.period for one in locations),
                balanced=tuple(one.balanced for one in locations),
                point=seen.point,
                measures=tuple(seen.measures),
                scenes=found.trials[0].scene is not None,
                together=found.trials[0].together,
                counted=seen.alarms is not None,
                area=locations[0].area,
                pixels=locations[0].pixels,
                levels=seen.levels[1:],
                every=locations[0].every,
            )
            parts = {"photograph": seen.photograph, "threshold": seen.threshold, "truth": seen.truth}
            if seen.alarms is not None:
                parts["alarms"] = seen.alarms
            if found.trials[0].scene is not None:
                parts["places/scene"] = np.stack([t.scene for t in found.trials if t.scene is not None])
            by_level = {"evidence": seen.evidence, "realised": seen.realised}
            by_level |= {f"measures/{key}": values for key, values in seen.measures.items()}
            parts |= {key: values[:, 0] for key, values in by_level.items()}
            if seen.levels[1:]:
                parts |= {f"levels/{key}": values[:, 1:] for key, values in by_level.items()}
            for arm in ("dead", "live"):
                parts[f"places/{arm}"] = np.stack([getattr(trials, arm) for trials in found.trials])
                parts |= {f"phases/{seed}/{arm}": getattr(one, arm) for seed, one in enumerate(locations)}
            arrays |= {f"{kind}/{name}/{key}": small(value) for key, value in parts.items()}
    return pack(arrays, TrialsFile(schema=TRIALS, photographs=run.photographs, pictures=run.pictures, **heads))


def _maps(maps: Mapping[str, Contribution]) -> bytes:
    heads = tuple(
        MapHead(
            key=key,
            kind=m.kind,
            layer=m.layer,
            period=m.period,
            periods=m.periods,
            images=m.images,
            lattice=m.lattice,
        )
        for key, m in maps.items()
    )
    arrays = {str(i): m.values.astype(np.float32) for i, m in enumerate(maps.values())}
    return pack(arrays, MapsFile(schema=MAPS, maps=heads))
