"""Probability of detection, with its limits, and how it depends on the place."""

from collections.abc import Iterator, Sequence

import numpy as np

from perturb.records import Breakdown, Experiment, FittedCurve, LevelTable, PhaseRate, Rate
from perturb.render import charts, curves, embed, levels
from perturb.render.lattice import repeats
from perturb.render.phases import arms, both, heat_map, ranked
from perturb.render.qualification.document import MISSING, Block, Facts, Figure, Points, Section, Table, Text, joined
from perturb.render.terminal import limits, loss, rate, scaled, unread
from perturb.report import MapSummary, Report

BORDER = "border"  # in the name of a breakdown by it
CURVE = (
    "The values of a50 and a90 are read off a fitted logistic curve. No test of its fit is recorded. Their limits, "
    "a90/95 and every verdict come from the bounds at the tested levels, which assume no shape of the curve but that "
    "detection rises with the level."
)


def detection(found: Report) -> Section:
    """POD curves where there are levels; else detection at the one level."""
    blocks: list[Block] = []
    single = [e for e in found.experiments if not e.levels]
    if single:
        blocks.append(Text(f"No POD curve was asked for in {joined([e.name for e in single])}: there is one strength."))
        blocks.append(_single(single))
    for e in found.experiments:
        if e.levels:
            blocks += _curve(e, e.levels)
    for law in levels.size_laws(found.experiments):
        rows = [(str(e.levels.side), e.name, levels.decibels(e.levels.penalty)) for e in law.series if e.levels]
        blocks.append(Table(("side, pixels", "check", "penalty of dead places"), rows, law.sentence))
    return Section("Probability of detection (POD)", blocks)


def _single(experiments: Sequence[Experiment]) -> Table:
    rows = []
    for e in experiments:
        (dead, where), (live, there) = both(e)
        shares = (f"{rate(dead)} {where}".strip(), f"{rate(live)} {there}".strip())
        level = "as it is" if e.recall else f"{e.level:.3g}"
        rows.append((e.name, level, *shares, f"{e.photographs} ({e.pairs})"))
    head = ("check", "level", "found at dead places [95 %]", "at live places [95 %]", "photographs (pairs)")
    return Table(head, rows, "Intervals are over photographs, for reading. The claims of section 10 have their own.")


def _curve(e: Experiment, found: LevelTable) -> Iterator[Block]:
    chart = curves.probability_of_detection(found, e.verb)
    words = (
        f"{e.name}: share {e.verb} against level, {e.photographs} judged photographs. Marks: tested levels with 95 % "
        "intervals. Lines: fitted curves. Upright lines: a90; wide bars: its interval."
    )
    yield Figure(embed.drawn(charts.svg(chart, colours=charts.PRINT)), words)
    yield Table(("level from which on", "at dead places", "at live places"), levels.rows(found), f"{e.name}.")
    yield Facts(
        [
            ("side of the object, pixels", f"{found.side}" if found.side else ""),
            ("penalty of dead places", f"{levels.decibels(found.penalty)}, with 95 % confidence"),
            ("tested levels", f"{len(found.levels)}, {levels.spacing(found):.1f} dB apart"),
            ("fit at dead places", _fit(found.dead.fit)),
            ("fit at live places", _fit(found.live.fit)),
            ("bounds", found.method),
            ("needed for a90/95", f"{found.enough} photographs without any miss, at least"),
        ]
    )
    rows = [
        (f"{level:.3g}", rate(dead), rate(live), _n(dead))
        for level, dead, live in zip(found.levels, found.dead.rates, found.live.rates, strict=True)
    ]
    yield Table(("level", f"{e.verb} at dead places", "at live places", "photographs (trials)"), rows, f"{e.name}.")
    yield Points([CURVE, *levels.remarks(found)])


def _fit(found: FittedCurve | None) -> str:
    if found is None:
        return "none: detection is not shown to rise with the level"
    return (
        f"POD(a) = g + (1 - g - l) F({found.intercept:.3g} {found.slope:+.3g} ln a), F logistic, false alarms "
        f"g = {found.guess:.3g}, lapses l = {found.lapse:.3g}"
    )


def place(found: Report) -> Section:
    """Dead against live, by phase, and near the border."""
    blocks: list[Block] = [_lattice(found.map), _period(found.map), _against(found.experiments)]
    for e in found.experiments:
        if heat := heat_map(e):
            words = f"{e.name}: {heat['label']} Dark: never {e.verb}; bright: always."
            blocks += [Figure(heat["picture"], words, pixels=True), _phases(e)]
    split = [(e, by) for e in found.experiments for by in (e.recall.breakdowns if e.recall else ())]
    blocks += [_breakdown(e, by) for e, by in split]
    if not any(BORDER in by.by for _, by in split):
        blocks.append(
            Text(f"Detection near the border of the picture: {MISSING}. Only runs on annotated objects split it.")
        )
    return Section("Influence of place", blocks)


def _lattice(found: MapSummary) -> Facts:
    ratio = "infinite: a phase is strictly dead" if found.imbalance is None else f"{found.imbalance:.4g}"
    source = f"measured on {found.images} calibration crops" if found.images else "exact, from the architecture alone"
    return Facts(
        [
            ("map that chose the places", f"{found.kind} map of {found.layer}, {source}"),
            ("period of the lattice, pixels", repeats(found)),
            ("liveliest phase / deadest phase", ratio),
            ("phases below half the mean", f"{found.dead_share:.0%}"),
            ("picture that is never read", unread(found).rpartition(": ")[2]),
            ("layers that make the lattice", "; ".join(found.makers) or "none found, or not traceable"),
        ]
    )


def _period(found: MapSummary) -> Figure:
    values = np.array(found.phases)
    rows, columns = values.shape
    words = f"The map over one period, {rows} x {columns}. Dark: 0; bright: {values.max():.3g} times the mean."
    return Figure(embed.painted(values, float(values.max()) or 1.0), words, pixels=True)


def _against(experiments: Sequence[Experiment]) -> Table:
    rows = [
        (e.name, m.name, joined(arms(e)), scaled(m.dead), scaled(m.live), scaled(m.difference), _n(m.dead))
        for e in experiments
        for m in e.measures
    ]
    return Table(
        ("check", "measure", "places compared", "first", "second", "second - first, paired", "photographs (trials)"),
        rows,
    )


def _n(found: Rate) -> str:
    return f"{found.n} ({found.trials})"


def _phases(e: Experiment) -> Table:
    order = ranked(e)
    ends = [("worst", one) for one in order[:3]] + [("best", one) for one in order[3:][-3:]]
    head = ("phase (row, column)", f"{e.verb}, {e.phases_of} pictures", "photographs (trials)")
    return Table(head, [_phase(name, one) for name, one in ends], f"{e.name}: as the extremes of many, too extreme.")


def _phase(name: str, one: PhaseRate) -> Sequence[str]:
    return f"{name} {one.phase}", rate(one.rate), _n(one.rate)


def _breakdown(e: Experiment, found: Breakdown) -> Table:
    rows = [(limits(b), str(b.objects), rate(b.dead), rate(b.live), loss(b)) for b in found.bins]
    return Table((found.by, "objects", "at dead places", "at live places", "live - dead"), rows, f"{e.name}.")
