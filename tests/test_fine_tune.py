"""Fine-tuning a remedied network, and giving it back: what it learns, what its answers cost, code, ONNX."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from toys import network, window

from perturb import Preprocessing, load
from perturb.cli import main
from perturb.errors import InputError, UsageError
from perturb.images import load_images
from perturb.model import Network, load_weights, save_weights
from perturb.model.onnx_written import write_onnx
from perturb.remedies import apply_remedy
from perturb.remedies.written import as_code
from perturb.stories import fine_tune as story
from perturb.stories.fine_tune import fine_tune
from perturb.training.distil import Tuning, distil

SMALL = (3, 64, 64)


@pytest.fixture(scope="module")
def pictures():
    return load_images("noise", shape=SMALL, count=8, seed=0)


def energies(module: nn.Module) -> list[float]:
    """|F(x + d) - F(x)|^2 for one changed pixel at each of the 2 x 2 phases."""
    x = torch.full((1, 3, 64, 64), 0.5)
    found = []
    for phase in ((0, 0), (0, 1), (1, 0), (1, 1)):
        changed = x.clone()
        changed[:, :, 32 + phase[0], 32 + phase[1]] += 0.4
        with torch.no_grad():
            found.append(float((module(changed) - module(x)).square().sum()))
    return found


def classifier(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        )


def test_padding_with_kept_weights_becomes_even_by_training(pictures):
    """A 3 x 3 kernel moved by 2 responds up to four times as strongly at some phases; what has learnt, much less so."""
    built = network(window(3, padding=1, channels=8))
    module, _ = apply_remedy(built, "padding:kept")
    before = energies(module)
    loss = distil(module, built, pictures, Tuning(steps=150, batch=4, rate=0.01))
    after = energies(module)
    assert max(before) / min(before) > 3
    assert max(after) / min(after) < 2
    assert np.isfinite(loss)


def test_an_interrupted_training_ends_with_the_same_weights(pictures, tmp_path):
    built = network(window(3, padding=1, channels=4))
    whole, _ = apply_remedy(built, "padding:kept")
    stopped = copy.deepcopy(whole)
    tuning = Tuning(steps=30, batch=2)
    distil(whole, built, pictures, tuning)
    seen = 0

    def interrupt(done: int, note: str = "") -> None:
        nonlocal seen
        seen += done
        if seen == 25:
            raise KeyboardInterrupt

    again = copy.deepcopy(stopped)
    with pytest.raises(KeyboardInterrupt):
        distil(stopped, built, pictures, tuning, keep=tmp_path, tick=interrupt)
    ticks = []
    distil(again, built, pictures, tuning, keep=tmp_path, tick=lambda done, note="": ticks.append(done))
    assert ticks[0] == 20
    torch.testing.assert_close(again[0].weight, whole[0].weight, rtol=0, atol=0)


def test_pictures_that_were_labelled_anew_begin_a_training_of_their_own(pictures, tmp_path):
    built = network(classifier())
    begun = []
    for labels in ([0, 1] * 4, [0, 1] * 4, [1, 0] * 4):
        student, _ = apply_remedy(built, "padding:kept")
        labelled, ticks = replace(pictures, labels=np.array(labels)), []
        tuning = Tuning(steps=20, batch=2)
        distil(student, built, labelled, tuning, keep=tmp_path, tick=lambda done, note="", to=ticks: to.append(done))
        begun.append(ticks[0])
    assert begun == [0, 20, 0]


def test_only_resized_kernels_learn(pictures):
    """And dead filters, which normalisation would blow up, stay 0."""
    module = classifier()
    module[0].weight.data[3] = 0
    built = network(module)
    student, _ = apply_remedy(built, "padding:kept")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    distil(student, built, pictures, Tuning(steps=2, batch=2))
    moved = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"0.weight"}
    assert not student[0].weight[3].any()


def test_what_cannot_be_learnt_from_is_refused(pictures):
    flat = network(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)))
    with pytest.raises(InputError, match="no feature map of a stride from 2 to 8"):
        distil(copy.deepcopy(flat.module), flat, pictures, Tuning(steps=1))
    small = network(window(3, padding=1), shape=(3, 8, 8))
    with pytest.raises(InputError, match="too small to learn from"):
        distil(copy.deepcopy(small.module), small, pictures, Tuning(steps=1))


def test_changed_answers_are_counted_over_photographs_that_were_held_out(pictures):
    """Nothing changes in one tiny step; a margin that 3 photographs cannot show stays open."""
    built = network(classifier())
    _, found = fine_tune(built, "padding", pictures, Tuning(steps=1, batch=2, rate=1e-9), margin=0.05)
    assert (found.learnt, found.held_out) == (6, 2)
    assert found.cost.value == 0 < found.cost.high
    assert (found.cost.n, found.cost.words, str(found.verdict)) == (2, story.CHANGED, "INCONCLUSIVE")


def test_right_answers_lost_are_before_minus_after(pictures):
    """Before all are right, after none is: a loss of 1."""
    built, worse = network(classifier()), network(classifier())
    answers = built.measure(torch.from_numpy(np.stack(list(pictures.pixels)))).argmax(1).numpy()
    labelled = replace(pictures, labels=answers[: len(pictures.names)], classes=("a", "b", "c"))
    worse.module[4].bias.data[answers] = -1e6
    cost = story._cost(built, worse, labelled)
    assert (cost.value, cost.words) == (1, story.LOST)
    assert story._cost(worse, built, labelled).value == -1


def test_labels_must_be_the_networks_classes(pictures):
    labelled = replace(pictures, labels=np.zeros(8, dtype=int), classes=("a", "b"))
    with pytest.raises(UsageError, match="has 3 outputs with scores of classes, and `noise` has 2 classes"):
        fine_tune(network(classifier()), "padding", labelled, Tuning(steps=1), margin=0.05)
    with pytest.raises(UsageError, match="keeps the weights"):
        fine_tune(network(classifier()), "padding:fresh", pictures, Tuning(steps=1), margin=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("torchvision:resnet18", "padding:kept"),
        ("torchvision:resnet18", "space-to-depth:kept"),
        ("torchvision:resnet18", "slicing:kept"),
        ("torchvision:resnet18", "pool:kept"),
        ("examples/efficientnet_lite0.py:small", "padding:kept"),
    ],
)
def test_pasted_code_makes_the_changed_network(reference, remedy, tmp_path):
    """By the factory, the code and the saved weights alone; the code without weights keeps the old ones."""
    built = load(reference)
    module, done = apply_remedy(built, remedy)
    scope = {}
    exec(as_code(built, module, done), scope)
    x = torch.rand(2, *built.input_shape, generator=torch.Generator().manual_seed(0))
    pasted = copy.deepcopy(built.module)
    scope["remedy"](pasted)
    with torch.no_grad():
        torch.testing.assert_close(pasted(x), module(x), rtol=0, atol=1e-6 * float(module(x).abs().max()))
    for weight in module.parameters():
        weight.data *= 1.01
    save_weights(module, tmp_path / "w.safetensors")
    load_weights(pasted, tmp_path / "w.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(pasted(x), module(x), rtol=0, atol=1e-6 * float(module(x).abs().max()))


def test_code_reads_as_a_constructor_where_that_is_the_same():
    """On an even map symmetric padding is enough for a larger kernel; on an odd one it would lose a row."""
    line = "model[0] = nn.Conv2d(3, 16, (4, 4), stride=(2, 2), padding=(1, 1), bias=False)"
    for side, plain_ in ((64, True), (63, False)):
        built = network(window(3, padding=1), shape=(3, side, side))
        module, done = apply_remedy(built, "padding:kept")
        text = as_code(built, module, done)
        assert (line in text) is plain_
        scope, pasted, x = {}, copy.deepcopy(built.module), torch.rand(1, 3, side, side)
        exec(text, scope)
        scope["remedy"](pasted)
        torch.testing.assert_close(pasted(x), module(x), rtol=0, atol=0)
    blurred, done = apply_remedy(built, "blurpool:kept")
    with pytest.raises(UsageError, match="remedies that resize kernels"):
        as_code(built, blurred, done)


def test_onnx_file_answers_as_the_network_does(tmp_path):
    """Through its sidecar, and for another number of pictures than it was exported with."""
    how = Preprocessing(input_shape=SMALL, bounds=(0, 255), mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))
    built = Network(classifier(), name="toy", preprocessing=how)
    changed = built.with_module(apply_remedy(built, "padding:kept")[0])
    assert write_onnx(changed, tmp_path / "net.onnx") <= 1e-4
    x = torch.rand(5, *SMALL, generator=torch.Generator().manual_seed(1))
    found = load(f"onnx:{tmp_path / 'net.onnx'}").measure(x)
    torch.testing.assert_close(found, changed.measure(x), rtol=1e-4, atol=1e-4)


NET = """
import torch
from torch import nn
from perturb import Preprocessing
def net():
    torch.manual_seed(0)
    convolution, norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
    norm.num_batches_tracked += 1
    layers = nn.Sequential(convolution, norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    return layers, Preprocessing(input_shape=(3, 64, 64))
"""
ASKED = ("remedy", "net.py:net", "--with", "padding", "--device", "cpu")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = tmp_path / "pictures" / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(path)
    return tmp_path


def perturb(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.mark.parametrize(("source", "words"), [("labelled", story.LOST), ("folder", story.CHANGED)])
def test_a_folder_a_network_and_three_files(work, source, words):
    """Fine-tuned weights, code and ONNX file belong together, and `qualify` takes the ONNX file."""
    given = ("--fine-tune", "--images", f"{source}:pictures", "--steps", "2", "--save", "out.safetensors")
    result = perturb(*ASKED, *given, "--code", "out.py", "--onnx", "out.onnx", "--json")
    found = json.loads(result.stdout)["fine_tuned"]
    assert result.exit_code == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}[found["verdict"]], result.output
    assert (found["cost"]["words"], found["learnt"], found["held_out"]) == (words, 4, 2)
    scope = {}
    exec((work / "net.py").read_text(), scope)
    exec((work / "out.py").read_text(), scope)
    module, _ = scope["net"]()
    scope["remedy"](module)
    load_weights(module, work / "out.safetensors")
    x = torch.rand(2, 3, 64, 64)
    loaded = load("onnx:out.onnx").measure(x)
    torch.testing.assert_close(module.eval()(x).detach(), loaded, rtol=1e-4, atol=1e-4)
    shown = perturb("shift", "onnx:out.onnx", "--images", "noise", "--count", "4", "--span", "4")
    assert shown.exit_code == 0, shown.output
    assert "learnt from 4 photographs in 2 steps" in perturb(*ASKED, *given).output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--fine-tune", "--save", "w.safetensors"), "--fine-tune takes one --with NAME, --images to learn from"),
        (("--fine-tune", "--images", "noise"), "and --save FILE.safetensors"),
        (("--fine-tune", "--images", "noise", "--save", "w.safetensors", "--suite", "smoke"), "leave out --suite"),
        (("--with", "pool", "--code", "out.py"), "expected one --with NAME (not ask-twice), and a .py file"),
        (("--onnx", "out.pt"), "and a .onnx file"),
        (("--images", "noise"), "--images go with --fine-tune"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(work, given, said):
    result = perturb(*ASKED, *given)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert len(result.stderr.splitlines()) == 1
