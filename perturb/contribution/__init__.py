"""How strongly each pixel moves the output: three estimators, each giving a Contribution."""

from perturb.contribution.gradient import centre, energy, fit_gaussian, target
from perturb.contribution.reach import receptive_field
from perturb.contribution.structural import structural

__all__ = ["centre", "energy", "fit_gaussian", "receptive_field", "structural", "target"]
