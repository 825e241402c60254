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
