"""Detection by phase, as views show it: the arms' names, the worst and the best phases, the whole grid."""

from typing import Any

import numpy as np

from perturb.records import Experiment, PhaseRate, Rate
from perturb.render import embed

MOST_PHASES = 16  # of rows or columns, that are listed one by one
EXTREMES = 3  # phases at either end that stand for many


def both(found: Experiment) -> tuple[tuple[Rate, str], tuple[Rate, str]]:
    """The share detected in both arms, with a note where these are the worst phase and any place."""
    if found.phases_of == "calibration":
        return (found.detected.dead, ""), (found.detected.live, "")
    worst = ranked(found)[0]
    return (worst.rate, f"at the worst phase, {worst.phase}"), (found.detected.live, "at any place")


def ranked(found: Experiment) -> list[PhaseRate]:
    """The phases, the one detected least often first."""
    return sorted(found.phases, key=lambda one: one.rate.value)


def arms(found: Experiment) -> tuple[str, str]:
    """Where the places of both arms lie, in words."""
    if found.phases_of == "judged":
        return "at each phase in turn", "at any place"
    return "at dead places", "at live places"


def extremes(found: Experiment) -> list[tuple[str, PhaseRate]]:
    """Of judged pictures the phases detected least and most often, or all where these are few."""
    order = ranked(found) if found.phases_of == "judged" else []
    if len(order) <= 2 * EXTREMES:
        return [("", one) for one in order]
    return [("worst", one) for one in order[:EXTREMES]] + [("best", one) for one in order[-EXTREMES:]]


def phase_grid(found: Experiment) -> tuple[list[str], list[tuple[str, list[PhaseRate]]]]:
    """Names of columns; rows with their names and shares. A lattice of rows alone lies along a row.

    Both are empty where there are no phases, or too many to list, and of judged pictures, which have `extremes`.
    """
    rows, columns = (sorted({phase.phase[axis] for phase in found.phases}) for axis in (0, 1))
    if found.phases_of == "judged" or len(found.phases) < 2 or max(len(rows), len(columns)) > MOST_PHASES:
        return [], []
    if len(columns) == 1:
        return [f"row {row}" for row in rows], [("", list(found.phases))]
    at = {phase.phase: phase for phase in found.phases}
    return [f"column {c}" for c in columns], [(f"row {r}", [at[r, c] for c in columns]) for r in rows]


def heat_map(found: Experiment) -> dict[str, Any] | None:
    """The share detected at each phase as a picture whose pixels are phases, with a text for each; None without."""
    if len(found.phases) < 2:
        return None
    rows, columns = (max(one.phase[axis] for one in found.phases) + 1 for axis in (0, 1))
    values, texts = np.zeros((rows, columns)), [""] * (rows * columns)
    for one in found.phases:
        values[one.phase] = one.rate.value
        texts[one.phase[0] * columns + one.phase[1]] = (
            f"phase {one.phase}: {found.verb} {one.rate.value:.0%}, "
            f"between {one.rate.low:.0%} and {one.rate.high:.0%}; {one.rate.n} photographs"
        )
    order = ranked(found)
    return {
        "rows": rows,
        "columns": columns,
        "label": f"{rows} × {columns} phases: {found.verb}, {found.phases_of} pictures.",
        "picture": embed.painted(values, 1.0),
        "ramp": embed.painted(np.linspace(0, 1, 256)[None], 1.0),
        "end": "100 %",
        "texts": texts,
        "worst": order[0],
        "best": order[-1],
    }
