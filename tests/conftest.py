import os
from dataclasses import replace

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each, for the processes that tests start too; ahead of torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import torch

from perturb.images import load_images
from perturb.records import Images

pytest_plugins = ["pytester"]
hypothesis.settings.register_profile("untimed", deadline=None)  # no test times anything
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Networks that a test builds have the same weights in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def leaves() -> Images:
    """40 independent dead-leaves pictures, 64 x 64."""
    images = load_images("dead-leaves", shape=(3, 64, 64), count=40)
    return replace(images, pixels=np.asarray(images.pixels))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
