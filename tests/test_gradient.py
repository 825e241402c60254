"""Gradient maps against direct computation."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from toys import SHAPE, network, plain, window

from perturb.contribution import Options, centre, energy, fit_gaussian, target
from perturb.contribution.gradient import _seen_by_centre
from perturb.errors import InputError, UsageError
from perturb.images import load_images


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(2, 3)


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.fft2(x)


@pytest.fixture(scope="module")
def pictures():
    return np.asarray(load_images("noise", shape=SHAPE, count=5).pixels)


def test_energy_estimates_the_jacobian_columns(pictures):
    """For a linear network S^2(p) is the sum of squared weights that p meets, at any picture."""
    module = window(3, padding=1, channels=64)
    squared = energy(network(module), pictures, "0", Options(probes=200)).values ** 2
    met = torch.nn.functional.conv_transpose2d(
        torch.ones(1, 64, 32, 32), module[0].weight.detach() ** 2, stride=2, padding=1, output_padding=1
    )
    expected = met.sum(1)[0].numpy()
    np.testing.assert_allclose(squared / squared.sum(), expected / expected.sum(), rtol=0.25)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batch_size_changes_nothing(pictures, batch):
    model = network(plain())
    for estimate in (energy, target):
        few, some = (estimate(model, pictures, options=Options(probes=2, batch=b, output=1)).values for b in (batch, 3))
        np.testing.assert_allclose(few, some, rtol=1e-4, atol=1e-9)


def test_target_is_the_sum_of_rectified_channel_means(pictures):
    """Image by image, without letting gradients of several images cancel."""
    model = network(nn.Sequential(plain(), nn.Flatten()))
    total = 0
    for picture in pictures:
        x = torch.from_numpy(picture[None]).requires_grad_()
        y = model.module(x)[:, 7]
        (gradient,) = torch.autograd.grad(y.sum(), x)
        total = total + gradient[0].mean(0).relu()
    expected = total.double().numpy()
    np.testing.assert_allclose(
        target(model, pictures, options=Options(output=7)).values, expected / expected.sum(), rtol=1e-4, atol=1e-9
    )


@pytest.mark.parametrize("kind", ["target", "centre"])
def test_the_authors_formula_by_finite_differences(kind):
    """Sum over images of relu(mean_c d y / d x_c), without autograd: y moved up and down by each pixel, in float64.

    y is each image's largest output, or the channel mean of the central unit; ELU has no kink that a step could cross.
    """
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ELU(), nn.Conv2d(6, 4, 3, 1, 1), nn.Flatten(), nn.Linear(100, 5)
    )
    model = network(module, shape=(3, 10, 10))
    images = np.asarray(load_images("noise", shape=(3, 10, 10), count=3).pixels)
    exact, total, step = copy.deepcopy(module).double(), np.zeros((10, 10)), 1e-5

    def score(x: torch.Tensor, label: int) -> float:
        return float(exact(x)[0, label] if kind == "target" else exact[:3](x)[0, :, 2, 2].mean())

    with torch.no_grad():
        for image in images:
            x = torch.from_numpy(image[None]).double()
            label = int(exact(x).argmax())
            for row, column in np.ndindex(10, 10):
                slopes = []
                for channel in range(3):
                    up, down = x.clone(), x.clone()
                    up[0, channel, row, column] += step
                    down[0, channel, row, column] -= step
                    slopes.append((score(up, label) - score(down, label)) / (2 * step))
                total[row, column] += max(0.0, sum(slopes) / 3)
    found = target(model, images) if kind == "target" else centre(model, images, "2")
    np.testing.assert_allclose(found.values, total / total.sum(), rtol=1e-3, atol=1e-7)


def test_target_that_does_not_exist(pictures):
    with pytest.raises(UsageError, match="outputs 0 to 7"):
        target(network(plain()), pictures, options=Options(output=8))


def test_the_target_of_a_map_is_a_channel_that_is_named(pictures):
    """Its mean: the largest number of a map is of one position, which sees a part of the picture."""
    model = network(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1)))
    model.module[0].weight[2].abs_()
    x = torch.from_numpy(pictures[:1]).requires_grad_()
    (gradient,) = torch.autograd.grad(model.module(x)[0, 2].mean(), x)
    expected = gradient[0].mean(0).relu().double().numpy()
    found = target(model, pictures[:1], options=Options(output=2)).values
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-4, atol=1e-9)
    with pytest.raises(UsageError, match=r"a map of 8 x 16 x 16.*--target CHANNEL, 0 to 7"):
        target(network(plain()), pictures)


def test_centre_sees_its_theoretical_receptive_field(pictures):
    """Two 3 x 3 kernels with stride 2 see at most 7 x 7 pixels around the central unit."""
    found = centre(network(plain()), pictures, "3").values
    rows, columns = np.nonzero(found)
    assert np.ptp(rows) <= 6
    assert np.ptp(columns) <= 6


@pytest.mark.parametrize("gated", [False, True])
def test_centre_on_a_crop_is_centre_on_the_whole(pictures, gated, monkeypatch):
    """Seven of 64 pixels are seen; behind a gate that sees all, the whole picture is taken."""
    model = network(nn.Sequential(*([Gate()] if gated else []), plain()))
    layer = "1.3" if gated else "0.3"
    rows, columns, _ = _seen_by_centre(model, pictures[:1], layer)
    assert (rows == columns == slice(None)) == gated
    found = centre(model, pictures, layer).values
    monkeypatch.setattr("perturb.contribution.gradient.WORTH_CROPPING", 0.0)
    np.testing.assert_allclose(found, centre(model, pictures, layer).values, rtol=1e-4, atol=1e-9)


class Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(9 * x.mean((2, 3), keepdim=True))


class Joining(nn.Module):
    """It takes pictures of even sides alone."""

    def __init__(self):
        super().__init__()
        self.body, self.up = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)), nn.Upsample(scale_factor=2)
        self.last = nn.Conv2d(7, 4, 3, padding=1)

    def forward(self, x):
        return self.last(torch.cat([x, self.up(self.body(x))], 1))


def test_a_network_that_takes_no_crop_is_asked_with_the_whole_picture(pictures):
    torch.manual_seed(0)
    model = network(Joining())
    with pytest.raises(InputError, match="Sizes of tensors must match"):
        model.measure(torch.rand(1, 3, 9, 9))
    found = centre(model, pictures, "last")
    assert found.values[24:40, 24:40].sum() == pytest.approx(1)


@pytest.mark.parametrize("ahead", [nn.Upsample(scale_factor=2), Turned()])
def test_the_centre_of_a_map_without_a_stride_in_pixels(ahead, pictures):
    """Enlarged, two positions lie on one pixel; turned, rows are columns: no crop in whole strides shows the unit."""
    model = network(nn.Sequential(ahead, nn.Conv2d(3, 4, 3, padding=1)))
    found = centre(model, pictures, "1").values
    x = torch.from_numpy(pictures).requires_grad_()
    y = model.propagate(model.normalise(x), "1")
    (wanted,) = torch.autograd.grad(y[:, :, y.shape[2] // 2, y.shape[3] // 2].mean(1).sum(), x)
    wanted = wanted.double().mean(1).relu().sum(0).numpy()
    np.testing.assert_allclose(found / found.max(), wanted / wanted.max(), atol=1e-5)


def test_weights_that_are_all_0_are_named(pictures):
    module = plain()
    nn.init.zeros_(module[3].weight)
    with pytest.raises(InputError, match=r"zero everywhere: the weights `3.weight` are all 0; load trained ones"):
        energy(network(module), pictures)


def test_complex_numbers_have_no_map(pictures):
    with pytest.raises(InputError, match="`output` gives complex numbers"):
        energy(network(nn.Sequential(nn.Conv2d(3, 4, 3), Spectrum())), pictures)


def test_the_centre_of_a_map_of_one_row():
    model = network(plain(), shape=(3, 4, 16))
    assert model.measure(torch.rand(1, 3, 4, 16), "3").shape[-2:] == (1, 4)
    found = centre(model, np.random.default_rng(0).random((2, 3, 4, 16), dtype=np.float32), "3")
    assert found.values.shape == (4, 16)


def test_gaussian_fit_recovers_its_parameters():
    row, column = np.indices((60, 80))
    values = np.exp(-0.5 * (((row - 25) / 4) ** 2 + ((column - 50) / 9) ** 2))
    fit = fit_gaussian(values)
    assert (fit.sigma_row, fit.sigma_column, fit.r_squared) == pytest.approx((4, 9, 1), rel=1e-3)


class Crop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 16:48, 16:48]


def test_the_period_is_the_strides_whatever_the_network_crops(pictures):
    """Of 64 rows 32 are seen, at stride 4: sizes alone would say 8."""
    model = network(nn.Sequential(Crop(), plain()))
    assert model.stride_of("1") == 8
    assert energy(model, pictures).period == centre(model, pictures, "1").period == 4


def test_a_network_without_feature_maps_is_told_its_period(pictures):
    model = network(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5)))
    with pytest.raises(UsageError, match="say which period"):
        target(model, pictures)
    assert target(model, pictures, options=Options(period=2)).period == 2
    assert target(network(plain()), pictures, options=Options(period=8, output=0)).period == 8  # what is given counts
