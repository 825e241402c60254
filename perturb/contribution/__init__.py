"""How strongly each pixel moves the output: a table of estimators, each giving a Contribution; and receptive fields.

Functions are loaded when they are first used, so that the names of the kinds cost no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perturb.contribution.kinds import Estimator, Options

_HOMES = {
    "at_places": "perturb.contribution.response",
    "centre": "perturb.contribution.gradient",
    "energy": "perturb.contribution.gradient",
    "fit_gaussian": "perturb.contribution.gradient",
    "full_scan": "perturb.contribution.response",
    "quotient_scan": "perturb.contribution.response",
    "reading": "perturb.contribution.bordered",
    "receptive_field": "perturb.contribution.reach",
    "structural": "perturb.contribution.lattice",
    "target": "perturb.contribution.gradient",
}

if TYPE_CHECKING:
    from perturb.contribution.bordered import reading
    from perturb.contribution.gradient import centre, energy, fit_gaussian, target
    from perturb.contribution.lattice import structural
    from perturb.contribution.reach import receptive_field
    from perturb.contribution.response import at_places, full_scan, quotient_scan


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perturb.contribution' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


KINDS = {
    "structural": Estimator(function="perturb.contribution.lattice:structural", pictures=False),
    "energy": Estimator(function="perturb.contribution.gradient:energy"),
    "target": Estimator(function="perturb.contribution.gradient:target"),
    "centre": Estimator(function="perturb.contribution.gradient:centre", layer="last"),
    "sensor": Estimator(function="perturb.contribution.camera:sensor", needs="Sees", pictures=False),
    "response": Estimator(function="perturb.contribution.response:response", needs="Sees"),
}

__all__ = [
    "KINDS",
    "Estimator",
    "Options",
    "at_places",
    "centre",
    "energy",
    "fit_gaussian",
    "full_scan",
    "quotient_scan",
    "reading",
    "receptive_field",
    "structural",
    "target",
]
