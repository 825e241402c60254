"""The table at the end of a pytest run."""

from typing import Any

from perturb.render.badges import RANK


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each measured check, the worst first."""
    ordered = sorted(rows, key=lambda row: RANK[row["verdict"]])
    width = max(len(f"{row['suite']}::{row['model']}::{row['check']}") for row in rows)
    return [
        f"{row['verdict']:<12} {row['suite'] + '::' + row['model'] + '::' + row['check']:<{width}}  "
        f"{row['quantity']} {row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}] at most {row['at_most']:g}, "
        f"n = {row['n']}"
        for row in ordered
    ]
