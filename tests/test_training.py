"""Training: what is shown, what is kept, what comes out."""

import copy
import json
import math
import os
from itertools import pairwise

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
from perturb.training.checkpoint import Trained, resume, save
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
    with pytest.raises(InputError, match=f"{path.name}` is not a checkpoint"):
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


@pytest.mark.slow
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


# Examples


def test_batches_differ_by_at_most_one_example(lessons):
    """56 examples in batches of at most 10: six batches of 9 or 10."""
    sizes = [len(truths) for _, truths in lessons[0].epoch(10, seed=0, name="0")]
    assert sorted(sizes) == [9, 9, 9, 9, 10, 10]
    assert lessons[0].batches(10) == 6
    assert (lessons[0].batches(56), lessons[0].batches(55), lessons[0].batches(1)) == (1, 2, 56)


@pytest.mark.parametrize(("seed", "name"), [(1, "0"), (0, "1")])
def test_an_epoch_depends_on_its_seed_and_its_name_alone(lessons, seed, name):
    first, again, other = (
        torch.cat([pictures for pictures, _ in lessons[0].epoch(16, seed=s, name=n)])
        for s, n in ((0, "0"), (0, "0"), (seed, name))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_batch_size_changes_no_example(lessons):
    """Places are drawn for each example, not for each batch."""
    small, large = (torch.cat([x for x, _ in lessons[0].epoch(size, seed=0, name="0")]) for size in (7, 56))
    assert torch.equal(small, large)


def test_only_the_examples_of_the_second_class_are_perturbed(lessons):
    """Without the perturbation an example is one of the given pictures, with it it is none."""
    known = {picture.tobytes() for picture in lessons[0].images.pixels}
    for pictures, truths in lessons[0].epoch(16, seed=0, name="0"):
        for picture, truth in zip(pictures, truths, strict=True):
            assert (picture.numpy().tobytes() in known) == (truth == 0)


def test_the_digest_names_pictures_and_task():
    images = load_images("noise", shape=(3, 8, 8), count=3)
    other = load_images("noise", shape=(3, 8, 8), count=3, seed=1)
    fainter = Presence(perturbation=RED.perturbation, level=0.5)
    digests = [Lessons(i, t).digest for i, t in ((images, RED), (images, RED), (other, RED), (images, fainter))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


# Recipes


@pytest.mark.parametrize("recipe", [*RECIPES.values(), Recipe(epochs=3, rate=0.7)])
def test_the_learning_rate_is_half_a_cosine(recipe):
    """By the double-angle formula: rate cos(pi e / 2 n)^2, which falls from epoch to epoch and is half-way at n / 2."""
    rates = [recipe.rate_at(epoch) for epoch in range(recipe.epochs + 1)]
    expected = [recipe.rate * math.cos(math.pi * e / (2 * recipe.epochs)) ** 2 for e in range(recipe.epochs + 1)]
    assert rates == pytest.approx(expected, abs=1e-12)
    assert all(before > after for before, after in pairwise(rates))
    assert rates[0] == recipe.rate
    assert recipe.rate_at(recipe.epochs // 2) + recipe.rate_at(recipe.epochs - recipe.epochs // 2) == pytest.approx(
        recipe.rate
    )


def test_an_epoch_is_trained_at_its_own_rate(lessons, monkeypatch):
    """Four batches an epoch at the rate of that epoch, with the recipe's momentum and decay."""
    seen, step = [], torch.optim.SGD.step

    def noted(optimiser, *rest):
        (group,) = optimiser.param_groups
        seen.append((group["lr"], group["momentum"], group["weight_decay"]))
        return step(optimiser, *rest)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    recipe = Recipe(epochs=2, batch=16, rate=0.05, momentum=0.8, decay=1e-3)
    trained(lessons, recipe=recipe)
    assert seen == [(recipe.rate_at(epoch), 0.8, 1e-3) for epoch in (0, 1) for _ in range(4)]


# Checkpoints


def stepped(seed=0):
    """A network and its optimiser after one step, so that there is momentum."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.rand(4, 3)).square().sum().backward()
    optimiser.step()
    return module, optimiser


def test_a_checkpoint_gives_back_weights_momentum_and_progress(tmp_path):
    module, optimiser = stepped()
    done = Trained(epochs=3, best_epoch=2, accuracy=0.75, loss=0.5, seconds=9.0, best=dict(module.state_dict()))
    save(tmp_path / "deep/er/x.safetensors", module, optimiser, done)
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["x.safetensors"]  # nothing temporary is left
    other, its_optimiser = stepped(seed=1)
    found = resume(tmp_path / "deep/er/x.safetensors", other, its_optimiser)
    assert same(module, other)
    assert (found.epochs, found.best_epoch, found.accuracy, found.loss, found.seconds) == (3, 2, 0.75, 0.5, 9.0)
    assert all(torch.equal(found.best[name], value) for name, value in done.best.items())
    for before, after in zip(module.parameters(), other.parameters(), strict=True):
        momenta = (o.state[p]["momentum_buffer"] for o, p in ((optimiser, before), (its_optimiser, after)))
        assert torch.equal(*momenta)


def test_a_checkpoint_of_an_earlier_version_has_no_digest(tmp_path):
    from safetensors.torch import load_file, save_file

    save(tmp_path / "new", *stepped(), Trained(epochs=3, best_epoch=2))
    words = json.dumps({"epochs": 3, "best_epoch": 2, "accuracy": 0.5, "loss": 0.5, "seconds": 1.0})
    save_file(load_file(tmp_path / "new"), tmp_path / "old", metadata={"trained": words})
    assert resume(tmp_path / "old", *stepped(seed=1)).best_epoch == 2


def foreign(path):
    path.write_bytes(b"not safetensors at all")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


def cut_in_its_header(path):
    path.write_bytes(path.read_bytes()[:30])


def weights_alone(path):
    from safetensors.torch import save_file

    save_file({"module/0.weight": torch.zeros(2, 3)}, path)


def of_other_parts(path):
    from safetensors.torch import save_file

    save_file({"else/0.weight": torch.zeros(2, 3)}, path, metadata={"trained": json.dumps({"epochs": 1})})


def of_another_network(path):
    module = nn.Linear(5, 5)
    save(path, module, torch.optim.SGD(module.parameters(), 0.1), Trained())


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def with_a_weight_changed(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def with_a_count_changed(path):
    data = path.read_bytes()
    assert data.count(b'\\"best_epoch\\": 0') == 1
    path.write_bytes(data.replace(b'\\"best_epoch\\": 0', b'\\"best_epoch\\": 1'))


def with_an_unknown_field(path):
    """As one bit in the name of the digest makes it, which would switch the check off."""
    path.write_bytes(path.read_bytes().replace(b'"digest"', b'"eigest"'))


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        *(foreign, empty, truncated, cut_in_its_header, weights_alone, of_other_parts, of_another_network, a_folder),
        *(a_pipe, with_a_weight_changed, with_a_count_changed, with_an_unknown_field),
    ],
)
def test_a_file_that_is_no_checkpoint_of_this_training_is_named_in_one_line(tmp_path, spoil):
    path = tmp_path / "x.safetensors"
    save(path, *stepped(), Trained())
    spoil(path)
    with pytest.raises(InputError, match=r"x\.safetensors` is not a checkpoint of this training") as caught:
        resume(path, *stepped())
    assert "\n" not in str(caught.value)
    assert "delete it" in str(caught.value)


# Heads


def test_only_the_last_layer_to_run_is_replaced():
    """Not the last one to be defined."""

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(8, 5), nn.Linear(12, 8)

        def forward(self, x):
            return self.last(self.first(x.flatten(1)))

    model = network(Backwards(), shape=(3, 2, 2))
    headed = with_head(model, 4, seed=0)
    assert (headed.last.out_features, headed.first.out_features) == (4, 8)
    assert torch.equal(headed.first.weight, model.module.first.weight)


def test_a_head_depends_on_its_seed_alone():
    model = network(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), shape=(3, 2, 2))
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(weights))  # which it must not use
        weights.append(with_head(model, 3, seed=seed)[1].weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_fresh_weights_reset_normalisation_and_keep_constants():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4))
    module.register_parameter("scale", nn.Parameter(torch.full((4, 1, 1), 1e-6)))
    with torch.no_grad():
        module[0].bias.fill_(3)
        for norm in module[1:]:
            norm.weight.fill_(5)
            norm.bias.fill_(6)
        module[1].running_mean.fill_(7)
    fresh(module, seed=0)
    assert (module.scale == 1e-6).all()
    assert (module[0].bias == 0).all()
    assert (module[1].running_mean == 0).all()
    for norm in module[1:]:
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()
