"""A network that takes a part of its picture, however that is written."""

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from torch import nn
from torch.nn import functional as F
from toys import network

from perturb.contribution import reading, receptive_field, structural
from perturb.contribution.bordered import unread_share

SIDE, TOP, LEFT = 96, 25, 22  # 48 x 48 pixels of the picture, from here
ROWS, COLUMNS = torch.arange(TOP, TOP + 48), torch.arange(LEFT, LEFT + 48)


def split_by(cut):
    return lambda x: cut(cut(x, TOP, 2)[1], LEFT, 3)[1]


def mask(x):
    there = torch.arange(SIDE)
    rows = x[:, :, (there >= TOP) & (there < TOP + 48)]
    return rows[..., LEFT : LEFT + 48]


CROPS = {
    "ellipsis": lambda x: x[..., TOP : TOP + 48, LEFT : LEFT + 48],
    "from the end": lambda x: x[:, :, TOP : TOP + 48 - SIDE, LEFT : LEFT + 48 - SIDE],
    "two steps": lambda x: x[:, :, 12:, 10:][:, :, TOP - 12 : TOP + 36, LEFT - 10 : LEFT + 38],
    "narrow": lambda x: torch.narrow(x.narrow(2, TOP, 48), -1, LEFT, 48),
    "negative padding": lambda x: F.pad(x, (-LEFT, LEFT + 48 - SIDE, -TOP, TOP + 48 - SIDE)),
    "torchvision": lambda x: TF.crop(x, TOP, LEFT, 48, 48),
    "index_select": lambda x: x.index_select(2, ROWS).index_select(3, COLUMNS),
    "indices": lambda x: x[:, :, ROWS][..., COLUMNS.tolist()],
    "a grid of indices": lambda x: x[:, :, ROWS[:, None], COLUMNS],
    "split": split_by(lambda x, at, dim: x.split([at, 48, SIDE - 48 - at], dim)),
    "tensor_split": split_by(lambda x, at, dim: torch.tensor_split(x, (at, at + 48), dim)),
    "mask": mask,
    "unbind": lambda x: torch.stack(x.unbind(2)[TOP : TOP + 48], 2)[..., LEFT : LEFT + 48],
    "one dimension more": lambda x: x[None, :, :, TOP : TOP + 48, LEFT : LEFT + 48][0],
}


class Cropped(nn.Module):
    def __init__(self, crop, stride):
        super().__init__()
        self.crop = crop
        self.stack = nn.Sequential(nn.Conv2d(3, 8, 3, stride, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride, 1))

    def forward(self, x):
        return self.stack(self.crop(x))


def cropped(name, stride):
    plain = lambda x: x[:, :, TOP : TOP + 48, LEFT : LEFT + 48]  # noqa: E731
    return network(Cropped(CROPS.get(name, plain), stride), shape=(3, SIDE, SIDE))


@pytest.mark.slow
@pytest.mark.parametrize("name", CROPS)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_crop_only_moves_the_lattice(name, stride):
    """By closed form for stride 1, where nothing repeats, and as a plain slice does for stride 2."""
    model, plain = cropped(name, stride), cropped("slice", stride)
    found = structural(model)
    assert found.period == stride**2
    np.testing.assert_allclose(found.values, structural(plain).values, rtol=1e-9)
    values = reading(model)
    assert unread_share(values) == 0.75
    assert np.argwhere(values).min(0).tolist() == [TOP, LEFT]
    assert receptive_field(model, "output") == receptive_field(plain, "output")


def test_the_lattice_of_a_crop_lies_where_the_crop_begins():
    """3 x 3 with stride 2 and padding 1 reads odd places of what it is given more often: from 25 and 22 on."""
    model = network(Cropped(CROPS["indices"], 2), shape=(3, SIDE, SIDE))
    model.module.stack = model.module.stack[:1]
    row, column = np.unravel_index(structural(model).values.argmax(), (2, 2))
    assert ((row - TOP) % 2, (column - LEFT) % 2) == (1, 1)
