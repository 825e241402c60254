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

MATRIX = torch.linspace(-1, 2, SIDE * SIDE).reshape(SIDE, SIDE)


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
    "minus a blur by a kernel made on the way": (
        lambda x, m: x - F.conv2d(x, torch.ones(2, 1, 3, 3) / 9, padding=1, groups=2),
        lambda x: x - mean3(x),
    ),
    "minus a blur by a kernel made of a buffer": (
        lambda x, m: x - F.conv2d(x, m[0].kernel * 2, padding=1, groups=2),
        lambda x: x - 2 * blurred(x),
    ),
    "a kernel made on the way": (
        lambda x, m: F.conv2d(x, torch.tensor([[[[1.0, -3]]]]).repeat(2, 1, 1, 1), groups=2, stride=(1, 2)),
        lambda x: x[..., ::2] - 3 * x[..., 1::2],
    ),
    "enlarged by a fixed kernel": (
        lambda x, m: F.conv_transpose2d(x, torch.arange(8.0).reshape(2, 1, 2, 2), stride=2, groups=2),
        lambda x: F.conv_transpose2d(x, torch.arange(8.0).double().reshape(2, 1, 2, 2), stride=2, groups=2),
    ),
    "enlarged from all channels and pooled": (
        lambda x, m: F.avg_pool2d(F.conv_transpose2d(x, torch.arange(24.0).reshape(2, 3, 2, 2), stride=2), 4, 4),
        lambda x: F.avg_pool2d(F.conv_transpose2d(x, torch.arange(24.0).double().reshape(2, 3, 2, 2), stride=2), 4, 4),
    ),
    "columns by a matrix": (lambda x, m: x @ MATRIX, lambda x: x @ MATRIX.double()),
    "rows by a matrix, minus the picture": (lambda x, m: MATRIX @ x - x, lambda x: MATRIX.double() @ x - x),
    "columns by a linear layer of fixed weights": (lambda x, m: F.linear(x, MATRIX), lambda x: x @ MATRIX.double().T),
    "rows by a sum of products": (
        lambda x, m: torch.einsum("nchw,hk->nckw", x, MATRIX) - x,
        lambda x: torch.einsum("nchw,hk->nckw", x, MATRIX.double()) - x,
    ),
    "each channel by its factor": (
        lambda x, m: x * torch.tensor([0.5, 3])[:, None, None],
        lambda x: x * torch.tensor([0.5, 3]).double()[:, None, None],
    ),
    "half of the picture away": (
        lambda x, m: x - x * torch.tensor(0.5) / torch.tensor(4.0),
        lambda x: x - x / 8,
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


class Standardised(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight):
        return (weight - weight.mean()) / weight.std()


class Hidden(nn.Module):
    """Weights that are a parameter by any way but directly."""

    def __init__(self, call):
        super().__init__()
        self.weight, self.call = nn.Parameter(torch.arange(36.0).reshape(2, 2, 3, 3)), call

    def forward(self, x):
        return F.conv2d(x, self.call(self.weight), padding=1)


def written_into(weight):
    made = torch.zeros(2, 2, 3, 3)
    made[:] = weight
    return made


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w,
        lambda w: w.detach(),
        lambda w: (w - w.mean()) / (w.var(unbiased=False) + 1),
        lambda w: w * torch.ones(2, 1, 1, 1) / 3,
        lambda w: torch.stack([part.sign() for part in w.unbind()]),
        lambda w: torch.zeros(2, 2, 3, 3).copy_(w.data),
        lambda w: w.sort(3).values,
        written_into,
        Standardised.apply,
    ],
)
def test_a_weight_computed_from_a_parameter_is_learnt(call):
    """It counts by its shape: of 18 taps each 1/18, to each of two outputs."""
    found, _ = propagate(network(Hidden(call), shape=(2, SIDE, SIDE)), "output", (SIDE, SIDE))
    assert found == pytest.approx(2)


def test_parametrised_weights_are_learnt():
    for normed in (nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm):
        found, _ = propagate(network(normed(nn.Conv2d(2, 2, 3, 1, 1)), shape=(2, SIDE, SIDE)), "output", (SIDE, SIDE))
        assert found == pytest.approx(2)


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


@pytest.mark.slow
@pytest.mark.parametrize("blur", [pool, lambda x: F.conv2d(x, torch.ones(3, 1, 3, 3) / 9, padding=1, groups=3)])
def test_the_case_of_a_picture_less_its_background(blur):
    """Path counts in float64, with (8/9)^2 at the centre: the README of the cases from the field says 5.384."""

    class Subtracted(nn.Module):
        def __init__(self, blur):
            super().__init__()
            self.stack, self.blur = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1)), blur

        def forward(self, x):
            return self.stack(x - self.blur(x))

    model = network(Subtracted(blur))
    assert lint(model)["imbalance"] == pytest.approx(5.384, abs=5e-4)
    cell = torch.from_numpy(structural(network(model.module.stack)).values).tile(4, 4)
    kernel = torch.full((3, 3), 1 / 81, dtype=torch.float64)
    kernel[1, 1] = (8 / 9) ** 2
    wanted = F.conv2d(around(cell[None, None], 1), kernel[None, None])[0, 0, :4, :4]
    found = torch.from_numpy(structural(model).values)
    torch.testing.assert_close(found, wanted / wanted.sum(), rtol=1e-8, atol=0)  # 1 / 9 is a float32 there
