"""The structural certificate: which layers make dead pixels, exactly, without data or trained weights."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from perturb.contribution import structural
from perturb.errors import UsageError
from perturb.locations import SLACK, fold, imbalance, one_cell
from perturb.protocols import Differentiable, Sees
from perturb.records import Window
from perturb.sensor import sensor_of


def lint(model: Differentiable, layer: str = "output") -> dict[str, Any]:
    """What the architecture imposes on its input, as plain data.

    Keys: model, layer, period, periods (of rows and of columns; `period` is their least common multiple), imbalance
    (max/min over all phases; None where a phase is strictly dead), phases (period -> max/min of the map folded there,
    for the divisors of the period), strictly_dead (share of phases), balanced, lattice (contribution by phase, mean 1)
    and layers: the certificate of every sliding window. Where the picture is resized, cropped or padded first, all of
    this is in its pixels, and `sensor` says how (see Lattice); where the lattice then has no whole period, `phases` is
    empty and `lattice` is one cell of the middle.
    """
    contribution = structural(model, model.find_layer(layer))
    lattice = fold(contribution)
    ratio = imbalance(lattice)
    sensor, whole = contribution.lattice, contribution.lattice is None or contribution.lattice.whole
    return {
        "model": model.name,
        "layer": contribution.layer,
        "period": contribution.period,
        "periods": list(contribution.periods or (contribution.period, contribution.period)),
        "imbalance": _finite(ratio),
        "balanced": contribution.period == 1 if sensor is None else ratio <= 1 + SLACK,
        "phases": {str(t): _finite(imbalance(fold(contribution, t))) for t in divisors(contribution.period) if whole},
        "strictly_dead": float((lattice == 0).mean()),
        "lattice": one_cell(contribution).tolist(),
        "layers": _layers(contribution.windows),
        "sensor": None if sensor is None else asdict(sensor),
    }


def lint_graph(model: Sees) -> dict[str, Any]:
    """What a graph's windows impose, of a model that shows no more.

    Keys model, period, periods, balanced, layers and sensor, as `lint`. The periods are the largest products of strides
    along a path of the graph, in pixels of its input; where the graph does not tell, both are None and `sensor` is of
    the resizing alone. Raises UsageError where neither a graph nor a sensor is known.
    """
    windows, sensor = getattr(model, "windows", ()), sensor_of(model)
    if not windows and sensor is None:
        raise UsageError(
            f"{model.name} has no layers, gradients or weights to look at; "
            "ask `perturb map --kind response --period N` or `perturb shift`."
        )
    periods = getattr(model, "period", None)
    period = math.lcm(*periods) if periods else None
    lattice = None if sensor is None else sensor.lattice(period or 1)
    return {
        "model": model.name,
        "period": period,
        "periods": list(periods) if periods else None,
        "balanced": all(window.balanced for window in windows) and (lattice is None or not lattice.unread),
        "layers": _layers(windows),
        "sensor": None if lattice is None else asdict(lattice),
    }


def divisors(period: int) -> list[int]:
    return [t for t in range(1, period + 1) if period % t == 0]


def _layers(windows: Sequence[Window]) -> list[dict[str, Any]]:
    return [
        {
            "name": window.name,
            "kind": window.kind,
            "kernel": list(window.kernel),
            "stride": list(window.stride),
            "dilation": list(window.dilation),
            "coverage": [list(axis) for axis in window.coverage],
            "balanced": window.balanced,
        }
        for window in windows
    ]


def _finite(ratio: float) -> float | None:
    return ratio if ratio != float("inf") else None
