"""The regimes: how a model comes to say that something is there."""

from perturb.detectors.as_is import AsIs
from perturb.detectors.label import Label
from perturb.detectors.probe import Probe
from perturb.detectors.reference import Reference

KINDS = {"reference": Reference, "as-is": AsIs, "probe": Probe}

__all__ = ["KINDS", "AsIs", "Label", "Probe", "Reference"]
