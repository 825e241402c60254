"""A reference becomes a Model: `load("torchvision:resnet50@DEFAULT")`."""

from perturb.model.network import Network, Preprocessing
from perturb.model.reference import load

__all__ = ["Network", "Preprocessing", "load"]
