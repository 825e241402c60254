"""The table at the end of a pytest run."""

from typing import Any

from perturb.render.badges import RANK


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each measured check, the worst first."""
    ordered = sorted(rows, key=lambda row: RANK[row["verdict"]])
    width = max(len(f"{row['suite']}::{row['model']}::{row['check']}") for row in rows)
    return [
        f"{row['verdict']:<12} {row['suite'] + '::' + row['model'] + '::' + row['check']:<{width}}  "
        f"{row['quantity']} {row['value']:.3g}{_interval(row)} at most {row['at_most']:g}{_count(row)}"
        for row in ordered
    ]


def _interval(row: dict[str, Any]) -> str:
    return f" [{row['low']:.3g}, {row['high']:.3g}]" if "low" in row else ""


def _count(row: dict[str, Any]) -> str:
    return f", n = {row['n']}" if "n" in row else ""
