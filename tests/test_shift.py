"""Translation consistency against direct computation and networks that cannot move."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import SHAPE, network, plain, window

from perturb.images import load_images
from perturb.stories.shift import shift


def test_change_and_labels_are_those_of_the_moved_crops():
    model = network(nn.Sequential(plain(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    found = shift(model, "noise", span=4, count=5)
    pixels = torch.from_numpy(np.asarray(load_images("noise", shape=(3, 68, 68), count=5).pixels))
    still, moved = (model.measure(pixels[:, :, r : r + 64, c : c + 64]) for r, c in ((0, 0), (1, 3)))
    apart = np.mean([(a - b).abs().sum() for i, a in enumerate(still) for j, b in enumerate(still) if i != j])
    assert found.apart == pytest.approx(apart, rel=1e-4)
    assert found.lattice[1][3] == pytest.approx(float((still - moved).abs().sum(1).mean()) / apart, rel=1e-4)
    assert [row.pixels for row in found.by_offset] == [1, 2, 3, 4]
    assert [row.pixels for row in found.by_phase] == [1, 2, 4]
    assert found.by_offset[0].equal.trials == 5 * 3
    assert found.by_phase[2].low <= found.by_phase[2].change <= found.by_phase[2].high


def test_a_mean_hardly_moves_and_a_sampled_lattice_does():
    """One pixel in 16 of noise: another phase is another picture. The mean of all pixels stays, but for the border."""
    lattice = network(nn.Sequential(nn.Conv2d(3, 16, 1, 16), nn.Flatten()), shape=SHAPE)
    mean = network(nn.Sequential(window(1, 1), nn.AvgPool2d(16), nn.Flatten()), shape=SHAPE)
    sampled, steady = (shift(model, "noise", span=4, count=4) for model in (lattice, mean))
    assert sampled.by_offset[0].change == pytest.approx(1, abs=0.15)
    assert steady.by_offset[0].change < 0.5
    assert steady.by_offset[3].change > steady.by_offset[0].change
    assert sampled.lattice[0][0] == 0
    assert sampled.by_offset[0].equal.value < 0.3
