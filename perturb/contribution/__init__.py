"""How strongly each pixel moves the output: four estimators, each giving a Contribution; and receptive fields."""

from perturb.contribution.gradient import centre, energy, fit_gaussian, target
from perturb.contribution.reach import receptive_field
from perturb.contribution.response import full_scan, quotient_scan
from perturb.contribution.structural import structural

__all__ = [
    "centre",
    "energy",
    "fit_gaussian",
    "full_scan",
    "quotient_scan",
    "receptive_field",
    "structural",
    "target",
]

from dataclasses import dataclass
from typing import Any


@dataclass
class Options:
    probes: int = 8
    level: float = 0.5
    period: int | None = None
    seed: int = 0
    tick: Any = None


def _structural(model, pixels, layer, options):
    return structural(model, layer)


def _energy(model, pixels, layer, options):
    return energy(model, pixels, layer, probes=options.probes, seed=options.seed, tick=options.tick)


def _target(model, pixels, layer, options):
    return target(model, pixels, tick=options.tick)


KINDS = {"structural": _structural, "energy": _energy, "target": _target, "centre": None, "response": None}
