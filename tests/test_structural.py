"""The structural map against closed forms, published tables and the gradient at initialisation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import Hidden, Residual, Squared, network, window

from perturb import Network, Preprocessing, load
from perturb.contribution import energy, reading, receptive_field, structural
from perturb.contribution.architecture import on_some_torus
from perturb.contribution.torus import NoTorusError
from perturb.errors import InputError, UnsupportedOperationError
from perturb.images import load_images
from perturb.locations import fold, imbalance
from perturb.operations import coverage
from perturb.records import Contribution
from perturb.sensor import Resize
from perturb.stories.lint import lint


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "expected"),
    [(3, 2, 1, 1, (1, 2)), (7, 2, 3, 1, (3, 4)), (2, 2, 0, 1, (1, 1)), (1, 2, 0, 1, (1, 0)), (3, 2, 0, 2, (3, 0))],
)
def test_coverage_is_the_closed_form(kernel, stride, padding, dilation, expected):
    """c(r) = #{i < k : i d - p = r (mod s)}."""
    assert coverage(kernel, stride, padding, dilation) == expected


def test_one_window_is_its_coverage():
    """A single 3 x 3 kernel with stride 2: phases contribute 1, 2, 2 and 4 ninths of a window."""
    found = structural(network(window(3, padding=1)))
    assert found.period == 2
    np.testing.assert_allclose(found.values, np.array([[1, 2], [2, 4]]) / 9, rtol=1e-12)


def test_strictly_dead_is_exactly_zero():
    found = lint(network(window(1)))
    assert (found["strictly_dead"], found["imbalance"], found["period"]) == (0.75, None, 2)


def test_each_direction_has_its_own_period():
    """Strides of 2 along rows alone: the graph's lattice has 4 rows and one column, in every kind of map."""
    model = network(nn.Sequential(nn.Conv2d(3, 4, 3, (2, 1), 1), nn.ReLU(), nn.Conv2d(4, 4, 3, (2, 1), 1)))
    found = lint(model)
    assert (found["period"], found["periods"], found["imbalance"]) == (4, [4, 1], 3)
    pictures = np.asarray(load_images("built-in", shape=model.input_shape, count=2).pixels)
    measured = energy(model, pictures)
    assert (measured.period, measured.periods) == (4, (4, 1))
    assert (fold(measured) == fold(measured)[:, :1]).all()
    assert (lint(network(window(3, padding=1)))["periods"]) == [2, 2]


def test_residual_branches_add_up():
    """Main branch 1, 2, 2, 4 ninths; the shortcut adds 1 at phase (0, 0), both over fan-in."""
    found = structural(network(Residual()))
    expected = np.array([[1 / 9 + 1, 2 / 9], [2 / 9, 4 / 9]])
    np.testing.assert_allclose(found.values, expected / expected.sum(), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "period", "ratio", "phases"),
    [
        ("resnet18", 32, None, {"2": 16 / 9, "4": 9 / 4}),
        ("resnet50", 32, None, {"2": 16 / 9, "4": 9 / 4}),
        ("densenet121", 4, 9 / 4, {"4": 9 / 4}),
        pytest.param("vgg16", 1, 1.0, {"1": 1.0}, marks=pytest.mark.long),
        ("convnext_tiny", 1, 1.0, {"1": 1.0}),
        pytest.param("vit_b_16", 1, 1.0, {"1": 1.0}, marks=pytest.mark.long),
        ("swin_v2_t", 1, 1.0, {"1": 1.0}),
    ],
)
def test_known_networks(name, period, ratio, phases):
    found = lint(load(f"torchvision:{name}"))
    assert found["period"] == period
    assert ratio is None or found["imbalance"] == pytest.approx(ratio, abs=1e-9)
    for fold_at, value in phases.items():
        assert found["phases"][fold_at] == pytest.approx(value, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5", "regnet_y_400mf"])
def test_gates_shuffles_and_groups_are_followed(name):
    assert lint(load(f"torchvision:{name}"))["imbalance"] > 5


def test_explicit_zero_padding_is_followed():
    """ZeroPad2d and then an unpadded window is the window with that padding on its left."""
    explicit = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2))
    np.testing.assert_allclose(
        structural(network(explicit)).values, structural(network(window(3, padding=0))).values, rtol=1e-12
    )
    assert structural(network(explicit)).values.argmax() == 0


def test_pretrained_network_with_same_padding():
    found = lint(load("examples/efficientnet_lite0.py:build"))
    assert found["phases"]["2"] == pytest.approx(4)
    assert found["phases"]["4"] == pytest.approx(5.0625)


@pytest.mark.parametrize(
    ("module", "words"),
    [(Squared(), "product of two activations.*layer `1`"), (Hidden(), "custom autograd function `Doubling`")],
)
def test_what_is_not_understood_is_named(module, words):
    with pytest.raises(UnsupportedOperationError, match=words):
        structural(network(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), module)))


def test_unknown_operation_inside_a_gate_does_no_harm():
    class Gated(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(torch.logsumexp(x, 1, keepdim=True))

    assert structural(network(nn.Sequential(window(3, padding=1), Gated()))).period == 2


@pytest.mark.slow
def test_squared_energy_at_initialisation_follows_the_structure():
    """RMS gradient ~ sqrt(N): correlation over the phases, 16 noise images, 8 probes, untrained ResNet-18."""
    model = load("torchvision:resnet18")
    noise = np.asarray(load_images("noise", shape=model.input_shape, count=16).pixels)
    model.settle(torch.from_numpy(noise))
    measured = energy(model, noise)
    squared = Contribution(values=measured.values**2, kind="energy", layer="output", period=32, images=16)
    exact = structural(model)
    for period in (2, 4, 8):
        r = np.corrcoef(fold(exact, period).ravel(), fold(squared, period).ravel())[0, 1]
        assert r > 0.99, f"period {period}"


def test_fold_of_a_flat_map_is_flat():
    assert imbalance(fold(structural(network(window(2))), 8)) == 1


@pytest.mark.parametrize(
    "arithmetic",
    [
        lambda x: x / 4,
        lambda x: 1 - x / 2,
        lambda x: torch.div(x, torch.full((), 3.0)),
        lambda x: 2 * x + x.mean((2, 3), keepdim=True),
        lambda x: x.mul(x.new_ones(16, 1, 1)).sub(0.5),
    ],
)
def test_arithmetic_is_followed(arithmetic):
    """Numbers and parameters scale a map or shift nothing; adding the picture's mean lifts all phases alike."""

    class Arithmetic(nn.Module):
        def forward(self, x):
            return arithmetic(x)

    found = structural(network(nn.Sequential(window(3, padding=1), Arithmetic())))
    np.testing.assert_allclose(found.values / found.values[0, 0], [[1, 2], [2, 4]], rtol=1e-12)


def test_division_by_one_number_of_the_picture_is_a_gate():
    """As where a network brings each picture to a standard deviation of 1 by itself."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = window(3, padding=1)

        def forward(self, x):
            return self.stack(x / x.std((1, 2, 3), keepdim=True))

    own, bare = (structural(network(module), "output") for module in (Own(), window(3, padding=1)))
    np.testing.assert_allclose(own.values, bare.values, rtol=1e-9)


def test_division_by_an_activation_is_named():
    class Ratio(nn.Module):
        def forward(self, x):
            return x / x.sum(1, keepdim=True)

    with pytest.raises(UnsupportedOperationError, match="division by an activation"):
        structural(network(nn.Sequential(window(3, padding=1), Ratio())))


class Written(nn.Module):
    """A branch that is added into the other one."""

    def __init__(self, add):
        super().__init__()
        self.first, self.last, self.add = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), add

    def forward(self, x):
        x = self.first(x).relu_()
        return self.last(self.add(nn.functional.avg_pool2d(x, 5, 1, 2), x))


@pytest.mark.parametrize("add", [lambda y, x: y.add_(x), lambda y, x: (y.add_(x), y)[1], lambda y, x: y.mul_(1) + x])
def test_what_is_written_in_place_is_followed(add):
    wanted, found = (network(Written(how)) for how in (lambda y, x: y + x, add))
    np.testing.assert_allclose(structural(found).values, structural(wanted).values, rtol=1e-12)
    assert receptive_field(found, "last") == receptive_field(wanted, "last")


class Forked(nn.Module):
    """Two branches; how they meet is told."""

    def __init__(self, meet):
        super().__init__()
        self.one, self.other, self.last = nn.Conv2d(3, 8, 1, 2), nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.meet = meet

    def forward(self, x):
        return self.meet(self.one(x), self.other(x), self.last)


def _written_behind_relu(a, b, last):
    torch.relu(a).add_(b)
    return last(a)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (_written_behind_relu, lambda a, b, last: last(a)),
        (lambda a, b, last: torch.sigmoid(a).mul_(b), lambda a, b, last: torch.sigmoid(a) * b),
        (lambda a, b, last: last(a.permute(0, 2, 3, 1).reshape(-1, 8).view(1, *a.shape[2:], 8).permute(0, 3, 1, 2)),)
        * 2,
    ],
)
def test_what_is_written_into_leaves_its_source_alone(written, plain):
    wanted, found = (network(Forked(how)) for how in (plain, written))
    np.testing.assert_allclose(structural(found).values, structural(wanted).values, rtol=1e-12)
    if written is _written_behind_relu:
        assert (structural(found).values == 0).any()
        assert receptive_field(found, "last") == receptive_field(wanted, "last")


def test_a_head_written_for_the_pictures_size_is_followed():
    """A map flattened by its number of features says what its mean over all positions says."""
    body = lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1))  # noqa: E731

    class Viewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = body(), nn.Linear(4 * 12 * 12, 5)

        def forward(self, x):
            return self.head(self.body(x).reshape(-1, 4 * 12 * 12))

    pooled = nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    found, wanted = (structural(network(m, shape=(3, 48, 48))).values for m in (Viewed(), pooled))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


class Windowed(nn.Module):
    """Means over windows of 7 x 7 positions, of a map that is filled up to whole windows."""

    def __init__(self):
        super().__init__()
        self.cut, self.head = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.cut(x)
        y = F.pad(y, (0, -y.shape[3] % 7, 0, -y.shape[2] % 7))
        rows, columns = y.shape[2] // 7, y.shape[3] // 7
        return self.head(y.reshape(1, 4, rows, 7, columns, 7).mean((3, 5)))


def test_windows_of_7_are_followed_on_a_torus_that_they_divide():
    found = structural(network(Windowed(), shape=(3, 96, 96)))
    assert (found.period, found.values.shape) == (1, (1, 1))


def test_a_network_that_no_torus_follows_is_followed_on_a_picture_of_its_own_size():
    """A table made for its patches is multiplied with all but the first token of each head."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.table = nn.Conv2d(3, 8, 4, 8), nn.Parameter(torch.rand(49, 4))

        def forward(self, x):
            y = self.patches(x).flatten(2).transpose(1, 2)
            heads = torch.cat([y.mean(1, keepdim=True), y], 1).unflatten(2, (2, 4)).transpose(1, 2)
            return (heads[:, :, 1:] * self.table).sum((1, 2))

    model, wanted = network(Tokens(), shape=(3, 56, 56)), np.zeros((8, 8))
    wanted[:4, :4] = 1 / 16
    with pytest.raises(NoTorusError, match=r"\(50\) must match the size of tensor b \(49\)"):  # of its own size
        on_some_torus(model, "output")
    assert structural(model).values == pytest.approx(wanted, rel=1e-12)


class Halo(nn.Module):
    """Blocks of 4 x 4 positions, each with the mean of its 6 x 6 surroundings."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x):
        y = self.body(x)
        around = F.pad(y, (1,) * 4).unfold(2, 6, 4).unfold(3, 6, 4).mean((4, 5))
        return self.head(around)


def test_unfolded_windows_are_an_average_pool():
    class Pooled(Halo):
        def forward(self, x):
            return self.head(F.avg_pool2d(self.body(x), 6, 4, 1))

    found, wanted = network(Halo()), network(Pooled())
    np.testing.assert_allclose(structural(found).values, structural(wanted).values, rtol=1e-12)
    np.testing.assert_allclose(reading(found), reading(wanted), rtol=1e-12)
    assert receptive_field(found, "output") == receptive_field(wanted, "output")


def test_a_torus_that_is_refused_without_a_word_has_a_reason():
    class Silent(nn.Module):
        def forward(self, x):
            if x.requires_grad:
                raise AssertionError
            return x

    with pytest.raises(InputError, match="cannot be followed on a torus: AssertionError; `last`"):
        structural(network(Silent()))


class Decoder(nn.Module):
    """A convolution at half the size, brought back by `mode`, beside the picture itself."""

    def __init__(self, **options):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(2, 1, 3, 1, 1)
        self.options = options

    def forward(self, x):
        coarse = F.interpolate(F.relu(self.down(x)), scale_factor=2, **self.options)
        return self.up(torch.cat([x, coarse], 1))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_resizing_inside_a_network_is_followed_exactly(mode):
    """The sum over the first kernel's nine taps, each alone, on a circle, through torch's own interpolation.

    The second kernel has independent weights on nine places of two channels, so each of its inputs counts nine times.
    """
    options = {"mode": mode} | ({"align_corners": False} if mode in ("bilinear", "bicubic") else {})
    each = torch.eye(9, dtype=torch.float64).view(9, 1, 3, 3)

    def coarse(x):
        y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), each / 3, stride=2)
        wide = F.interpolate(F.pad(y, (3, 3, 3, 3), mode="circular"), scale_factor=2, **options)
        return wide[..., 6:-6, 6:-6]

    rows = torch.autograd.functional.jacobian(coarse, torch.rand(1, 1, 8, 8, dtype=torch.float64), vectorize=True)
    wanted = (1 + rows.square().sum((0, 1, 2, 3, 4, 5))).numpy()[:2, :2]
    found = structural(network(Decoder(**options), shape=(1, 64, 64)))
    assert found.period == 2
    np.testing.assert_allclose(found.values, wanted / wanted.sum(), rtol=1e-9)


def test_the_case_of_a_bilinear_unet():
    """Path counts in float64: the lattice of bilinear_unet in the cases from the field."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(11, 1, 3, 1, 1)

        def forward(self, x):
            y = F.interpolate(F.relu(self.down(x)), scale_factor=2, mode="bilinear", align_corners=False)
            return self.up(torch.cat([x, y], 1))

    taps = np.array([0.25, 0.75, 0.75, 0.25])  # with which a coarse row is read by four fine ones
    coarse = (taps**2).sum() ** 2 * 8 / 27  # 8 channels of fan-in 27, read by each tap of `up`
    ninths = np.array([[1, 2], [2, 4]])  # how often a 3 x 3 kernel of stride 2 meets each phase
    wanted = 1 + ninths * coarse
    assert lint(network(Net()))["imbalance"] == pytest.approx(wanted.max() / wanted.min(), rel=1e-12)


class Fixed(nn.Module):
    """Resizes what it is given to a size of its own, by half."""

    def __init__(self, size):
        super().__init__()
        self.inner, self.size = window(3, padding=1), size

    def forward(self, x):
        return self.inner(F.interpolate(x, self.size, mode="bilinear"))


def test_a_network_that_resizes_to_its_own_size_is_followed_at_its_size():
    """As if the resizing were a step ahead of it; a torus of another size would change the ratio."""
    inside = structural(network(Fixed((24, 24)), shape=(3, 48, 48)))
    ahead = Network(
        window(3, padding=1),
        preprocessing=Preprocessing(input_shape=(3, 48, 48), steps=(Resize((24, 24), antialias=False),)),
    )
    np.testing.assert_allclose(fold(inside), fold(structural(ahead)), rtol=1e-12)
    oblong = structural(network(Fixed((24, 36)), shape=(3, 48, 72)))
    np.testing.assert_allclose(oblong.values, fold(inside) / fold(inside).sum(), rtol=1e-12)
    with pytest.raises(InputError, match="resizes to a size of its own"):
        structural(network(Fixed((24, 38)), shape=(3, 48, 72)))  # steps of 36 / 19 repeat nowhere inside


def test_aligned_corners_are_refused_by_name():
    """Their weights drift over the whole map and have no period."""
    with pytest.raises(UnsupportedOperationError, match="interpolate with align_corners"):
        structural(network(Decoder(mode="bilinear", align_corners=True), shape=(1, 64, 64)))
