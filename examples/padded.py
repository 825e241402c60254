"""MobileNetV3-small with its kernels padded, untrained: the remedy as a model factory.

perturb qualify examples/padded.py:mobilenet_v3_small --suite smoke
"""

from torch import nn

from perturb import Preprocessing, apply_remedy, load


def mobilenet_v3_small() -> tuple[nn.Module, Preprocessing]:
    """Weights drawn afresh for the padded kernels, seed 0."""
    built = load("torchvision:mobilenet_v3_small", device="cpu")
    module, _ = apply_remedy(built, "padding:fresh")
    return module, built.preprocessing
