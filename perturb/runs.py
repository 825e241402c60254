"""A Run: a report with the trials and maps behind it; as three files, and back. Opens without torch.

Trials and maps are NumPy's .npz: exact, a few bytes a trial, read without pickle and without a further package. `table`
gives the columns that a data frame is made of.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from perturb.errors import InputError
from perturb.records import Conditions, Contribution, Images, Locations, Measurement, Outcomes, Trials
from perturb.report import Report, from_json, to_json

SCHEMA = 1  # of trials.npz and maps.npz
FILES = ("report.json", "trials.npz", "maps.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run found, and every number that it was found from."""

    report: Report
    photographs: tuple[str, ...]  # names of those judged
    pictures: tuple[str, ...]  # a digest of each judged crop's pixels
    measured: Mapping[str, Measurement]  # by experiment
    repeated: Mapping[
        str, Measurement
    ]  # the same experiments at the places and levels of a baseline, where one was given
    maps: Mapping[str, Contribution]  # by layer; their windows are not kept


def digests(images: Images) -> tuple[str, ...]:
    """What tells each crop from any other: SHA-256 of its pixels, its first 16 digits."""
    return tuple(hashlib.sha256(picture.tobytes()).hexdigest()[:16] for picture in images.pixels)


def encode(run: Run) -> dict[str, bytes]:
    """The files of a run, by name; the same run gives the same bytes."""
    return {"report.json": to_json(run.report).encode(), "trials.npz": _trials(run), "maps.npz": _maps(run.maps)}


def decode(files: Mapping[str, bytes]) -> Run:
    """The run that `encode` wrote, now or in an earlier version. Raises InputError for files that are damaged."""
    try:
        report = from_json(files["report.json"].decode())
        arrays, header = _unpacked(files["trials.npz"])
        maps, drawn = _unpacked(files["maps.npz"])
        measured, repeated = (
            {name: _measurement(arrays, f"{kind}/{name}", told) for name, told in header[kind].items()}
            for kind in ("measured", "repeated")
        )
        return Run(
            report=report,
            photographs=tuple(header["photographs"]),
            pictures=tuple(header["pictures"]),
            measured=measured,
            repeated=repeated,
            maps={
                told["layer"]: Contribution(values=maps[str(i)].astype(float), **told)
                for i, told in enumerate(drawn["maps"])
            },
        )
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"the run's files cannot be read: {error}") from error


def identify(files: Mapping[str, bytes]) -> str:
    """A run's name: SHA-256 over the names and bytes of its files."""
    each = [f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in FILES]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def read(folder: Path) -> dict[str, bytes]:
    """The files of the run in this folder. Raises InputError where one is missing."""
    try:
        return {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        missing = os.path.basename(error.filename or "")
        raise InputError(f"`{folder}` is not a whole run: {missing}: {error.strerror}; measure it again.") from error


def table(run: Run, experiment: str) -> dict[str, np.ndarray]:
    """A row for each pair of an experiment: columns for a data frame."""
    found = run.measured[experiment]
    trials, outcomes = found.trials, found.outcomes
    images, pairs = outcomes.dead.shape
    threshold = np.repeat(outcomes.threshold, pairs)
    columns = {
        "photograph": np.repeat(np.array(run.photographs)[trials.photograph], pairs),
        "crop": np.repeat(np.arange(images), pairs),
        "pair": np.tile(np.arange(pairs), images),
        "threshold": threshold,
    }
    for arm in ("dead", "live"):
        places = getattr(trials, arm).reshape(-1, 2)
        columns |= {f"{arm}_row": places[:, 0], f"{arm}_column": places[:, 1]}
    for arm in ("clean", "dead", "live"):
        evidence = getattr(outcomes, arm).ravel()
        columns |= {f"evidence_{arm}": evidence, f"detected_{arm}": evidence > threshold}
    return columns


def _trials(run: Run) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {"photographs": run.photographs, "pictures": run.pictures}
    for kind, series in (("measured", run.measured), ("repeated", run.repeated)):
        header[kind] = {}
        for name, found in series.items():
            trials, locations = found.trials, found.conditions.locations
            header[kind][name] = {
                "level": found.conditions.level,
                "seed": trials.seed,
                "purpose": trials.purpose,
                "period": locations.period,
                "balanced": locations.balanced,
            }
            parts = {"phases/dead": locations.dead, "phases/live": locations.live}
            parts |= {"places/dead": trials.dead, "places/live": trials.live, "photograph": trials.photograph}
            parts |= {f.name: getattr(found.outcomes, f.name) for f in fields(Outcomes) if f.name != "photograph"}
            arrays |= {f"{kind}/{name}/{key}": _small(value) for key, value in parts.items()}
    return _packed(arrays, header)


def _maps(maps: Mapping[str, Contribution]) -> bytes:
    told = [{"kind": m.kind, "layer": m.layer, "period": m.period, "images": m.images} for m in maps.values()]
    return _packed({str(i): m.values.astype(np.float32) for i, m in enumerate(maps.values())}, {"maps": told})


def _small(values: np.ndarray) -> np.ndarray:
    """In half the bytes, where that loses nothing."""
    half = values.astype({"i": np.int32, "f": np.float32}.get(values.dtype.kind, values.dtype))
    return half if np.array_equal(half, values) else values


def _packed(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    told = json.dumps({"schema": SCHEMA, **header}, sort_keys=True)
    np.savez_compressed(buffer, allow_pickle=False, header=np.array(told), **arrays)
    return buffer.getvalue()


def _unpacked(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays.pop("header")))
    if header["schema"] > SCHEMA:
        raise ValueError(f"schema {header['schema']} is newer than the {SCHEMA} that this version reads.")
    return arrays, header


def _measurement(arrays: Mapping[str, np.ndarray], at: str, told: Mapping[str, Any]) -> Measurement:
    photograph = arrays[f"{at}/photograph"]
    said = {f.name: arrays[f"{at}/{f.name}"].astype(float) for f in fields(Outcomes) if f.name != "photograph"}
    locations = Locations(
        dead=arrays[f"{at}/phases/dead"],
        live=arrays[f"{at}/phases/live"],
        period=told["period"],
        balanced=told["balanced"],
    )
    return Measurement(
        conditions=Conditions(level=told["level"], locations=locations),
        trials=Trials(
            dead=arrays[f"{at}/places/dead"],
            live=arrays[f"{at}/places/live"],
            photograph=photograph,
            seed=told["seed"],
            purpose=told["purpose"],
        ),
        outcomes=Outcomes(photograph=photograph, **said),
    )
