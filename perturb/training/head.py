"""Preparing a network for a task: one output for each class, and fresh weights for training from scratch."""

import copy

import torch
from torch import Tensor, nn

from perturb.hooks import Hook, hooked
from perturb.protocols import Differentiable
from perturb.streams import stream


def with_head(model: Differentiable, outputs: int, *, seed: int) -> nn.Module:
    """A copy of the network with `outputs` outputs and a new last layer.

    The linear layer or convolution that runs last is replaced. A network whose output is a feature map gets global
    average pooling and a linear layer instead.
    """
    module = copy.deepcopy(model.module)
    name, output = _last(model, module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_torch_seed(seed, "training/head"))
        if name is None or output.ndim != 2:
            head = nn.Linear(output.shape[1], outputs).to(output.device)
            return nn.Sequential(module, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        old = module.get_submodule(name)
        if isinstance(old, nn.Linear):
            new: nn.Module = nn.Linear(old.in_features, outputs)
        else:
            assert isinstance(old, nn.Conv2d)
            new = nn.Conv2d(old.in_channels, outputs, 1)
        module.set_submodule(name, new.to(output.device))
    return module


def fresh(module: nn.Module, *, seed: int) -> nn.Module:
    """The same module with new weights: normal, with the mean square of the old tensor.

    So each layer keeps the scale of its initialisation. Constant tensors, such as a layer scale, stay; biases become 0,
    and normalisation layers are reset.
    """
    generator = torch.Generator().manual_seed(_torch_seed(seed, "training/fresh"))
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm):
            layer.reset_parameters()
            continue
        for name, weight in layer.named_parameters(recurse=False):
            if weight.ndim > 1 and weight.detach().std() > 0:
                scale = weight.detach().double().square().mean().sqrt().item()
                weight.data.copy_(torch.randn(weight.shape, generator=generator) * scale)
            elif name.endswith("bias"):
                weight.data.zero_()
    return module


def _last(model: Differentiable, module: nn.Module) -> tuple[str | None, Tensor]:
    """The name of the linear layer or convolution that runs last, and the network's output."""
    ran: list[str] = []

    def note(name: str) -> Hook:
        return lambda *_: ran.append(name)

    layers = [name for name, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    with torch.inference_mode(), hooked(module, layers, note):
        output = module(model.normalise(torch.full((1, *model.input_shape), 0.5)))
    return (ran[-1] if ran else None), output


def _torch_seed(seed: int, name: str) -> int:
    return int(stream(seed, name).integers(2**62))
