"""Kernel padding."""

import copy

import pytest
import torch
from torch import nn
from toys import Residual, network, window

from perturb import load
from perturb.contribution import structural
from perturb.errors import InputError
from perturb.remedy import pad_kernels


@pytest.mark.parametrize("reference", ["torchvision:mobilenet_v3_small", "examples/efficientnet_lite0.py:build"])
def test_kept_weights_leave_the_function_unchanged(reference):
    """No max-pool is widened in these: the largest change of an output is rounding."""
    model = load(reference)
    module, changed = pad_kernels(model, "kept")
    assert changed
    pictures = torch.rand(2, *model.input_shape)
    before, after = model.measure(pictures), model.with_module(module).measure(pictures)
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()


def test_resnet_is_balanced_and_its_list_is_the_papers():
    """Kim et al.: conv1 7 -> 8, max-pool 3 -> 4, stride-2 3x3 -> 4x4, shortcut 1x1 -> 2x2."""
    model = load("torchvision:resnet18")
    module, changed = pad_kernels(model, "kept")
    sizes = {c.name: (c.kernel[0], c.padded[0]) for c in changed}
    assert sizes["conv1"] == (7, 8)
    assert sizes["maxpool"] == (3, 4)
    assert sizes["layer2.0.conv1"] == (3, 4)
    assert sizes["layer2.0.downsample.0"] == (1, 2)
    assert len(sizes) == 8
    assert structural(model.with_module(module)).period == 1
    assert structural(model).period == 32


def test_fresh_weights_are_seeded_and_keep_their_scale():
    model = network(nn.Sequential(window(3, padding=1, channels=256), nn.BatchNorm2d(256)))
    before = copy.deepcopy(model.module.state_dict())
    drawn = [pad_kernels(model, "fresh", seed=seed)[0][0][0].weight for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    old = before["0.0.weight"]
    assert drawn[0].square().mean() / old.square().mean() == pytest.approx(9 / 16, rel=0.1)
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())


def test_wide_strides_pad_to_their_multiple():
    module, changed = pad_kernels(network(nn.Sequential(nn.Conv2d(3, 4, 5, 4, 2))), "kept")
    assert changed[0].padded == (8, 8)
    assert structural(network(module)).period == 1


def test_grouped_dilated_and_residual_windows():
    grouped = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1, groups=3), Residual())
    module, changed = pad_kernels(network(grouped), "kept")
    assert [c.name for c in changed] == ["0", "1.main", "1.short"]
    assert structural(network(module)).period == 1
    odd_stride = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 3, dilation=3))
    assert structural(network(pad_kernels(network(odd_stride), "kept")[0])).period == 1


class OwnPadding(nn.Conv2d):
    """Computes its padding from the kernel, as TensorFlow's SAME does."""

    def forward(self, x):
        extra = max((-(-x.shape[-1] // 2) - 1) * 2 + self.kernel_size[0] - x.shape[-1], 0)
        return super().forward(nn.functional.pad(x, (0, extra, 0, extra)))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 2, dilation=2)), "layer `0`: dilation .* shares a factor"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect")), "layer `0`: padding reflect"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding="same")), "nothing to pad"),
        (nn.Sequential(OwnPadding(3, 4, 3, 2)), "layer `0` computes its own padding"),
    ],
)
def test_refused_by_name(module, words):
    with pytest.raises(InputError, match=words):
        pad_kernels(network(module), "kept")
