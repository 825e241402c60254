"""What is read of a whole picture: zeros exactly where nothing reads, the torus' lattice where no border is near."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import network

from perturb.contribution import reading, structural
from perturb.contribution.bordered import unread_share
from perturb.errors import InputError
from perturb.locations import fold


def read(module, shape=(3, 32, 32), layer="output"):
    return reading(network(module, shape=shape), layer)


def reached(module, shape):
    """Where the gradient of a sum of absolute outputs is not zero, of the very network with positive weights."""
    for parameter in module.parameters():
        parameter.data = torch.rand_like(parameter) + 0.1
    x = torch.rand(1, *shape, requires_grad=True)
    module.eval()(x).sum().backward()
    return x.grad.abs().sum((0, 1)).numpy() > 0


class Crop(nn.Module):
    def forward(self, x):
        return x[..., 5:-6, 4:-4]


class Padded(nn.Module):
    def __init__(self, widths, mode="constant"):
        super().__init__()
        self.widths, self.mode = widths, mode

    def forward(self, x):
        return nn.functional.pad(x, self.widths, mode=self.mode)


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        mask = torch.ones(1, 1, 32, 32)
        mask[..., :7, :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return x * self.mask


ODD = {
    "windows that end before the picture": nn.Conv2d(3, 4, 3, stride=4),
    "windows apart": nn.Conv2d(3, 4, 1, stride=2),
    "dilated": nn.Conv2d(3, 4, 3, stride=4, dilation=2),
    "groups": nn.Conv2d(4, 4, 3, stride=5, groups=2),
    "a crop": nn.Sequential(Crop(), nn.Conv2d(3, 2, 3)),
    "uneven padding": nn.Sequential(Padded((0, 1, 0, 3)), nn.Conv2d(3, 2, 2, stride=3)),
    "negative padding": nn.Sequential(Padded((-2, 0, -3, 0)), nn.Conv2d(3, 2, 2)),
    "reflected padding": nn.Sequential(Padded((2, 2, 2, 2), "reflect"), nn.Conv2d(3, 2, 1, stride=6)),
    "max pool": nn.Sequential(nn.Conv2d(3, 2, 1), nn.AvgPool2d(3, 5)),
    "pool of part windows": nn.Sequential(nn.Conv2d(3, 2, 1), nn.AvgPool2d(2, 5, ceil_mode=True)),
    "transposed": nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.ConvTranspose2d(2, 3, 4, 2, 1, output_padding=1)),
    "adaptive pool": nn.Sequential(nn.Conv2d(3, 2, 5, stride=6), nn.AdaptiveAvgPool2d(2)),
    "enlarged": nn.Sequential(nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.Conv2d(3, 2, 3, stride=7)),
    "made small by nearest": nn.Sequential(nn.Upsample(size=(11, 9), mode="nearest"), nn.Conv2d(3, 2, 1)),
    "a mask": nn.Sequential(Masked(), nn.Conv2d(3, 2, 3, padding=1)),
    "flattened": nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.Flatten(), nn.Linear(128, 3)),
}


@pytest.mark.parametrize("name", ODD)
def test_a_pixel_is_zero_exactly_where_the_gradient_of_the_network_is(name):
    shape = (4 if name == "groups" else 3, 32, 32)
    found = read(ODD[name], shape) > 0
    assert np.array_equal(found, reached(ODD[name], shape))


@pytest.mark.parametrize("side", range(10, 20))
def test_a_max_pool_with_part_windows_reads_what_torch_reads(side):
    """Max-pooling passes the gradient to one pixel of each window, so the windows are made to overlap nowhere."""
    pool = nn.MaxPool2d(3, 3, padding=1, ceil_mode=True)
    expected = np.zeros((side, side), bool)
    for _ in range(60):
        x = torch.rand(1, 1, side, side, requires_grad=True)
        pool(x).sum().backward()
        expected |= x.grad[0, 0].numpy() > 0
    assert np.array_equal(read(pool, (1, side, side)) > 0, expected)


def test_inside_the_picture_it_is_the_lattice_of_the_torus():
    module = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1))
    model = network(module, shape=(3, 96, 96))
    inner = reading(model)[32:64, 32:64].reshape(4, 8, 4, 8).mean((0, 2))
    assert inner / inner.mean() == pytest.approx(fold(structural(model)), rel=1e-12)


def test_unread_pixels_are_counted_over_the_whole_picture():
    assert unread_share(read(nn.Conv2d(3, 4, 3, stride=4))) == 1 - (24 / 32) ** 2
    assert unread_share(read(nn.Conv2d(3, 4, 4, stride=4), (3, 34, 32))) == pytest.approx(2 / 34)
    assert unread_share(read(nn.Conv2d(3, 4, 3, padding=1))) == 0


def test_a_layer_that_reads_nothing_is_refused():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 2)

    with pytest.raises(InputError, match="does not depend on the picture"):
        read(Constant())


def test_a_network_that_does_not_run_is_named():
    class Broken(nn.Module):
        def forward(self, x):
            if x.requires_grad:
                raise KeyError("size")
            return x.flatten(1)

    with pytest.raises(InputError, match="cannot be followed"):
        read(Broken())
