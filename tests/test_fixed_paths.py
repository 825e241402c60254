"""Fixed linear paths add before they are squared: against the squares of a dense matrix of the same function."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import network

from perturb.contribution import structural
from perturb.contribution.architecture import propagate
from perturb.stories.lint import lint

SIDE = 16


def around(x, width):
    """The picture on a torus."""
    return F.pad(x, (width,) * 4, mode="circular")


BLUR = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64)[None, None] / 16


class Blur(nn.Module):
    """A fixed kernel, a buffer, for each channel."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", BLUR.float().repeat(2, 1, 1, 1))

    def forward(self, x):
        return F.conv2d(x, self.kernel, padding=1, groups=2)


class Grey(nn.Module):
    """A fixed mixture of two channels."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", torch.tensor([0.75, 0.25])[None, :, None, None])

    def forward(self, x):
        return F.conv2d(x, self.kernel)


def mean3(x):
    return F.avg_pool2d(around(x, 1), 3, 1)


def blurred(x):
    return F.conv2d(around(x, 1), BLUR.repeat(2, 1, 1, 1), groups=2)


def grey(x):
    return 0.75 * x[:, :1] + 0.25 * x[:, 1:]


def pool(x):
    return F.avg_pool2d(x, 3, 1, 1)


def written(x):
    y = x.clone()
    y -= pool(x)
    return y


CASES = {
    "minus its blur": (lambda x, m: x - pool(x), lambda x: x - mean3(x)),
    "in place": (lambda x, m: written(x), lambda x: x - mean3(x)),
    "negative": (lambda x, m: pool(-x) + x, lambda x: x - mean3(x)),
    "twice the picture": (lambda x, m: x + x, lambda x: 2 * x),
    "blurred twice": (lambda x, m: pool(pool(x)), lambda x: mean3(mean3(x))),
    "two blurs": (lambda x, m: pool(x) - m[0](x), lambda x: mean3(x) - blurred(x)),
    "difference of scales": (
        lambda x, m: x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2),
        lambda x: x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2),
    ),
    "nearest and then pooled": (
        lambda x, m: F.avg_pool2d(F.interpolate(x, scale_factor=2), 4, 4),
        lambda x: F.avg_pool2d(F.interpolate(x, scale_factor=2), 4, 4),
    ),
    "neighbours": (lambda x, m: x - x.roll(1, 3), lambda x: x - x.roll(1, 3)),
    "minus its mean": (
        lambda x, m: x - x.mean((1, 2, 3), keepdim=True),
        lambda x: x - x.mean((1, 2, 3), keepdim=True),
    ),
    "grey minus a channel": (lambda x, m: m[1](x) - x[:, :1], lambda x: grey(x) - x[:, :1]),
    "halves of a channel": (
        lambda x, m: sum(x.chunk(2, 1)) - pool(x[:, :1]),
        lambda x: x.sum(1, keepdim=True) - mean3(x[:, :1]),
    ),
    "weighed": (lambda x, m: torch.sub(x, x * 0.5, alpha=3) / 2, lambda x: -0.25 * x),
}


class Pathed(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.fixed = function, nn.ModuleList([Blur(), Grey()])

    def forward(self, x):
        return self.function(x, self.fixed)


@pytest.mark.parametrize("name", CASES)
def test_paths_add_before_they_are_squared(name):
    """On a torus, each pixel: the sum over the outputs of the squared derivative."""
    here, there = CASES[name]
    found, _ = propagate(network(Pathed(here), shape=(2, SIDE, SIDE)), "output", (SIDE, SIDE))
    x = torch.rand(1, 2, SIDE, SIDE, dtype=torch.float64)
    rows = torch.autograd.functional.jacobian(there, x, vectorize=True).reshape(-1, 2, SIDE, SIDE)
    torch.testing.assert_close(torch.from_numpy(found), rows.square().sum((0, 1)), rtol=1e-10, atol=1e-12)


def test_paths_through_drawn_weights_stay_apart():
    """A shortcut beside a convolution: independent, so 1 and 1/9 for each of nine taps."""

    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, 1, 1)

        def forward(self, x):
            return x + F.relu(self.conv(x))

    found, _ = propagate(network(Shortcut(), shape=(2, SIDE, SIDE)), "output", (SIDE, SIDE))
    assert found == pytest.approx(2 + 2)  # two channels, each once by the shortcut and once by the weights


def test_what_was_written_into_is_no_longer_what_it_was():
    """The shortcut of a map that a convolution was added to: y + c(y) less y is not c(y)'s business alone."""

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x):
            y = x.clone()
            y += self.conv(x)
            return y - x

    found, _ = propagate(network(Written(), shape=(2, SIDE, SIDE)), "output", (SIDE, SIDE))
    assert found == pytest.approx(2 + 2 + 2)  # three independent terms: the sum is a map of its own


def test_the_case_of_a_picture_less_its_background():
    """Path counts in float64, with (8/9)^2 at the centre: the README of the cases from the field says 5.384."""

    class Subtracted(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))

        def forward(self, x):
            return self.stack(x - F.avg_pool2d(x, 3, 1, 1))

    model = network(Subtracted())
    assert lint(model)["imbalance"] == pytest.approx(5.384, abs=5e-4)
    cell = torch.from_numpy(structural(network(Subtracted().stack)).values).tile(4, 4)
    kernel = torch.full((3, 3), 1 / 81, dtype=torch.float64)
    kernel[1, 1] = (8 / 9) ** 2
    wanted = F.conv2d(around(cell[None, None], 1), kernel[None, None])[0, 0, :4, :4]
    torch.testing.assert_close(torch.from_numpy(structural(model).values), wanted / wanted.sum(), rtol=1e-10, atol=0)
