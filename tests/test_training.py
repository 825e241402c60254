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
from perturb.tasks.micro import Intensity, Presence
from perturb.training import RECIPES, Lessons, Recipe, fresh, linear_head, train, with_head
from perturb.training.checkpoint import Trained, resume, save

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
    return train(module, model, *lessons, recipe, seed=seed, keep=keep, tick=tick), module


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
    train(with_head(model, 2, seed=0), model, *lessons, QUICK, seed=0, keep=None, tick=silent)
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
    assert train(module, model, *lessons, QUICK, seed=0, keep=None, tick=silent).epochs == QUICK.epochs


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


@pytest.mark.parametrize(("size", "batches"), [(16, [14, 14, 14, 14]), (56, [56]), (1000, [56]), (20, [19, 19, 18])])
def test_batches_differ_by_one_picture_at_most(lessons, size, batches):
    """56 lessons: 28 pictures, each as both classes."""
    assert len(lessons[0]) == 56
    assert lessons[0].batches(size) == len(batches)
    assert [len(truths) for _, truths in lessons[0].epoch(size, seed=0, name="0")] == batches


def test_a_lesson_shows_what_its_class_says(lessons):
    """Class 1 has the red box of 4 x 4 pixels, class 0 has not."""
    for pictures, truths in lessons[0].epoch(16, seed=0, name="0"):
        red = (pictures == torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)).all(1).sum((1, 2))
        assert torch.equal(red >= 16, truths == 1)


def test_a_lessons_place_does_not_hang_on_the_batch_size(lessons):
    """Its number seeds it, not the batch that it is shown in."""
    whole, parts = (list(lessons[0].epoch(size, seed=0, name="0")) for size in (56, 16))
    assert torch.equal(whole[0][0], torch.cat([pictures for pictures, _ in parts]))


def test_lessons_are_known_by_what_they_show(lessons):
    images = load_images("dead-leaves", shape=(3, 32, 32), count=6)
    task = Presence(perturbation=Box(size=5), level=1.0)
    digests = {Lessons(images, RED).digest, Lessons(images, task).digest, lessons[0].digest, lessons[1].digest}
    assert len(digests) == 4
    assert Lessons(images, RED).digest in digests


def stepped(seed=0):
    """A linear layer, and an optimiser that has made a step, so that it holds momenta."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.rand(4, 3)).square().sum().backward()
    optimiser.step()
    return module, optimiser


def momenta(optimiser):
    return [state["momentum_buffer"] for state in optimiser.state.values()]


def test_a_checkpoint_gives_back_weights_momenta_and_words(tmp_path):
    (module, optimiser), (other, beside) = stepped(0), stepped(1)
    best = {name: value + 1 for name, value in module.state_dict().items()}
    done = Trained(epochs=3, best_epoch=2, accuracy=0.75, loss=0.5, seconds=1.5, best=best)
    save(tmp_path / "deep" / "c.safetensors", module, optimiser, done)
    found = resume(tmp_path / "deep" / "c.safetensors", other, beside)
    assert same(module, other)
    assert all(torch.equal(a, b) for a, b in zip(momenta(optimiser), momenta(beside), strict=True))
    assert (found.epochs, found.best_epoch, found.accuracy, found.loss, found.seconds) == (3, 2, 0.75, 0.5, 1.5)
    assert all(torch.equal(found.best[name], value) for name, value in best.items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    module, optimiser = stepped()
    save(tmp_path / "c", module, optimiser, Trained(best=module.state_dict()))
    wider = nn.Linear(9, 9)
    with pytest.raises(InputError, match="delete it to start anew"):
        resume(tmp_path / "c", wider, torch.optim.SGD(wider.parameters(), 0.1))
    with pytest.raises(InputError, match="is no checkpoint of this training"):
        resume(tmp_path / "none", module, optimiser)


def test_a_half_cosine_falls_to_zero():
    """rate (1 + cos(pi e / E)) / 2: 3/4 of the rate is left at a third of the way, 1/4 at two thirds."""
    recipe = Recipe(epochs=12, rate=0.4)
    assert [recipe.rate_at(e) for e in (0, 4, 6, 8, 12)] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    rates = [recipe.rate_at(e) for e in range(13)]
    assert rates == sorted(rates, reverse=True)


def test_a_training_follows_the_recipes_formula():
    """One picture a batch, one linear weight: v = 0.9 v + g + decay w; w -= rate(e) v, by hand for two epochs."""
    images = load_images("noise", shape=(1, 8, 8), count=4)
    shown = Lessons(images, Labels(perturbation=Box(), level=0.1, outputs=2))
    built = network(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)), shape=(1, 8, 8))
    module, twin = copy.deepcopy(built.module), copy.deepcopy(built.module)
    recipe = Recipe(epochs=2, batch=1, rate=0.3, momentum=0.9, decay=0.1)
    train(module, built, shown, shown, recipe, seed=5, keep=None, tick=silent)
    weights = [p.requires_grad_(True) for p in twin.parameters()]
    velocity, states = [torch.zeros_like(p) for p in weights], []
    for epoch, rate in enumerate((0.3, 0.15)):
        for pictures, truths in shown.epoch(1, seed=5, name=f"epoch/{epoch}"):
            loss = nn.functional.cross_entropy(twin(built.normalise(pictures)), truths)
            for i, gradient in enumerate(torch.autograd.grad(loss, weights)):
                velocity[i] = 0.9 * velocity[i] + gradient + 0.1 * weights[i].detach()
                weights[i].data -= rate * velocity[i]
        states.append([p.detach().clone() for p in weights])
    kept = [p.detach() for p in module.parameters()]
    assert any(all(torch.allclose(a, b, atol=1e-6) for a, b in zip(kept, state, strict=True)) for state in states)


def test_the_new_head_is_seeded():
    model = small()
    heads = [with_head(model, 2, seed=seed)[2].weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


class Unused(nn.Module):
    """Its last layer in order of definition is not the last to run."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(4, 5), nn.Conv2d(3, 4, 3)
        self.spare = nn.Linear(9, 9)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_the_layer_that_runs_last_is_the_head():
    built = network(Unused(), shape=(3, 8, 8))
    module = with_head(built, 2, seed=0)
    assert (module.head.out_features, module.spare.out_features) == (2, 9)
    assert built.module.head.out_features == 5


def test_fresh_leaves_constants_and_forgets_biases_and_statistics():
    """A layer scale of ones stays, biases become 0, normalisation begins anew."""
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 3))
    with torch.no_grad():
        module[0].bias.fill_(7.0)
        module[1].weight.fill_(5.0)
        module[1].running_mean.fill_(3.0)
        module[2].weight.fill_(0.25)
    fresh(module, seed=0)
    assert (module[0].bias == 0).all()
    assert (module[1].weight == 1).all()
    assert (module[1].running_mean == 0).all()
    assert (module[2].weight == 0.25).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_head_is_scikit_learns(classes):
    """Its logits have the probabilities of a standardised logistic regression, for two classes and for more."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if classes == 2:
        task = RED
    else:
        task = Intensity(perturbation=Box(size=4, mode="replace", colour=(1.0, 0.0, 0.0)), level=1.0, outputs=3)
    shown = Lessons(load_images("dead-leaves", shape=(3, 32, 32), count=12), task)
    model = network(nn.Sequential(window(3, channels=8), nn.ReLU()), shape=(3, 32, 32))
    head = linear_head(model, "1", shown, seed=4)
    batches = [batch for i in range(4) for batch in shown.epoch(128, seed=4, name=f"probe/{i}")]
    maps = torch.cat([model.measure(pictures, "1") for pictures, _ in batches])
    x, y = maps.amax((2, 3)).double().numpy(), torch.cat([truths for _, truths in batches]).numpy()
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(head(maps).softmax(1).numpy(), expected, atol=1e-6)
