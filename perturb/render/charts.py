"""The charts of report.html, as Vega-Altair: intervals against a margin, over time, detection against level.

Colours are the page's own variables, so that light and dark are the page's affair; `svg` fills them in.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from perturb.figures import LevelCurve
from perturb.records import Experiment, Finding, LevelTable, Rate, Verdict
from perturb.stats.detection_curve import probability

INK, FAINT, LINE, PAPER = "var(--ink)", "var(--faint)", "var(--line)", "var(--paper)"
DEAD, LIVE, MARGIN = "var(--dead)", "var(--live)", "var(--margin)"
LIGHT = {
    INK: "#1d1d22",
    FAINT: "#5c5c66",
    LINE: "#dddde3",
    PAPER: "#ffffff",
    DEAD: "#5b3fa0",
    LIVE: "#117a52",
    MARGIN: "#e8f3ee",
}
PRINT = {  # black on white: arms differ by their marks and lines
    INK: "#000000",
    FAINT: "#333333",
    LINE: "#cccccc",
    PAPER: "#ffffff",
    DEAD: "#000000",
    LIVE: "#707070",
    MARGIN: "#e6e6e6",
}
ARMS = ["dead", "live"]
WORDS = ("label", "verdict", "places", "pictures")  # the others are numbers
ESTIMATE = ("verdict", "estimate", "from", "to", "claimed at most")
SHARES = ("by shape", "by weights")  # of a lattice, by layer
ROW = 46  # pixels for each interval
POINTS = 101  # of a fitted curve
FINITE = 1e300  # an effect beyond it, such as the imbalance of a strictly dead phase, has no place on an axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A finding on an axis; `label` says which, or when."""

    label: str
    value: float
    low: float
    high: float
    margin: float
    verdict: Verdict


def interval(finding: Finding, label: str) -> Interval:
    effect = finding.effect
    return Interval(
        label=label,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        margin=finding.claim.at_most,
        verdict=finding.verdict,
    )


def intervals(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """Each estimate with its interval; shaded up to the margin, where a claim holds."""
    axis = alt.Axis(format=".3~f", tickCount=6, labelOverlap="greedy")
    x = alt.X("estimate:Q", title=title, axis=axis, scale=_scale(rows))
    base = alt.Chart(_data(rows)).encode(x=x, y=alt.Y("row:O", axis=None), tooltip=_told("label", *ESTIMATE))
    chart = alt.layer(
        base.mark_bar(color=MARGIN, size=ROW).encode(x="edge:Q", x2="claimed at most:Q"),
        base.mark_tick(color=LIVE, size=ROW, thickness=2, opacity=0.6).encode(x="claimed at most:Q"),
        base.mark_rule(color=INK, strokeWidth=3, strokeCap="round", yOffset=6).encode(x="from:Q", x2="to:Q"),
        base.mark_point(color=INK, fill=INK, size=90, opacity=1, yOffset=6),
        base.mark_text(color=INK, align="left", fontSize=13, dx=6, dy=-11).encode(x=alt.value(0), text="label:N"),
    )
    return _dressed(chart, height=ROW * len(rows))


def course(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """One check over time; shaded up to the margin."""
    dates = alt.Axis(labelAngle=0, labelOverlap="greedy", labelExpr="slice(datum.label, 0, 10)")
    x = alt.X("label:N", title=None, axis=dates, scale=alt.Scale(type="band", padding=0))
    y = alt.Y("estimate:Q", title=title, scale=_scale(rows))
    base = alt.Chart(_data(rows)).encode(x=x, tooltip=_told("label", *ESTIMATE))
    chart = alt.layer(
        base.mark_bar(color=MARGIN, width=alt.RelativeBandSize(1)).encode(y="edge:Q", y2="claimed at most:Q"),
        base.mark_line(color=FAINT, strokeWidth=1).encode(y=y),
        base.mark_rule(color=INK, strokeWidth=3, strokeCap="round").encode(y="from:Q", y2="to:Q"),
        base.mark_point(color=INK, fill=INK, size=70, opacity=1).encode(y=y),
    )
    return _dressed(chart, height=200)


def detection(sweep: LevelCurve, experiment: Experiment) -> dict[str, Any]:
    """Share noticed against level, with bands; hollow marks where the judged pictures were measured."""
    tried = [
        _noticed(arm, level, rate, "calibration")
        for arm in ARMS
        for level, rate in zip(sweep.levels, getattr(sweep, arm), strict=True)
    ]
    judged = [_noticed(arm, experiment.level, getattr(experiment.detected, arm), "judged") for arm in ARMS]
    x = alt.X("level:Q", title="level", scale=alt.Scale(type="log", nice=False), axis=_levels(sweep.levels))
    shares = alt.Axis(format=".0%", tickCount=5)
    y = alt.Y("noticed:Q", title="share noticed", scale=alt.Scale(domain=[0, 1]), axis=shares)
    key = alt.Legend(title=None, orient="top", symbolSize=110, symbolOpacity=1, symbolStrokeWidth=0)
    colour = alt.Color("places:N", scale=alt.Scale(domain=ARMS, range=[DEAD, LIVE]), legend=key)
    shape = alt.Shape("places:N", scale=alt.Scale(domain=ARMS, range=["triangle-down", "circle"]), legend=key)
    dash = alt.StrokeDash("places:N", scale=alt.Scale(domain=ARMS, range=[[5, 3], [1, 0]]), legend=key)
    told = _told("places", "pictures", "level", "noticed", "from", "to")
    curve = alt.Chart(alt.InlineData(values=tried)).encode(x=x, color=colour, tooltip=told)
    here = alt.Chart(alt.InlineData(values=judged)).encode(x=x, tooltip=told)
    hollow = here.mark_point(filled=False, fill=PAPER, size=130, strokeWidth=2.5, opacity=1)
    chart = alt.layer(
        curve.mark_area(opacity=0.16).encode(y=alt.Y("from:Q", title="share noticed"), y2="to:Q"),
        here.mark_rule(color=FAINT, strokeDash=[3, 3]),
        curve.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        curve.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
        here.mark_rule(strokeWidth=2.5).encode(y="from:Q", y2="to:Q", color=colour),
        hollow.encode(y=y, color=colour, shape=shape),
    )
    return _dressed(chart, height=280)


def probability_of_detection(found: LevelTable, verb: str) -> dict[str, Any]:
    """Both arms against level: marks with intervals, the fitted curves, and where each reaches 90 %."""
    seen = [
        _noticed(arm, level, rate, "judged")
        for arm in ARMS
        for level, rate in zip(found.levels, getattr(found, arm).rates, strict=True)
    ]
    x = alt.X("level:Q", title="level", scale=alt.Scale(type="log", nice=False), axis=_levels(found.levels))
    shares = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 0.9, 1])
    y = alt.Y("noticed:Q", title=f"share {verb}", scale=alt.Scale(domain=[0, 1]), axis=shares)
    key = alt.Legend(title=None, orient="top", symbolSize=110, symbolOpacity=1, symbolStrokeWidth=0)
    colour = alt.Color("places:N", scale=alt.Scale(domain=ARMS, range=[DEAD, LIVE]), legend=key)
    shape = alt.Shape("places:N", scale=alt.Scale(domain=ARMS, range=["triangle-down", "circle"]), legend=key)
    dash = alt.StrokeDash("places:N", scale=alt.Scale(domain=ARMS, range=[[5, 3], [1, 0]]), legend=key)
    marks = alt.Chart(alt.InlineData(values=seen)).encode(
        x=x, color=colour, tooltip=_told("places", "pictures", "level", "noticed", "from", "to")
    )
    curves = alt.Chart(alt.InlineData(values=list(_fitted(found)))).encode(x=x, color=colour)
    reached = alt.Chart(alt.InlineData(values=list(_reached(found)))).encode(
        color=colour, tooltip=_told("places", "a90", "from", "to")
    )
    chart = alt.layer(
        alt.Chart(alt.InlineData(values=[{"share": 0.9}]))
        .mark_rule(color=FAINT, strokeDash=[2, 3])
        .encode(y="share:Q"),
        reached.mark_rule(strokeWidth=7, opacity=0.28, strokeCap="round").encode(
            x=alt.X("from:Q", title="level"), x2="to:Q", y=alt.Y("row:Q", title=f"share {verb}")
        ),
        reached.mark_rule(strokeWidth=1.5).encode(x="a90:Q", y="bottom:Q", y2="row:Q", strokeDash=dash),
        curves.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        marks.mark_rule(strokeWidth=1.5, opacity=0.7).encode(y="from:Q", y2="to:Q"),
        marks.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
    )
    return _dressed(chart, height=320)


def shares(rows: Sequence[tuple[str, str, float]]) -> dict[str, Any]:
    """Bars of (layer, one of SHARES, share of ln(max/min)), the first layer on top."""
    told = [
        {"row": i // len(SHARES), "label": name, "places": of, "share": share}
        for i, (name, of, share) in enumerate(rows)
    ]
    colour = alt.Color(
        "places:N", scale=alt.Scale(domain=SHARES, range=[DEAD, LIVE]), legend=alt.Legend(title=None, orient="top")
    )
    base = alt.Chart(alt.InlineData(values=told)).encode(y=alt.Y("row:O", axis=None))
    bars = base.mark_bar(size=9).encode(
        x=alt.X("share:Q", title="share of ln(liveliest / deadest)"),
        yOffset=alt.YOffset("places:N", scale=alt.Scale(domain=SHARES, range=[ROW // 2, ROW - 10])),
        color=colour,
        tooltip=_told("label", "places", "share"),
    )
    names = base.mark_text(color=INK, align="left", fontSize=13, dx=6, dy=-13)
    chart = alt.layer(bars, names.encode(x=alt.value(0), text="label:N"))
    return _dressed(chart, height=ROW * max(1, len(rows) // len(SHARES)))


def _levels(levels: Sequence[float]) -> alt.Axis:
    return alt.Axis(values=list(levels), format=".2~f", grid=False, labelOverlap="greedy")


def _fitted(found: LevelTable) -> Iterator[dict[str, Any]]:
    """Points on each arm's curve, where there is one."""
    levels = np.geomspace(found.levels[0], found.levels[-1], POINTS)
    for arm in ARMS:
        if fit := getattr(found, arm).fit:
            for level, share in zip(levels, probability(fit, levels), strict=True):
                yield {"places": arm, "level": float(level), "noticed": float(share)}


def _reached(found: LevelTable) -> Iterator[dict[str, Any]]:
    """a90 of each arm and its interval, drawn within the levels that were tried."""
    least, most = found.levels[0], found.levels[-1]
    for arm in ARMS:
        a90 = getattr(found, arm).a90
        if a90.value is not None:
            yield {
                "places": arm,
                "a90": a90.value,
                "from": max(a90.low, least),
                "to": most if a90.high is None else a90.high,
                "row": 0.9,
                "bottom": 0.0,
            }


def svg(spec: dict[str, Any], width: int = 640, colours: Mapping[str, str] = LIGHT) -> str:
    """The same chart as a picture, in light colours or those of PRINT."""
    import vl_convert

    text = json.dumps(spec | {"width": width})
    for name, colour in colours.items():
        text = text.replace(name, colour)
    drawn: str = vl_convert.vegalite_to_svg(text)
    return drawn


def _told(*names: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{n}:N") if n in WORDS else alt.Tooltip(f"{n}:Q", format=".3~f") for n in names]


def _span(rows: Sequence[Interval]) -> tuple[float, float]:
    """From the least to the greatest that is shown, zero among them, with some room."""
    ends = [end for row in rows for end in (row.low, row.high, row.margin, 0.0)]
    room = 0.06 * (max(ends) - min(ends)) or 0.06
    return min(ends) - room, max(ends) + room


def _scale(rows: Sequence[Interval]) -> alt.Scale:
    return alt.Scale(domain=list(_span(rows)), nice=False, zero=False)


def _data(rows: Sequence[Interval]) -> alt.InlineData:
    return alt.InlineData(
        values=[
            {
                "row": i,
                "edge": _span(rows)[0],
                "label": row.label,
                "estimate": row.value,
                "from": row.low,
                "to": row.high,
                "claimed at most": row.margin,
                "verdict": str(row.verdict),
            }
            for i, row in enumerate(rows)
        ]
    )


def _noticed(arm: str, level: float, rate: Rate, pictures: str) -> dict[str, Any]:
    return {
        "places": arm,
        "level": level,
        "noticed": rate.value,
        "from": rate.low,
        "to": rate.high,
        "pictures": f"{rate.n} photographs, {pictures}",
    }


def _dressed(chart: alt.LayerChart | alt.FacetChart, *, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = (
        chart.properties(
            width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        )
        .configure(
            background="transparent",
            font="system-ui, sans-serif",
            padding={"left": 2, "right": 8, "top": 4, "bottom": 4},
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=FAINT,
            titleColor=FAINT,
            gridColor=LINE,
            domainColor=LINE,
            tickColor=LINE,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=13,
            titlePadding=8,
        )
        .configure_legend(labelColor=INK, labelFontSize=13)
        .to_dict()
    )
    return spec
