"""report.html: one file that opens offline, fetches nothing, and runs no code that a name could contain."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from perturb.changes import Changes
from perturb.figures import Figures
from perturb.render import charts, checks, curves, embed, gallery, page
from perturb.render.headline import decisive, outdated, quantity
from perturb.render.phases import heat_map
from perturb.render.terminal import describe
from perturb.report import Report, Side

LARGEST_MAP = 768  # rows or columns: of a larger map the middle is shown, for the page's weight


def report(found: Report, sides: Sequence[Side] = (), since: Changes | None = None) -> str:
    """The page of a Report.

    `sides` are the networks before and after a remedy, among which it stands; `since` what changed since a baseline.
    """
    finding, figures, networks = decisive(found), found.figures, _networks(sides)
    experiment = next((e for e in found.experiments if e.name == finding.check), found.experiments[0])
    walls = gallery.walls(figures.specimens, found.experiments, experiment) if figures else []
    drawn = _drawn(found) | {"before_after": _before_after(sides) if len(networks) > 1 else None}
    return page.fill(
        "report.html.j2",
        charts=any(drawn.values()),
        r=found,
        since=since,
        note=outdated(found),
        description=describe(found.model),
        worst=finding,
        experiment=experiment,
        checks=checks.rows([found], since)[0],
        whole=_whole(figures) if figures else None,
        period=_period(found),
        answered=bool(experiment.phases) and experiment.phases_of == "calibration",
        by_phase=[(e, shown) for e in found.experiments if (shown := heat_map(e))],
        gallery=walls,
        cases=gallery.misses(walls),
        networks=networks,
        **drawn,
    )


def _drawn(found: Report) -> dict[str, Any]:
    """The charts of each experiment."""
    sweeps = found.figures.sweeps if found.figures else {}
    return {
        "sweeps": [(e, curves.detection(sweeps[e.name], e)) for e in found.experiments if e.name in sweeps],
        "curves": [(e, curves.probability_of_detection(e.levels, e.verb)) for e in found.experiments if e.levels],
        "free_response": {
            e.name: curves.free_response(e.free_response, e.verb) for e in found.experiments if e.free_response
        },
    }


def _whole(figures: Figures) -> dict[str, Any]:
    """The map at the size of the model's input, in units of its mean."""
    values, (rows, columns) = figures.contribution.values, figures.shape
    if values.shape != figures.shape:  # a structural map is one cell of the lattice
        values = np.tile(values, (-(-rows // len(values)), -(-columns // len(values))))[:rows, :columns]
    top, left = (max(0, n - LARGEST_MAP) // 2 for n in figures.shape)
    shown = values[top : top + LARGEST_MAP, left : left + LARGEST_MAP] / values.mean()
    whole = f"The whole map, {rows} × {columns} pixels."
    part = f"The middle {shown.shape[0]} × {shown.shape[1]} of {rows} × {columns} pixels."
    label = whole if shown.size == values.size else part
    return _map(shown, label, period=figures.contribution.period) | {"top": top, "left": left}


def _period(found: Report) -> dict[str, Any]:
    """One period by phase, and the phases of the first experiment's arms."""
    phases, arms = np.array(found.map.phases), found.experiments[0]
    if arms.period % len(phases) == 0:
        phases = np.tile(phases, (arms.period // len(phases),) * 2)
    fit = arms.period == len(phases)
    cell = "period" if found.map.lattice is None or found.map.lattice.whole else "cell of the middle"
    label = f"One {cell}, {len(phases)} × {len(phases)} pixels, enlarged."
    return _map(phases, label) | {"dead": arms.dead_phases if fit else (), "live": arms.live_phases if fit else ()}


def _map(values: np.ndarray, label: str, *, period: int = 0) -> dict[str, Any]:
    ceiling = float(np.percentile(values, 99.5))
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "top": 0,
        "left": 0,
        "period": period,
        "label": label,
        "high": float(values.max()),
        "ceiling": ceiling,
        "picture": embed.painted(values, ceiling),
        "values": embed.packed(values),
        "ramp": embed.painted(np.linspace(0, 1, 256)[None], 1.0),
        "end": f"{ceiling:.2g} × the mean",
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
    rates = [side.report.experiments[0].detected for side in sides]
    return Network(
        name=name,
        seeds=len(sides),
        loss=mean(side.report.findings[0].effect.value for side in sides),
        dead=mean(rate.dead.value for rate in rates),
        live=mean(rate.live.value for rate in rates),
        lattice=embed.painted(np.array(sides[0].lattice), high),
    )


def _before_after(sides: Sequence[Side]) -> dict[str, Any]:
    rows = [charts.interval(side.report.findings[0], f"{side.name}, seed {side.seed}") for side in sides]
    return charts.intervals(rows, quantity(sides[0].report.findings[0].effect))
