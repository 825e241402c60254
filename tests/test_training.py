"""Training: what is shown, what is kept, what comes out."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window

from perturb import load
from perturb.errors import InputError
from perturb.images import load_images, split
from perturb.perturbations.patches import Box
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Presence
from perturb.training import RECIPES, Recipe
from perturb.training.head import fresh, with_head
from perturb.training.lessons import Lessons
from perturb.training.linear import linear_head
from perturb.training.sgd import TrainingSetup, train

RED = Presence(perturbation=Box(size=4, mode="replace", colour=(1.0, 0.0, 0.0)), level=1.0)
QUICK = Recipe(epochs=4, batch=16, rate=0.05)


def silent(done, note=""):
    pass


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def lessons():
    images = load_images("dead-leaves", shape=(3, 32, 32), count=40)
    return [Lessons(part, RED) for part in split(images, share=0.7, seed=0)]


def small():
    """With dropout and batch normalisation: randomness and statistics must be resumed too."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    return network(nn.Sequential(body, nn.Dropout(0.2), nn.Linear(8, 7)), shape=(3, 32, 32))


def trained(lessons, *, seed=0, keep=None, tick=silent, recipe=QUICK):
    model = small()
    module = with_head(model, 2, seed=seed)
    return train(module, model, setup(lessons, recipe, seed), keep=keep, tick=tick), module


def setup(lessons, recipe=QUICK, seed=0):
    return TrainingSetup(lessons=lessons[0], validation=lessons[1], recipe=recipe, seed=seed)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("batches", [3, 8, 9])
def test_killed_and_resumed_gives_the_same_weights(lessons, tmp_path, batches):
    """In the middle of the first epoch, at the end of the second, after it."""
    done, whole = trained(lessons)
    left = [batches]

    def kill(steps, note=""):
        left[0] -= steps
        if left[0] < 0:
            raise KilledError

    with pytest.raises(KilledError):
        trained(lessons, keep=tmp_path, tick=kill)
    heard = []
    again, resumed = trained(lessons, keep=tmp_path, tick=lambda steps, note="": heard.append(steps))
    assert same(whole, resumed)
    assert (again.best_epoch, again.accuracy, again.loss) == (done.best_epoch, done.accuracy, done.loss)
    assert sum(heard) == 4 * 4  # batches: those done before are told at once
    assert not list(tmp_path.glob(".*"))


def test_a_finished_training_is_not_done_again(lessons, tmp_path):
    _, first = trained(lessons, keep=tmp_path)
    heard = []
    _, again = trained(lessons, keep=tmp_path, tick=lambda steps, note="": heard.append(steps))
    assert heard == [16]
    assert same(first, again)
    trained(lessons, keep=tmp_path, recipe=Recipe(epochs=1))
    trained(lessons, keep=tmp_path, seed=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_foreign_file_is_refused_by_name(lessons, tmp_path):
    trained(lessons, keep=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match=f"{path.name}` is no checkpoint"):
        trained(lessons, keep=tmp_path)


def test_the_caller_keeps_its_randomness_and_its_model(lessons):
    model = small()
    before = copy.deepcopy(model.module)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    train(with_head(model, 2, seed=0), model, setup(lessons), keep=None, tick=silent)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(before, model.module)


def test_it_learns_and_keeps_the_best_epoch(lessons):
    notes = []
    recipe = Recipe(epochs=12, batch=16, rate=0.1)
    done, module = trained(lessons, tick=lambda steps, note="": notes.append(note), recipe=recipe)
    assert done.accuracy > 0.9
    assert notes[-1] == f"epoch 12/12, loss {done.loss:.3f}, accuracy {done.accuracy:.3f}"
    assert same(module, trained(lessons, recipe=recipe)[1])
    assert not module.training


class Viewed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 5, 4), nn.Linear(4 * 7 * 7, 2)

    def forward(self, x):
        return self.head(self.conv(x).relu().view(len(x), -1))


def test_a_network_that_flattens_by_view_is_trained(lessons):
    model = network(Viewed(), shape=(3, 32, 32))
    module = with_head(model, 2, seed=0)
    assert train(module, model, setup(lessons), keep=None, tick=silent).epochs == QUICK.epochs


def test_a_training_that_diverges_is_an_error(lessons):
    with pytest.raises(InputError, match="diverged in epoch"):
        trained(lessons, recipe=Recipe(epochs=3, batch=16, rate=1e30))


def test_the_papers_recipe():
    paper = RECIPES["paper"]
    assert (paper.epochs, paper.batch, paper.rate, paper.momentum, paper.decay) == (200, 128, 1e-2, 0.9, 5e-4)
    assert [paper.rate_at(e) for e in (0, 100, 200)] == pytest.approx([1e-2, 5e-3, 0])


def test_every_picture_is_shown_as_every_class_once_an_epoch(lessons):
    shown = list(lessons[0].epoch(16, seed=0, name="0"))
    assert sum(len(truths) for _, truths in shown) == 56
    assert torch.cat([truths for _, truths in shown]).bincount().tolist() == [28, 28]
    assert {len(truths) for _, truths in shown} == {14}
    again = list(lessons[0].epoch(16, seed=0, name="0"))
    other = list(lessons[0].epoch(16, seed=0, name="1"))
    assert torch.equal(shown[0][0], again[0][0])
    assert not torch.equal(shown[0][0], other[0][0])


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_0", "convnext_tiny", "densenet121"])
def test_the_head_of_known_networks_is_replaced(name):
    import torchvision

    module = torchvision.models.get_model(name, weights=None)
    model = network(module, shape=(3, 64, 64))
    headed = model.with_module(with_head(model, 3, seed=0))
    assert headed.measure(torch.rand(2, 3, 64, 64)).shape == (2, 3)
    before, after = model.module.state_dict(), headed.module.state_dict()
    assert sum(not torch.equal(before[k], after[k]) for k in before if before[k].shape == after[k].shape) == 0
    assert sum(before[k].shape != after[k].shape for k in before) == 2  # weight and bias


def test_a_network_without_a_head_gets_one():
    model = network(window(3, padding=1))
    assert model.with_module(with_head(model, 4, seed=0)).measure(torch.rand(2, 3, 64, 64)).shape == (2, 4)


def test_fresh_weights_keep_each_tensors_scale():
    model = load("torchvision:mobilenet_v3_small")
    drawn = [fresh(copy.deepcopy(model.module), seed=seed) for seed in (0, 0, 1)]
    assert same(drawn[0], drawn[1])
    for old, new, other in zip(*(m.named_parameters() for m in (model.module, drawn[0], drawn[2])), strict=True):
        if old[1].ndim > 1:
            assert not torch.equal(new[1], other[1])
        if old[1].numel() > 5000:
            assert new[1].square().mean().item() == pytest.approx(old[1].square().mean().item(), rel=0.1)


def test_a_linear_head_on_frozen_features_learns():
    images = load_images("dead-leaves", shape=(3, 32, 32), count=60)
    learn, judge = (Lessons(part, RED) for part in split(images, share=0.7, seed=0))
    model = network(nn.Sequential(window(3, channels=64), nn.ReLU()), shape=(3, 32, 32))
    head = linear_head(model, "1", learn, seed=0)
    pictures, truths = next(judge.epoch(100, seed=1, name="judge"))
    scores = head(model.measure(pictures, "1"))
    assert scores.shape == (36, 2)
    assert (scores.argmax(1) == truths).double().mean() > 0.8


def test_a_linear_head_needs_every_class():
    digits = load_images("digits", shape=(3, 32, 32), count=4)
    task = Labels(perturbation=Box(), level=0.1, outputs=10)
    with pytest.raises(InputError, match="of 10 classes"):
        linear_head(network(window(3), shape=(3, 32, 32)), "0", Lessons(digits, task), seed=0)


def test_labels_of_photographs_reach_their_lessons():
    digits = load_images("digits", shape=(3, 8, 8), count=12)
    lessons = Lessons(digits, Labels(perturbation=Box(), level=0.1, outputs=10))
    np.testing.assert_array_equal([truth for _, truth in lessons.shown], digits.labels)
