"""The charts of pages, as Vega-Altair: intervals against a margin, over time, shares; what all charts have in common.

Colours are the page's own variables, so that light and dark are the page's affair; `svg` fills them in.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt

from perturb.records import Finding, Verdict
from perturb.render.headline import quantity

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
SERIES = [f"var(--series-{n})" for n in range(1, 7)]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
DASHES = [[1, 0], [6, 3], [2, 2]]
WORDS = ("label", "verdict", "places", "pictures", "model", "change")  # the others are numbers
ESTIMATE = ("verdict", "estimate", "from", "to", "claimed at most")
SHARES = ("by shape", "by weights")  # of a lattice, by layer
ROW = 46  # pixels for each interval
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
    model: str = ""
    mark: str = ""  # above it
    change: str = ""  # what the mark means


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


def by_quantity(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """A chart of intervals for each quantity: its checks share an axis."""
    ordered = sorted(findings, key=lambda f: f.claim.quantity)
    for _, group in groupby(ordered, key=lambda f: f.claim.quantity):
        checks = list(group)
        rows = [interval(f, f.check) for f in checks if max(-f.effect.low, f.effect.high) < FINITE]
        if rows:
            yield intervals(rows, quantity(checks[0].effect))


def intervals(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """Each estimate with its interval; shaded up to the margin, where a claim holds."""
    axis = alt.Axis(format=".3~f", tickCount=6, labelOverlap="greedy")
    x = alt.X("estimate:Q", title=title, axis=axis, scale=_scale(rows))
    base = alt.Chart(_data(rows)).encode(x=x, y=alt.Y("row:O", axis=None), tooltip=told("label", *ESTIMATE))
    chart = alt.layer(
        base.mark_bar(color=MARGIN, size=ROW).encode(x="edge:Q", x2="claimed at most:Q"),
        base.mark_tick(color=LIVE, size=ROW, thickness=2, opacity=0.6).encode(x="claimed at most:Q"),
        base.mark_rule(color=INK, strokeWidth=3, strokeCap="round", yOffset=6).encode(x="from:Q", x2="to:Q"),
        base.mark_point(color=INK, fill=INK, size=90, opacity=1, yOffset=6),
        base.mark_text(color=INK, align="left", fontSize=13, dx=6, dy=-11).encode(x=alt.value(0), text="label:N"),
    )
    return dressed(chart, height=ROW * len(rows))


def course(rows: Sequence[Interval], title: str) -> dict[str, Any]:
    """One check over time; shaded up to the margin. Models differ by colour, shape and dash."""
    when = alt.Axis(
        labelAngle=0, labelOverlap="greedy", labelExpr="[slice(datum.label, 0, 10), slice(datum.label, 11, 16)]"
    )
    x = alt.X("label:N", title=None, axis=when, scale=alt.Scale(type="band", padding=0))
    y = alt.Y("estimate:Q", title=title, scale=_scale(rows))
    base = alt.Chart(_data(rows)).encode(x=x, tooltip=told("label", "model", *ESTIMATE, "change"))
    colour, shape, dash = _by_model([row.model for row in rows])
    chart = alt.layer(
        base.mark_bar(color=MARGIN, width=alt.RelativeBandSize(1)).encode(y="edge:Q", y2="claimed at most:Q"),
        base.mark_line(strokeWidth=1.5).encode(y=y, color=colour, strokeDash=dash),
        base.mark_rule(strokeWidth=3, strokeCap="round").encode(y="from:Q", y2="to:Q", color=colour),
        base.mark_point(filled=True, size=90, opacity=1).encode(y=y, color=colour, shape=shape),
        base.mark_text(color=INK, fontSize=15, dy=-12).encode(y="to:Q", text="mark:N"),
    )
    return dressed(chart, height=220)


def _by_model(models: Sequence[str]) -> tuple[alt.Color, alt.Shape, alt.StrokeDash]:
    """In one legend, which a single model does not need."""
    names = list(dict.fromkeys(models))
    key = None if len(names) == 1 else alt.Legend(title=None, orient="top", columns=1, labelLimit=0, symbolSize=110)

    def scale(kinds: Sequence[Any], times: int = 1) -> alt.Scale:
        return alt.Scale(domain=names, range=[kinds[i // times % len(kinds)] for i in range(len(names))])

    return (
        alt.Color("model:N", scale=scale([INK] if key is None else SERIES), legend=key),
        alt.Shape("model:N", scale=scale(SHAPES), legend=key),
        alt.StrokeDash("model:N", scale=scale(DASHES, len(SERIES)), legend=key),
    )


def shares(rows: Sequence[tuple[str, str, float]]) -> dict[str, Any]:
    """Bars of (layer, one of SHARES, share of ln(max/min)), the first layer on top."""
    bars_of = [
        {"row": i // len(SHARES), "label": name, "places": of, "share": share}
        for i, (name, of, share) in enumerate(rows)
    ]
    colour = alt.Color(
        "places:N", scale=alt.Scale(domain=SHARES, range=[DEAD, LIVE]), legend=alt.Legend(title=None, orient="top")
    )
    base = alt.Chart(alt.InlineData(values=bars_of)).encode(y=alt.Y("row:O", axis=None))
    bars = base.mark_bar(size=9).encode(
        x=alt.X("share:Q", title="share of ln(liveliest / deadest)"),
        yOffset=alt.YOffset("places:N", scale=alt.Scale(domain=SHARES, range=[ROW // 2, ROW - 10])),
        color=colour,
        tooltip=told("label", "places", "share"),
    )
    names = base.mark_text(color=INK, align="left", fontSize=13, dx=6, dy=-13)
    chart = alt.layer(bars, names.encode(x=alt.value(0), text="label:N"))
    return dressed(chart, height=ROW * max(1, len(rows) // len(SHARES)))


def svg(spec: dict[str, Any], width: int = 640, colours: Mapping[str, str] = LIGHT) -> str:
    """The same chart as a picture, in light colours or those of PRINT."""
    import vl_convert

    text = json.dumps(spec | {"width": width})
    for name, colour in colours.items():
        text = text.replace(name, colour)
    drawn: str = vl_convert.vegalite_to_svg(text)
    return drawn


def told(*names: str) -> list[alt.Tooltip]:
    """The numbers and words that a mark tells the pointer."""
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
                "model": row.model,
                "mark": row.mark,
                "change": row.change,
            }
            for i, row in enumerate(rows)
        ]
    )


def dressed(chart: alt.LayerChart | alt.FacetChart, *, height: int) -> dict[str, Any]:
    """The chart as wide as its page, in the page's colours."""
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
