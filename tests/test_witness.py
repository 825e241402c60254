"""A model with a state, or whose pictures meet in a batch, is found on the judged pictures."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window

from perturb import BlackBox, Preprocessing
from perturb.errors import InputError
from perturb.images import load_images
from perturb.plan import pictures_for
from perturb.stories.qualify import Bench, Context, qualify
from perturb.stories.witness import PATIENCE, witness
from perturb.suite import parse_suite

SHAPE = (3, 16, 16)
SUITE = """
name = "toy"
[images]
source = "noise"
count = 6
[map]
kind = "structural"
[evaluator]
layer = "stack.0"
[[check]]
name = "pixel"
perturbation = { kind = "pixel" }
level = 0.5
pairs = 1
claim = { at_most = 0.2 }
"""


class Calls(nn.Module):
    """Features of a picture, changed by a function of (features, calls so far, picture)."""

    def __init__(self, change):
        super().__init__()
        self.stack, self.change, self.calls = window(3, padding=1), change, 0

    def forward(self, x):
        self.calls += 1
        return self.change(self.stack(x), self.calls, x)


def pictures():
    """Brighter than the noise on which a model is tried when it is loaded."""
    return 0.5 + 0.5 * np.asarray(load_images("noise", shape=SHAPE, count=5).pixels)


def bright(x):
    return x.mean() > 0.65


STATES = {
    "draws at bright pictures": lambda y, calls, x: y + 1e-3 * torch.rand(()) if bright(x) else y,
    "meets at bright pictures": lambda y, calls, x: y - 1e-3 * y.mean() if bright(x) else y,
    "sorts at bright pictures": lambda y, calls, x: y.sort(0).values if bright(x) else y,
    "grows at bright pictures": lambda y, calls, x: y * (1 + 1e-4 * calls) if bright(x) else y,
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(
    "kind", [network, lambda m, shape: BlackBox(m, preprocessing=Preprocessing(input_shape=shape))]
)
def test_what_only_judged_pictures_show(name, kind):
    model = kind(Calls(STATES[name]), shape=SHAPE)
    with pytest.raises(InputError, match=r"two answers|in a batch with others"):
        witness(model, pictures(), ["output"])


def test_a_plain_model_passes():
    model = network(Calls(lambda y, calls, x: y), shape=SHAPE)
    seen = witness(model, pictures(), ["output", "stack.0"])
    seen.confirm_patiently(model)


def test_a_network_that_changes_later_is_asked_again():
    """After 60 runs, of which the engine makes few."""
    model = network(Calls(lambda y, calls, x: y if calls < 60 else -y), shape=SHAPE)
    seen = witness(model, pictures(), ["output"])
    seen.confirm(model)
    assert PATIENCE > 60
    with pytest.raises(InputError, match="keeps a state"):
        seen.confirm_patiently(model)


@pytest.mark.parametrize(
    "meet",
    [
        lambda y, calls, x: y + 1e-3 * y.mean(0, keepdim=True),
        lambda y, calls, x: y.flip(0),
        lambda y, calls, x: y / y.abs().amax() * 10,
        lambda y, calls, x: y.cumsum(0),
        lambda y, calls, x: torch.fake_quantize_per_tensor_affine(y, float(y.abs().max()) / 127, 0, -128, 127),
    ],
)
def test_a_small_leak_within_a_batch_is_found_when_a_model_is_loaded(meet):
    with pytest.raises(InputError, match=r"f\(batch\)\[i\] is not f\(x_i\)"):
        network(Calls(meet), shape=SHAPE)


def test_a_network_that_multiplies_rounding_is_compared_in_float64():
    """Its answer turns around for a unit in the last place, and yet is a function of the picture."""

    class Chaotic(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = window(3, padding=1)

        def forward(self, x):
            rounding = 1 + 1e-7 * len(x) if x.dtype == torch.float32 else 1
            return torch.sin(1e6 * self.stack(x) * rounding)

    assert network(Chaotic(), shape=SHAPE).form.several


def test_a_state_behind_the_measured_layer_is_found():
    """The features that are measured come before what changes."""
    suite = parse_suite(SUITE, "toy")
    model = network(Calls(lambda y, calls, x: y if calls < 60 else -y), shape=SHAPE)
    bench = Bench(pictures=pictures_for(suite, SHAPE), controls=())
    with pytest.raises(InputError, match="`output` gives two answers"):
        qualify(model, suite, Context(bench=bench))
