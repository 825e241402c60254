"""Response maps: of linear networks the truth is known, and the quotient scan finds what the full scan finds."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, plain, window

from perturb.contribution import Options, full_scan, quotient_scan
from perturb.errors import InputError
from perturb.images import load_images

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def pictures():
    return np.asarray(load_images("noise", shape=SHAPE, count=12).pixels) * 0.4 + 0.1


@pytest.mark.parametrize("engine", ["dense", "incremental"])
def test_a_linear_network_responds_by_its_weights(pictures, engine):
    """||F(x + d e_p) - F(x)|| = d sqrt(sum of (sum over colours of the weights that p meets)^2), at any picture."""
    model = network(window(3, padding=1), shape=SHAPE)
    weight = model.module[0].weight.sum(1, keepdim=True).detach()
    impulses = torch.eye(1024).view(1024, 1, 32, 32)
    expected = torch.nn.functional.conv2d(impulses, weight, stride=2, padding=1).flatten(1).norm(dim=1).view(32, 32)
    found = full_scan(model, pictures[:2], "0", Options(level=0.3, engine=engine))
    np.testing.assert_allclose(found.values, (expected / expected.sum()).numpy(), rtol=1e-4)


def test_the_quotient_scan_agrees_with_the_full_one(pictures):
    """Borders included, at a tenth of the places and fewer."""
    model = network(plain(), shape=SHAPE)
    options = Options(level=0.3, engine="incremental", precision=1e-9)
    full, quotient = (scan(model, pictures, "3", options) for scan in (full_scan, quotient_scan))
    assert (full.kind, full.period, full.images) == ("response", 4, 12)
    assert np.corrcoef(full.values.ravel(), quotient.values.ravel())[0, 1] > 0.97


def test_the_quotient_scan_stops_when_it_is_precise(pictures):
    """Of a linear network every picture says the same."""
    model = network(window(3, padding=1), shape=SHAPE)
    assert quotient_scan(model, pictures, "0", Options(level=0.3, engine="incremental")).images == 4


def test_the_engine_changes_nothing(pictures):
    model = network(plain(), shape=SHAPE)
    dense, swift = (
        quotient_scan(model, pictures[:3], "3", Options(level=0.3, engine=engine))
        for engine in ("dense", "incremental")
    )
    np.testing.assert_allclose(swift.values, dense.values, rtol=1e-3)


def test_recomputed_densely_a_dead_pixel_is_exactly_dead(pictures):
    """Clean and changed pictures are rounded alike, in whatever batches they go."""
    torch.manual_seed(0)
    module = nn.Sequential(window(1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 256, 10))
    found = full_scan(network(module, shape=SHAPE), pictures[:1], "output", Options(level=0.01, engine="dense")).values
    assert (found[::2, ::2] > 0).all()
    assert not found[1::2].any()
    assert not found[:, 1::2].any()


def test_what_no_pixel_moves_is_an_error(pictures):
    model = network(window(1), shape=SHAPE)
    model.module[0].weight.zero_()
    with pytest.raises(InputError, match="no pixel moves"):
        quotient_scan(model, pictures, "0", Options(level=0.3, engine="dense"))
