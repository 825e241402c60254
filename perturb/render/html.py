"""report.html: one file that opens offline, asks nobody for anything and runs nothing that a name brought along."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from statistics import mean
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perturb.exhibits import Exhibits, Specimen
from perturb.records import Experiment, Finding, Verdict
from perturb.render import charts, embed
from perturb.render.terminal import describe, number, rate
from perturb.report import Report, Side

LARGEST_MAP = 1024  # rows or columns: of a larger map the middle is shown, for the page's weight
WORST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)
LOSSES = ("accuracy-loss", "accuracy-loss-2afc")
MEASURE = {
    "accuracy-loss": "accuracy lost at dead places",
    "accuracy-loss-2afc": "accuracy lost at dead places (two alternatives)",
    "miss-rate": "share missed at dead places",
    "imbalance": "liveliest / deadest phase",
    "dead-share": "share of phases below half the mean",
}
SMALL_THING = {"Pixel": "one changed pixel", "Box": "a small box", "Noise": "a small patch of noise"}


def report(found: Report, sides: Sequence[Side] = ()) -> str:
    """The page of a Report; `sides` are the networks before and after a remedy, among which it stands."""
    networks = _networks(sides)
    shown = worst(found)
    style, script, vega = Markup(_file("report.css")), Markup(_file("report.js")), Markup(_vega())
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            r=found,
            description=describe(found.model),
            worst=shown,
            experiment=next((e for e in found.experiments if e.name == shown.check), found.experiments[0]),
            intervals=list(intervals(found.findings)),
            whole=_whole(found.exhibits) if found.exhibits else None,
            period=_period(found),
            sweeps=_sweeps(found),
            gallery=_gallery(found.exhibits.specimens) if found.exhibits else {},
            networks=networks,
            before_after=_before_after(sides) if len(networks) > 1 else None,
            style=style,
            scripts=(vega, script),
            policy=f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src {_hash(style)}; "
            f"script-src {_hash(vega)} {_hash(script)}",
        )
    )


def environment() -> Environment:
    """Templates in which every name is escaped."""
    made = Environment(
        loader=PackageLoader("perturb.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    made.filters.update(number=number, rate=rate, percent=lambda share: f"{share:.0%}")
    made.filters.update(title=title, measure=measure, thing=small_thing)
    return made


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
        Verdict.PASS: "Small changes are noticed wherever they lie" if of_loss else "Every claim holds",
    }[found.verdict]


def measure(quantity: str) -> str:
    """A quantity in words; somebody else's by its name."""
    return MEASURE.get(quantity, quantity)


def small_thing(perturbation: str) -> str:
    """A perturbation's repr in words."""
    return SMALL_THING.get(perturbation.partition("(")[0], f"the perturbation {perturbation}")


def intervals(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """A chart for each quantity: its checks share an axis."""
    ordered = sorted(findings, key=lambda f: f.claim.quantity)
    for quantity, checks in groupby(ordered, key=lambda f: f.claim.quantity):
        rows = [_interval(f, f.check) for f in checks if f.effect.high < 1e300]
        if rows:
            yield charts.intervals(rows, measure(quantity))


def _interval(finding: Finding, label: str) -> charts.Interval:
    effect = finding.effect
    return charts.Interval(
        label=label,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        margin=finding.claim.at_most,
        verdict=finding.verdict,
    )


def _whole(exhibits: Exhibits) -> dict[str, Any]:
    """The map at the size of the model's input, in units of its mean."""
    values, (rows, columns) = exhibits.contribution.values, exhibits.shape
    if values.shape != exhibits.shape:  # a structural map is one cell of the lattice
        values = np.tile(values, (-(-rows // len(values)), -(-columns // len(values))))[:rows, :columns]
    cut = tuple(
        slice(max(0, (n - LARGEST_MAP) // 2), max(0, (n - LARGEST_MAP) // 2) + LARGEST_MAP) for n in values.shape
    )
    return _map(values[cut] / values.mean(), exhibits.contribution.period) | {"full": (rows, columns)}


def _period(found: Report) -> dict[str, Any]:
    """One period by phase, and the phases of the first experiment's arms."""
    phases, arms = np.array(found.map.phases), found.experiments[0]
    if arms.period % len(phases) == 0:
        phases = np.tile(phases, (arms.period // len(phases),) * 2)
    fit = arms.period == len(phases)
    return _map(phases, 0) | {"dead": arms.dead_phases if fit else (), "live": arms.live_phases if fit else ()}


def _map(values: np.ndarray, period: int) -> dict[str, Any]:
    ceiling = float(np.percentile(values, 99.5))
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "period": period,
        "high": float(values.max()),
        "ceiling": ceiling,
        "picture": embed.painted(values, ceiling),
        "values": embed.packed(values),
        "ramp": embed.painted(np.linspace(0, 1, 256)[None], 1.0),
    }


def _sweeps(found: Report) -> list[tuple[Experiment, dict[str, Any]]]:
    sweeps = found.exhibits.sweeps if found.exhibits else {}
    return [(e, charts.detection(sweeps[e.name], e)) for e in found.experiments if e.name in sweeps]


def _gallery(specimens: Sequence[Specimen]) -> Mapping[str, list[dict[str, Any]]]:
    return {
        heading: [_hung(s) for s in specimens if s.role == role]
        for role, heading in (
            ("pair", "The same change in the same picture, missed and seen"),
            ("least", "Least visible to the network"),
            ("most", "Most visible to the network"),
        )
        if any(s.role == role for s in specimens)
    }


def _hung(specimen: Specimen) -> dict[str, Any]:
    change = specimen.perturbed.astype(float) - specimen.clean
    largest = max(float(np.abs(change).max()), 1.0)
    return {
        "of": specimen,
        "whole": embed.jpeg(specimen.whole),
        "clean": embed.png(specimen.clean),
        "perturbed": embed.png(specimen.perturbed),
        "difference": embed.png((128 + 127 * change / largest).round().astype(np.uint8)),
        "stretched": 127 / largest,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One of the networks compared, over its seeds."""

    name: str
    seeds: int
    loss: float
    dead: float
    live: float
    lattice: str  # a picture, on the scale of the brightest network


def _networks(sides: Sequence[Side]) -> list[Network]:
    high = max((value for side in sides for row in side.lattice for value in row), default=1.0)
    return [
        _network(name, [side for side in sides if side.name == name], high)
        for name in dict.fromkeys(side.name for side in sides)
    ]


def _network(name: str, sides: Sequence[Side], high: float) -> Network:
    rates = [side.report.experiments[0].rates for side in sides]
    return Network(
        name=name,
        seeds=len(sides),
        loss=mean(side.report.findings[0].effect.value for side in sides),
        dead=mean(rate["dead"].value for rate in rates),
        live=mean(rate["live"].value for rate in rates),
        lattice=embed.painted(np.array(sides[0].lattice), high),
    )


def _before_after(sides: Sequence[Side]) -> dict[str, Any]:
    rows = [_interval(side.report.findings[0], f"{side.name}, seed {side.seed}") for side in sides]
    quantity = sides[0].report.findings[0].claim.quantity
    return charts.intervals(rows, measure(quantity))


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; the page's own calls it `draw`."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.draw = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _file(name: str) -> str:
    return (files("perturb.render") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
