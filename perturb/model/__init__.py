"""A reference becomes a model: `load("torchvision:resnet50@DEFAULT")`."""

from perturb.model.callable import BlackBox
from perturb.model.camera import behind
from perturb.model.network import Network
from perturb.model.preprocessing import Preprocessing
from perturb.model.reference import load, load_network, parsed
from perturb.model.shifted import ASK_TWICE, ask_twice, shifts_of
from perturb.model.weights import fits, load_weights, save_weights
from perturb.model.whole import tiled

__all__ = [
    "ASK_TWICE",
    "BlackBox",
    "Network",
    "Preprocessing",
    "ask_twice",
    "behind",
    "fits",
    "load",
    "load_network",
    "load_weights",
    "parsed",
    "save_weights",
    "shifts_of",
    "tiled",
]
