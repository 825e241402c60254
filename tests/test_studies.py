"""What clean shots teach is learnt once in a run, and is what each check alone would have learnt."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window
from toyseen import PINNED

from perturb.blocks import Block
from perturb.evaluators.change import ChangeDetector
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.model import Network
from perturb.observe import Experimenter, observe
from perturb.perturbations.patches import Pixel
from perturb.studies import Studies
from perturb.tasks.micro import Presence
from perturb.trials import design, only

SHOTS = 4


@pytest.fixture
def model() -> Network:
    torch.manual_seed(0)
    return network(nn.Sequential(window(3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 4, 3, stride=2)))


@pytest.fixture
def shown(model, monkeypatch) -> list[tuple[int, int]]:
    """How many pictures the model was shown, and of how many layers it was asked, call by call."""
    calls, one, along = [], model.measure, model.measure_layers

    def measure(pictures, layer):
        calls.append((len(pictures), 1))
        return one(pictures, layer)

    def measure_layers(pictures, layers):
        calls.append((len(pictures), len(layers)))
        return along(pictures, layers)

    monkeypatch.setattr(model, "measure", measure)
    monkeypatch.setattr(model, "measure_layers", measure_layers)
    return calls


def experimenter(model, studies, layer="0", **changes):
    return Experimenter(
        look=Look(model=model, layer=layer),
        evaluator=ChangeDetector(layer=layer, shots=SHOTS, **changes),
        task=Presence(perturbation=Pixel(), level=1.0),
        levels=(0.5,),
        point=PINNED,
        threshold=None,
        studies=studies,
    )


def block(images, purpose="test", seed=0):
    trials = design(images, anywhere(2), size=1, pairs=2, seed=seed, purpose=purpose)
    return Block(images=images, trials=trials)


def alike(one, other):
    np.testing.assert_array_equal(one.evidence, other.evidence)
    np.testing.assert_array_equal(one.threshold, other.threshold)


def test_another_check_and_another_level_take_the_shots_that_were_studied(leaves, model, shown):
    few, studies = only(leaves, np.arange(3)), Studies()
    first = observe(block(few), experimenter(model, studies))
    shown.clear()
    second = observe(block(few, "other"), replace(experimenter(model, studies), levels=(0.25,)))
    assert SHOTS not in [count for count, _ in shown]
    np.testing.assert_array_equal(second.threshold, first.threshold)
    alike(second, observe(block(few, "other"), replace(experimenter(model, Studies()), levels=(0.25,))))


def test_layers_of_one_run_are_studied_in_one_pass(leaves, model, shown):
    """The rectification behind layer 0 works in place: what was learnt of layer 0 must not change with it."""
    few = only(leaves, np.arange(3))
    alone = [observe(block(few), experimenter(model, Studies(), layer)) for layer in ("0", "2")]
    shown.clear()
    studies = Studies([experimenter(model, Studies(), layer).evaluator for layer in ("0", "2")])
    together = [observe(block(few), experimenter(model, studies, layer)) for layer in ("0", "2")]
    assert [call for call in shown if call[0] == SHOTS] == [(SHOTS, 2)] * 3
    for one, other in zip(alone, together, strict=True):
        alike(one, other)


def test_one_run_of_a_network_gives_each_layer_as_runs_of_its_own_do(model):
    pictures = torch.rand(5, *model.input_shape)
    model.batch = 2
    found = model.measure_layers(pictures, ["2", "0", "1"])
    for layer, output in zip(["2", "0", "1"], found, strict=True):
        torch.testing.assert_close(output, model.measure(pictures, layer), rtol=0, atol=0)


@pytest.mark.parametrize("what", ["noise", "shots", "layer", "picture", "crop", "seed", "model"])
def test_what_the_shots_or_the_reading_depend_on_makes_another_study(leaves, model, shown, what):
    few, studies = only(leaves, np.arange(1)), Studies()
    observe(block(few), experimenter(model, studies))
    by, other, seed = experimenter(model, studies), few, 0
    if what in ("noise", "shots"):
        by = replace(by, evaluator=replace(by.evaluator, **{what: {"noise": 0.03, "shots": 3}[what]}))
    elif what == "layer":
        by = experimenter(model, studies, "1")
    elif what == "picture":
        pixels = few.pixels.copy()
        pixels[0, 0, 0, 0] = 1 - pixels[0, 0, 0, 0]
        other = replace(few, pixels=pixels)
    elif what == "crop":
        other = replace(few, crop=few.crop + 1)
    elif what == "seed":
        seed = 1
    else:
        model.digest = "another"
    shown.clear()
    observe(block(other, seed=seed), by)
    assert by.evaluator.shots in [count for count, _ in shown]


def test_a_run_without_room_keeps_nothing_and_finds_the_same(leaves, model, shown):
    few = only(leaves, np.arange(2))
    small, large = Studies(room=100), Studies()
    for studies in (small, large):
        alike(observe(block(few), experimenter(model, studies)), observe(block(few), experimenter(model, Studies())))
    shown.clear()
    observe(block(few), experimenter(model, small))
    assert [count for count, _ in shown].count(SHOTS) == 2


class Unwritten(ChangeDetector):
    """Knows something that cannot be pickled."""

    def study(self, outputs):
        golden, evidence = super().study(outputs)
        return golden, lambda: evidence


def test_what_cannot_be_written_is_learnt_again(leaves, model, shown):
    still, studies, evaluator = leaves.pixels[0], Studies(), Unwritten(layer="0", shots=SHOTS)
    found = [studies.of(Look(model=model, layer="0"), evaluator, still, name="a", seed=0) for _ in range(2)]
    assert torch.equal(found[0].known.mean, found[1].known.mean)
    assert [count for count, _ in shown] == [SHOTS, SHOTS]


def test_another_process_keeps_studies_of_its_own(leaves, model, shown):
    evaluator = ChangeDetector(layer="0", shots=SHOTS)
    studies = Studies([evaluator])
    other = pickle.loads(pickle.dumps(studies))
    assert other._asked == [evaluator]
    for each in (studies, studies, other):
        each.of(Look(model=model, layer="0"), evaluator, leaves.pixels[0], name="a", seed=0)
    assert [count for count, _ in shown] == [SHOTS, SHOTS]
