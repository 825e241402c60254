"""The charts of detection: against level as it was sought, as probability of detection, against false alarms."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np

from perturb.figures import LevelCurve
from perturb.records import Experiment, FreeResponse, LevelTable, Rate
from perturb.render.charts import DEAD, FAINT, LIVE, PAPER, dressed, told
from perturb.stats.detection_curve import probability

ARMS = ["dead", "live"]
POINTS = 101  # of a fitted curve


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
    colour, shape, dash = _by_arm()
    words = told("places", "pictures", "level", "noticed", "from", "to")
    curve = alt.Chart(alt.InlineData(values=tried)).encode(x=x, color=colour, tooltip=words)
    here = alt.Chart(alt.InlineData(values=judged)).encode(x=x, tooltip=words)
    hollow = here.mark_point(filled=False, fill=PAPER, size=130, strokeWidth=2.5, opacity=1)
    chart = alt.layer(
        curve.mark_area(opacity=0.16).encode(y=alt.Y("from:Q", title="share noticed"), y2="to:Q"),
        here.mark_rule(color=FAINT, strokeDash=[3, 3]),
        curve.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        curve.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
        here.mark_rule(strokeWidth=2.5).encode(y="from:Q", y2="to:Q", color=colour),
        hollow.encode(y=y, color=colour, shape=shape),
    )
    return dressed(chart, height=280)


def probability_of_detection(found: LevelTable, verb: str) -> dict[str, Any]:
    """Both arms against level: intervals as a band, the fitted curves, where each reaches 90 %, and a90/95."""
    seen = [
        _noticed(arm, level, rate, "judged")
        for arm in ARMS
        for level, rate in zip(found.levels, getattr(found, arm).rates, strict=True)
    ]
    x = alt.X("level:Q", title="level", scale=alt.Scale(type="log", nice=False), axis=_levels(found.levels))
    shares = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 0.9, 1])
    y = alt.Y("noticed:Q", title=f"share {verb}", scale=alt.Scale(domain=[0, 1]), axis=shares)
    colour, shape, dash = _by_arm()
    marks = alt.Chart(alt.InlineData(values=seen)).encode(
        x=x, color=colour, tooltip=told("places", "pictures", "level", "noticed", "from", "to")
    )
    curves = alt.Chart(alt.InlineData(values=list(_fitted(found)))).encode(x=x, color=colour)
    reached = alt.Chart(alt.InlineData(values=list(_reached(found)))).encode(
        color=colour, tooltip=told("places", "a90", "from", "to")
    )
    surely = alt.Chart(alt.InlineData(values=list(_surely(found)))).encode(
        x="level:Q", color=colour, tooltip=told("places", "label", "level")
    )
    middle = math.sqrt(found.levels[0] * found.levels[-1])  # labels stay within the chart
    left, right = (surely.transform_filter(f"datum.level {side} {middle}") for side in ("<", ">="))
    chart = alt.layer(
        alt.Chart(alt.InlineData(values=[{"share": 0.9}]))
        .mark_rule(color=FAINT, strokeDash=[2, 3])
        .encode(y="share:Q"),
        reached.mark_rule(strokeWidth=7, opacity=0.28, strokeCap="round").encode(
            x=alt.X("from:Q", title="level"), x2="to:Q", y=alt.Y("row:Q", title=f"share {verb}")
        ),
        reached.mark_rule(strokeWidth=1.5).encode(x="a90:Q", y="bottom:Q", y2="row:Q", strokeDash=dash),
        marks.mark_area(opacity=0.14).encode(y=alt.Y("from:Q", title=f"share {verb}"), y2="to:Q"),
        curves.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        marks.mark_rule(strokeWidth=1.5, opacity=0.7).encode(y="from:Q", y2="to:Q"),
        marks.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
        surely.mark_point(shape="diamond", filled=False, fill=PAPER, size=150, strokeWidth=2.5, opacity=1).encode(y=y),
        left.mark_text(align="left", dx=11, dy=13, fontSize=12).encode(y=y, text="label:N"),
        right.mark_text(align="right", dx=-11, dy=13, fontSize=12).encode(y=y, text="label:N"),
    )
    return dressed(chart, height=320)


def free_response(rows: Sequence[FreeResponse], verb: str) -> dict[str, Any]:
    """Both arms against false alarms in a picture, as they came out, with bands."""
    seen = [
        _noticed(arm, row.measured, getattr(row, arm), f"at most {row.false_alarms:g} false alarms asked")
        | {"false alarms a picture": row.measured}
        for arm in ARMS
        for row in rows
    ]
    x = alt.X("false alarms a picture:Q", axis=alt.Axis(format=".2~f", tickCount=6))
    shares = alt.Axis(format=".0%", tickCount=5)
    y = alt.Y("noticed:Q", title=f"share {verb}", scale=alt.Scale(domain=[0, 1]), axis=shares)
    colour, shape, dash = _by_arm()
    words = told("places", "pictures", "false alarms a picture", "noticed", "from", "to")
    base = alt.Chart(alt.InlineData(values=seen)).encode(x=x, color=colour, tooltip=words)
    chart = alt.layer(
        base.mark_area(opacity=0.14).encode(y=alt.Y("from:Q", title=f"share {verb}"), y2="to:Q"),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape),
    )
    return dressed(chart, height=260)


def _by_arm() -> tuple[alt.Color, alt.Shape, alt.StrokeDash]:
    """Colour, shape and dash tell the arms apart, in one legend."""
    key = alt.Legend(title=None, orient="top", symbolSize=110, symbolOpacity=1, symbolStrokeWidth=0)
    return (
        alt.Color("places:N", scale=alt.Scale(domain=ARMS, range=[DEAD, LIVE]), legend=key),
        alt.Shape("places:N", scale=alt.Scale(domain=ARMS, range=["triangle-down", "circle"]), legend=key),
        alt.StrokeDash("places:N", scale=alt.Scale(domain=ARMS, range=[[5, 3], [1, 0]]), legend=key),
    )


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


def _noticed(arm: str, level: float, rate: Rate, pictures: str) -> dict[str, Any]:
    return {
        "places": arm,
        "level": level,
        "noticed": rate.value,
        "from": rate.low,
        "to": rate.high,
        "pictures": f"{rate.n} photographs, {pictures}",
    }


def _surely(found: LevelTable) -> Iterator[dict[str, Any]]:
    """a90/95 of each arm that has one."""
    for arm in ARMS:
        level = getattr(found, arm).surely
        if level is not None:
            yield {"places": arm, "level": level, "noticed": 0.9, "label": f"a90/95 {level:.3g}"}
