"""A model leaves the process as it found it, whatever it does and wherever it fails."""

import os
import random

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window

from perturb import BlackBox, Preprocessing, load
from perturb.errors import InputError
from perturb.incremental import choose_engine
from perturb.surroundings import Apart, unchanged

SHAPE = (3, 16, 16)
LEAKS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16).__enter__(),
    "autocast dtype": lambda: torch.set_autocast_dtype("cpu", torch.float16),
    "autocast cache": lambda: torch.set_autocast_cache_enabled(False),
    "grad mode": lambda: torch._C._set_grad_enabled(not torch.is_grad_enabled()),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "cuDNN": lambda: setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark),
    "torch's generator": lambda: torch.manual_seed(5),
    "NumPy's generator": lambda: np.random.seed(5),  # noqa: NPY002
    "Python's generator": lambda: random.seed(5),
    "floating-point errors": lambda: np.seterr(all="raise"),
    "folder": lambda: os.chdir("/"),
}


def state():
    """What a leak would change, as text."""
    autocast = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()
    torch.autocast_increment_nesting()
    drawn = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    return str(
        (
            *autocast,
            torch.autocast_decrement_nesting(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            *drawn,
            np.geterr(),
            os.getcwd(),
        )
    )


class Leaks(nn.Module):
    def __init__(self, leak):
        super().__init__()
        self.stack, self.leak = window(3, padding=1), leak

    def forward(self, x):
        y = self.stack(x)
        self.leak()
        return y


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_one_and_is_put_back(name):
    with unchanged():
        before, drawn = state(), (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002
        with Apart()():
            LEAKS[name]()
            assert state() != before
        assert state() == before
        assert torch.equal(drawn[0], torch.get_rng_state())


@pytest.mark.parametrize("name", LEAKS)
def test_a_model_leaves_the_process_as_it_was(name):
    pictures, before = torch.rand(2, *SHAPE), state()
    model = network(Leaks(LEAKS[name]), shape=SHAPE)
    assert state() == before
    model.measure(pictures)
    model.measure(pictures, "stack.0")
    model.propagate(model.normalise(pictures).requires_grad_(), "output", folded=True)
    model.settle(pictures)
    assert state() == before
    choose_engine(model, "output", "auto")
    assert state() == before
    BlackBox(Leaks(LEAKS[name]), preprocessing=Preprocessing(input_shape=SHAPE)).measure(pictures)
    assert state() == before


@pytest.mark.parametrize("name", LEAKS)
def test_a_model_that_fails_leaves_the_process_as_it_was(name):
    def fail():
        LEAKS[name]()
        raise ValueError("enough")

    before = state()
    with pytest.raises(InputError, match="enough"):
        network(Leaks(fail), shape=SHAPE)
    assert state() == before


def test_a_trace_that_fails_leaves_no_autocast():
    """The engine runs what enters autocast, and stops at the operation ahead of what leaves it."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = window(3, padding=1)

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.stack(x).float().cumsum(2)

    before = state()
    with pytest.warns(UserWarning, match="cannot be evaluated incrementally"):
        assert choose_engine(network(Mixed(), shape=SHAPE), "output", "auto") is None
    assert state() == before


def test_a_factory_leaves_the_process_as_it_was(tmp_path):
    (tmp_path / "net.py").write_text(
        "import os, random, numpy, torch\n"
        "torch.set_default_dtype(torch.float64)\n"
        "def build():\n"
        "    os.chdir('/'); random.seed(3); numpy.random.seed(3); torch.set_grad_enabled(False)\n"
        "    return lambda x: x.mean((1, 2, 3))\n"
    )
    before = state()
    load(f"{tmp_path / 'net.py'}:build")
    assert state() == before


def test_random_numbers_of_a_model_go_on_from_run_to_run():
    """Put back between two runs, they would be the same ones, and a model that draws would look as if it did not."""
    apart, drawn = Apart(), []
    for _ in range(2):
        with apart():
            drawn.append((float(torch.rand(())), float(np.random.rand()), random.random()))  # noqa: NPY002
    assert all(first != second for first, second in zip(*drawn, strict=True))
    with Apart()():
        assert (float(torch.rand(())), float(np.random.rand()), random.random()) == drawn[0]  # noqa: NPY002
