"""The charts of report.html, as Vega-Altair: intervals against a margin, detection against level.

Colours are the page's own variables, so that light and dark are the page's affair; `svg` fills them in for Markdown.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from perturb.exhibits import Sweep
from perturb.records import Experiment, Finding, Verdict

INK, FAINT, LINE = "var(--ink)", "var(--faint)", "var(--line)"
DEAD, LIVE = "var(--dead)", "var(--live)"
ROW = 46  # pixels for each interval
FINITE = 1e300  # an effect beyond it, such as the imbalance of a strictly dead phase, has no place on an axis
LIGHT = {
    INK: "#1d1d22",
    FAINT: "#5c5c66",
    LINE: "#dddde3",
    DEAD: "#5b3fa0",
    LIVE: "#117a52",
    "var(--margin)": "#e8f3ee",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A row of `intervals`."""

    label: str
    value: float
    low: float
    high: float
    margin: float
    verdict: Verdict


def intervals(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """Each estimate with its interval; shaded up to the margin, where a claim holds."""
    ends = [end for row in rows for end in (row.low, row.high, row.margin, 0.0)]
    room = 0.06 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    axis = alt.Axis(format=".3~f", tickCount=6, labelOverlap="greedy")
    x = alt.X("estimate:Q", title=title, axis=axis, scale=alt.Scale(domain=[low, high], nice=False, zero=False))
    y = alt.Y("row:O", axis=None)
    told = [alt.Tooltip(f"{name}:N") for name in ("check", "verdict")]
    told += [alt.Tooltip(f"{name}:Q", format=".3~f") for name in ("estimate", "from", "to", "claimed at most")]
    base = alt.Chart(alt.InlineData(values=_points(rows, low, "check"))).encode(x=x, y=y, tooltip=told)
    chart = alt.layer(
        base.mark_bar(color="var(--margin)", size=ROW).encode(x="edge:Q", x2="claimed at most:Q"),
        base.mark_tick(color=LIVE, size=ROW, thickness=2, opacity=0.6).encode(x="claimed at most:Q"),
        base.mark_rule(color=INK, strokeWidth=3, strokeCap="round", yOffset=6).encode(x="from:Q", x2="to:Q"),
        base.mark_point(color=INK, fill=INK, size=90, opacity=1, yOffset=6),
        base.mark_text(color=INK, align="left", fontSize=13, dx=6, dy=-11).encode(x=alt.value(0), text="check:N"),
    )
    return _dressed(chart, height=ROW * len(rows))


def interval(finding: Finding, label: str) -> Interval:
    """A finding's row."""
    effect = finding.effect
    return Interval(
        label=label,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        margin=finding.claim.at_most,
        verdict=finding.verdict,
    )


def course(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """One check over time: `label` is when; shaded up to the margin."""
    ends = [end for row in rows for end in (row.low, row.high, row.margin, 0.0)]
    room = 0.06 * (max(ends) - min(ends))
    low, high = min(ends) - room, max(ends) + room
    told = [alt.Tooltip(f"{name}:N") for name in ("when", "verdict")]
    told += [alt.Tooltip(f"{name}:Q", format=".3~f") for name in ("estimate", "from", "to", "claimed at most")]
    dates = alt.Axis(labelAngle=0, labelOverlap="greedy", labelExpr="slice(datum.label, 0, 10)")
    x = alt.X("when:N", title=None, axis=dates, scale=alt.Scale(type="band", padding=0))
    y = alt.Y("estimate:Q", title=title, scale=alt.Scale(domain=[low, high], nice=False, zero=False))
    base = alt.Chart(alt.InlineData(values=_points(rows, low, "when"))).encode(x=x, tooltip=told)
    chart = alt.layer(
        base.mark_bar(color="var(--margin)", width=alt.RelativeBandSize(1)).encode(y="edge:Q", y2="claimed at most:Q"),
        base.mark_line(color=FAINT, strokeWidth=1).encode(y=y),
        base.mark_rule(color=INK, strokeWidth=3, strokeCap="round").encode(y="from:Q", y2="to:Q"),
        base.mark_point(color=INK, fill=INK, size=70, opacity=1).encode(y=y),
    )
    return _dressed(chart, height=200)


def detection(sweep: Sweep, experiment: Experiment) -> dict[str, Any]:
    """Share noticed against level, with bands; hollow marks where the judged pictures were measured."""
    curves = alt.InlineData(
        values=[
            {
                "level": level,
                "places": arm,
                "noticed": rate.value,
                "from": rate.low,
                "to": rate.high,
                "pictures": f"{rate.n} for calibration",
            }
            for arm in ("dead", "live")
            for level, rate in zip(sweep.levels, getattr(sweep, arm), strict=True)
        ]
    )
    judged = alt.InlineData(
        values=[
            {
                "level": experiment.level,
                "places": arm,
                "noticed": rate.value,
                "from": rate.low,
                "to": rate.high,
                "pictures": f"{rate.n} judged",
            }
            for arm in ("dead", "live")
            for rate in [experiment.rates[arm]]
        ]
    )
    x = alt.X(
        "level:Q",
        title="level (share of the pixel range)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=list(sweep.levels), format=".2~f", grid=False),
    )
    y = alt.Y(
        "noticed:Q", title="share noticed", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5)
    )
    arms, names = (
        ["dead", "live"],
        alt.Legend(title=None, orient="top", symbolSize=110, symbolOpacity=1, symbolStrokeWidth=0),
    )
    colour = alt.Color("places:N", scale=alt.Scale(domain=arms, range=[DEAD, LIVE]), legend=names)
    shape = alt.Shape("places:N", scale=alt.Scale(domain=arms, range=["triangle-down", "circle"]), legend=names)
    told = [alt.Tooltip(f"{name}:N") for name in ("places", "pictures")]
    told += [alt.Tooltip(f"{name}:Q", format=".3~f") for name in ("level", "noticed", "from", "to")]
    base = alt.Chart(curves).encode(x=x, color=colour, tooltip=told)
    here = alt.Chart(judged).encode(x=x, tooltip=told)
    chart = alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("from:Q", title="share noticed"), y2="to:Q"),
        here.mark_rule(color=FAINT, strokeDash=[3, 3]),
        base.mark_line(strokeWidth=2).encode(
            y=y,
            strokeDash=alt.StrokeDash("places:N", scale=alt.Scale(domain=arms, range=[[5, 3], [1, 0]]), legend=names),
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
        here.mark_rule(strokeWidth=2.5).encode(y="from:Q", y2="to:Q", color=colour),
        here.mark_point(filled=False, fill="var(--paper)", size=130, strokeWidth=2.5, opacity=1).encode(
            y=y, color=colour, shape=shape
        ),
    )
    return _dressed(chart, height=280)


def svg(spec: dict[str, Any], width: int = 640) -> str:
    """The same chart as a picture in light colours."""
    import vl_convert

    text = json.dumps(spec | {"width": width})
    for name, colour in {**LIGHT, "var(--paper)": "#ffffff"}.items():
        text = text.replace(name, colour)
    drawn: str = vl_convert.vegalite_to_svg(text)
    return drawn


def _points(rows: Sequence[Interval], edge: float, label: str) -> list[dict[str, Any]]:
    return [
        {
            "row": i,
            "edge": edge,
            label: row.label,
            "estimate": row.value,
            "from": row.low,
            "to": row.high,
            "claimed at most": row.margin,
            "verdict": str(row.verdict),
        }
        for i, row in enumerate(rows)
    ]


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
