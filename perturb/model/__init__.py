"""A reference becomes a Model: `load("torchvision:resnet50@DEFAULT")`."""

from perturb.model.network import Network
from perturb.model.preprocessing import Preprocessing
from perturb.model.reference import load
from perturb.model.weights import fits, load_weights, save_weights

__all__ = ["Network", "Preprocessing", "fits", "load", "load_weights", "save_weights"]
