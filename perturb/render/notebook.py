"""How a Report and a Contribution show themselves in Jupyter; `perturb/__init__.py` tells IPython."""

import numpy as np
from markupsafe import Markup

from perturb.locations import fold, imbalance, one_cell
from perturb.records import Contribution
from perturb.render import charts, embed
from perturb.render.environment import fill
from perturb.report import Report
from perturb.visible import plained


def report(found: Report) -> str:
    """The verdict and why, the intervals, each check. On white under either theme; nothing runs."""
    pictures = [Markup(charts.svg(spec, width=560)) for spec in charts.by_quantity(plained(found.findings))]
    return fill("notebook.html.j2", markup=True, r=found, pictures=pictures)


def contribution(found: Contribution) -> str:
    """One period of the map, enlarged, and its numbers."""
    phases = one_cell(found)
    side = 8 * max(1, 24 // len(phases)) * len(phases)
    picture = embed.painted(np.kron(phases, np.ones((side // len(phases),) * 2)), float(phases.max()))
    return fill("notebook_map.html.j2", markup=True, c=found, ratio=imbalance(fold(found)), picture=picture)
