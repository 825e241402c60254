"""Gradient maps against direct computation."""

import numpy as np
import pytest
import torch
from toys import SHAPE, network, plain, window

from perturb.contribution import centre, energy, fit_gaussian, target
from perturb.errors import InputError
from perturb.images import load_images


@pytest.fixture(scope="module")
def pictures():
    return load_images("noise", shape=SHAPE, count=5).pixels


def test_energy_estimates_the_jacobian_columns(pictures):
    """For a linear network S^2(p) is the sum of squared weights that p meets, at any picture."""
    module = window(3, padding=1, channels=64)
    squared = energy(network(module), pictures, "0", probes=200).values ** 2
    met = torch.nn.functional.conv_transpose2d(
        torch.ones(1, 64, 32, 32), module[0].weight.detach() ** 2, stride=2, padding=1, output_padding=1
    )
    expected = met.sum(1)[0].numpy()
    np.testing.assert_allclose(squared / squared.sum(), expected / expected.sum(), rtol=0.25)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batch_size_changes_nothing(pictures, batch):
    model = network(plain())
    for estimate in (lambda b: energy(model, pictures, probes=2, batch=b), lambda b: target(model, pictures, batch=b)):
        np.testing.assert_allclose(estimate(batch).values, estimate(3).values, rtol=1e-4, atol=1e-9)


def test_target_is_the_sum_of_rectified_channel_means(pictures):
    """Image by image, without letting gradients of several images cancel."""
    model = network(plain())
    total = 0
    for picture in pictures:
        x = torch.from_numpy(picture[None]).requires_grad_()
        y = model.module(x).flatten(1)[:, 7]
        (gradient,) = torch.autograd.grad(y.sum(), x)
        total = total + gradient[0].mean(0).relu()
    expected = total.double().numpy()
    np.testing.assert_allclose(
        target(model, pictures, output=7).values, expected / expected.sum(), rtol=1e-4, atol=1e-9
    )


def test_target_that_does_not_exist(pictures):
    with pytest.raises(InputError, match="outputs 0 to 2047"):
        target(network(plain()), pictures, output=5000)


def test_centre_sees_its_theoretical_receptive_field(pictures):
    """Two 3 x 3 kernels with stride 2 see at most 7 x 7 pixels around the central unit."""
    found = centre(network(plain()), pictures, "3").values
    rows, columns = np.nonzero(found)
    assert np.ptp(rows) <= 6
    assert np.ptp(columns) <= 6


def test_gaussian_fit_recovers_its_parameters():
    row, column = np.indices((60, 80))
    values = np.exp(-0.5 * (((row - 25) / 4) ** 2 + ((column - 50) / 9) ** 2))
    fit = fit_gaussian(values)
    assert (fit.sigma_row, fit.sigma_column, fit.r_squared) == pytest.approx((4, 9, 1), rel=1e-3)
