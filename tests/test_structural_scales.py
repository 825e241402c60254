"""The scale and the place that each operation gives a branch of the structural map, by closed forms.

`share` joins a branch with one of known weight, so that no normalisation hides its scale.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import network

from perturb.contribution import structural
from perturb.operations import coverage


class Fork(nn.Module):
    """`one` reads the pixels of phase (0, 0) alone, with weight 1; `other` reads all four, each with weight 1/4."""

    def __init__(self, meet):
        super().__init__()
        self.one, self.other, self.meet = nn.Conv2d(3, 8, 1, 2), nn.Conv2d(3, 8, 2, 2), meet
        self.mixed, self.grouped = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=4)
        self.transposed, self.linear = nn.ConvTranspose2d(8, 8, 3, 1, 1, groups=2), nn.Linear(8, 8)
        self.weight = nn.Parameter(torch.ones(5, 8))
        self.register_buffer("blur", torch.full((8, 1, 3, 3), 0.5))

    def forward(self, x):
        return self.meet(self, self.one(x), self.other(x))


def share(meet):
    """c of the map one + c other, from its phases 1 + c/4 and c/4."""
    values = structural(network(Fork(meet))).values
    np.testing.assert_allclose(values[0, 1], values[1, 1], rtol=1e-12)
    return 4 / (values[0, 0] / values[1, 1] - 1)


def linear(m, x):
    return m.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def attended(x):
    y = x.flatten(2).transpose(1, 2)
    return F.scaled_dot_product_attention(y, y, y).transpose(1, 2).unflatten(2, x.shape[2:])


SHARES = {
    "add": (lambda m, a, b: torch.add(a, b, alpha=2), 4),
    "add in place": (lambda m, a, b: a.add_(b, alpha=2), 4),
    "sub": (lambda m, a, b: torch.sub(a, b, alpha=3), 9),
    "minus": (lambda m, a, b: a - b, 1),
    "rsub": (lambda m, a, b: torch.rsub(b, a, alpha=2), 4),
    "times": (lambda m, a, b: a + b * 3, 9),
    "times, from the left": (lambda m, a, b: 3 * b + a, 9),
    "divided": (lambda m, a, b: a + b / 4, 1 / 16),
    "average of 9": (lambda m, a, b: a + F.avg_pool2d(b, 3, 1, 1), 1 / 9),
    "average with a divisor": (lambda m, a, b: a + F.avg_pool2d(b, 3, 1, 1, divisor_override=3), 1),
    "largest of 9": (lambda m, a, b: a + F.max_pool2d(b, 3, 1, 1), 1),
    "mean over 8 channels": (lambda m, a, b: a + b.mean(1, keepdim=True), 1 / 8),
    "mean by axis": (lambda m, a, b: a + b.mean(axis=1, keepdims=True), 1 / 8),
    "sum over 8 channels": (lambda m, a, b: a + b.sum(1, keepdim=True), 8),
    "largest of 8 channels": (lambda m, a, b: a + b.amax(1, keepdim=True), 1),
    "convolution": (lambda m, a, b: a + m.mixed(b), 1),
    "grouped convolution": (lambda m, a, b: a + m.grouped(b), 1),
    "transposed convolution": (lambda m, a, b: a + m.transposed(b), 1),
    "fixed coefficients": (lambda m, a, b: a + F.conv2d(b, m.blur, padding=1, groups=8), 9 / 4),
    "linear": (lambda m, a, b: a + linear(m, b), 1),
    "sum with a product": (lambda m, a, b: torch.addcmul(a, b, torch.full((1,), 3.0), value=2), 36),
    "matmul": (lambda m, a, b: a + (m.weight @ b.flatten(2)).unflatten(2, b.shape[2:]).sum(1, keepdim=True), 5),
    "einsum": (lambda m, a, b: a + torch.einsum("oc,bcij->boij", m.weight, b).sum(1, keepdim=True), 5),
    "attention": (lambda m, a, b: a + attended(b), 1),
    "four copies averaged": (lambda m, a, b: a + F.avg_pool2d(F.interpolate(b, scale_factor=(2, 2)), 2), 1),
    "nearest neighbour": (
        lambda m, a, b: a + F.avg_pool2d(F.interpolate(b, scale_factor=(2, 2)), 2, divisor_override=8),
        1 / 4,  # four copies of one number, each times 1/8
    ),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_branch_weighs_what_its_operation_says(name):
    """Variances: a factor by its square, of n averaged values 1/n^2 each, of n weights of variance 1/n as one."""
    meet, expected = SHARES[name]
    assert share(meet) == pytest.approx(expected, rel=1e-9)


def counted(module, period):
    """How often the phases are read: paths counted by autograd, far from the border, with every weight 1."""
    module = module.double()
    for p in module.parameters():
        nn.init.ones_(p)
    x = torch.ones(1, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    (paths,) = torch.autograd.grad(module(x).sum(), x)
    inner = paths.sum((0, 1))[36 : 36 + period, 36 : 36 + period].numpy()
    return inner / inner.sum()


class Calls(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(4, 3, 2, 2))

    def forward(self, x):
        return F.conv2d(x, self.weight, stride=3, padding=(1, 0))


def third():
    """Every third row and column, the first among them."""
    return nn.Conv2d(3, 4, 1, 3)


PLACES = {
    "padded window": lambda: nn.Conv2d(3, 4, 2, 3, padding=(1, 0)),
    "padded pool": lambda: nn.AvgPool2d(2, 3, padding=(1, 0)),
    "dilated window": lambda: nn.Conv2d(3, 4, 2, 3, padding=(1, 2), dilation=(2, 1)),
    "fixed coefficients": Fixed,
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 2, 1, padding=(1, 0)), third()),
    "transposed and dilated": lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 2, 1, (1, 2), dilation=(1, 4)), third()),
    "transposed and strided": lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 2, 2, padding=(1, 0)), third()),
    "explicit padding": lambda: nn.Sequential(nn.ZeroPad2d((2, 0, 1, 0)), third()),
    "same": lambda: nn.Sequential(nn.Conv2d(3, 3, 2, padding="same"), third()),
    "cropped": lambda: nn.Sequential(Calls(lambda x: x[:, :, 1:, 2:]), third()),
    "cropped far inside": lambda: nn.Sequential(Calls(lambda x: x[:, :, 10:, 20:]), third()),
    "cropped behind an ellipsis": lambda: nn.Sequential(Calls(lambda x: x[..., 1:, 2:]), third()),
    "narrowed": lambda: nn.Sequential(Calls(lambda x: x.narrow(2, 1, 60)), third()),
    "every third": lambda: Calls(lambda x: x[..., 1::3, 2::3]),
}


@pytest.mark.parametrize("name", PLACES)
def test_windows_lie_where_the_network_reads(name):
    """The stride 3 tells -1 from +1, which a stride of 2 does not, and rows from columns."""
    found = structural(network(PLACES[name](), shape=(3, 96, 96)))
    assert found.period == 3
    np.testing.assert_allclose(found.values, counted(PLACES[name](), 3), atol=1e-12)


@pytest.mark.parametrize(("padding", "expected"), [(0, [[4, 2], [2, 1]]), (1, [[1, 2], [2, 4]])])
def test_padding_moves_the_phase_that_is_read_twice(padding, expected):
    """Kernel 3, stride 2: the taps 2j - p + (0, 1, 2) meet the residue of p twice."""
    values = structural(network(nn.Conv2d(3, 4, 3, 2, padding))).values
    np.testing.assert_allclose(values, np.array(expected) / 9, rtol=1e-12)


def test_coverage_counts_from_the_padding():
    """Kernel 2, stride 3: taps at 3j - 1 and 3j with padding 1, at 3j and 3j + 1 without; the window says so too."""
    assert coverage(2, 3, 1, 1) == (1, 0, 1)
    assert coverage(2, 3, 0, 1) == (1, 1, 0)
    (window,) = structural(network(PLACES["padded window"]())).windows
    assert window.coverage == ((1, 0, 1), (1, 1, 0))


@pytest.mark.parametrize(("kernel", "expected"), [((2, 2), True), ((2, 3), False), ((3, 2), False)])
def test_a_window_is_balanced_along_both_axes(kernel, expected):
    (window,) = structural(network(nn.Conv2d(3, 4, kernel, 2))).windows
    assert window.balanced == expected
