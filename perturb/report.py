"""The Report: what a run found, as words and numbers, to JSON and back. Opens without torch."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perturb.exhibits import Exhibits
from perturb.records import Claim, Control, Effect, Experiment, Finding, Measure, Miss, Rate, Training, Verdict

SCHEMA = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One model, one suite, one run."""

    schema: int
    suite: Mapping[str, Any]  # name, description, digest
    model: Mapping[str, Any]  # reference, weights digest, parameters, what was done to it
    images: Mapping[str, Any]  # source, calibration and judged photographs and crops
    verdict: Verdict
    map: MapSummary
    findings: tuple[Finding, ...]
    experiments: tuple[Experiment, ...]
    controls: tuple[Control, ...]
    provenance: Mapping[str, Any]  # versions, seed, device, command, timestamp
    exhibits: Exhibits | None = field(default=None, compare=False, repr=False)  # what report.html shows; not in JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A Report beside another; `lattice` is its own map by phase, whatever places were measured."""

    name: str
    seed: int
    report: Report
    lattice: tuple[tuple[float, ...], ...]


def to_json(report: Report) -> str:
    """Strict JSON, sorted keys: the same run gives the same text. NaN raises ValueError."""
    data = dataclasses.asdict(dataclasses.replace(report, exhibits=None))
    del data["exhibits"]
    return json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"


def from_json(text: str) -> Report:
    """The Report that `to_json` wrote. Raises ValueError for another schema number."""
    data = json.loads(text)
    if data.get("schema") != SCHEMA:
        raise ValueError(f"report schema {data.get('schema')!r} is not the {SCHEMA} that this version reads.")
    data["verdict"] = Verdict(data["verdict"])
    data["map"]["phases"] = tuple(map(tuple, data["map"]["phases"]))
    data["map"]["makers"] = tuple(data["map"]["makers"])
    data["map"] = MapSummary(**data["map"])
    data["findings"] = tuple(_finding(f) for f in data["findings"])
    data["experiments"] = tuple(_experiment(e) for e in data["experiments"])
    data["controls"] = tuple(Control(**c) for c in data["controls"])
    return Report(**data)


def _finding(data: dict[str, Any]) -> Finding:
    parts = {"claim": Claim(**data["claim"]), "effect": Effect(**data["effect"]), "verdict": Verdict(data["verdict"])}
    return Finding(**(data | parts))


def _experiment(data: dict[str, Any]) -> Experiment:
    rates = {name: {arm: Rate(**r) for arm, r in data[name].items()} for name in ("rates", "two_afc")}
    phases = {name: tuple((row, column) for row, column in data[name]) for name in ("dead_phases", "live_phases")}
    worst = data["worst"] and Miss(**(data["worst"] | {arm: tuple(data["worst"][arm]) for arm in ("dead", "live")}))
    measures = tuple(_measure(m) for m in data.get("measures", ()))
    training = tuple(Training(**t) for t in data.get("training", ()))
    return Experiment(**(data | rates | phases | {"worst": worst, "measures": measures, "training": training}))


def _measure(data: dict[str, Any]) -> Measure:
    arms = {arm: Rate(**data[arm]) for arm in ("dead", "live")}
    return Measure(name=data["name"], **arms, difference=Effect(**data["difference"]))
