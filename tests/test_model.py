"""Model references, weights files, and that the user's module is left alone."""

import copy
import os
import sys
import warnings
import zipfile

import pytest
import torch
from torch import nn
from toys import network, plain, window

from perturb import Network, Preprocessing, load
from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.model import save_weights
from perturb.protocols import Differentiable, Sees, Taps


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FACTORY = """
from torch import nn
from perturb import Preprocessing
def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1)), Preprocessing(input_shape=(3, 32, 32), mean=(0.5,), std=(0.5,))
def bad():
    raise RuntimeError("no such thing")
def odd():
    return 3
"""


@pytest.fixture
def net_file(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path / "net.py"


def test_the_users_module_is_left_as_it_was_found():
    module = plain().train()
    pictures = torch.rand(8, 3, 64, 64)
    before, rng = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    model = Network(module, preprocessing=Preprocessing(input_shape=(3, 64, 64)))
    model.settle(pictures)
    model.measure(pictures)
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state())


def test_loading_leaves_the_random_state_and_is_seeded():
    rng = torch.get_rng_state()
    first, again, other = (load("torchvision:squeezenet1_1", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(rng, torch.get_rng_state())
    assert first.digest == again.digest != other.digest


def test_a_factory_that_seeds_itself_is_told_from_one_that_does_not(tmp_path):
    """A seed that was asked for and changes nothing is said; else there is nothing to say."""
    code = "from torch import manual_seed, nn\ndef own():\n    manual_seed(3)\n    return given()\n"
    code += "def given():\n    module = nn.Conv2d(3, 4, 3)\n    module.input_shape = 3, 32, 32\n    return module\n"
    (tmp_path / "nets.py").write_text(code)
    with pytest.warns(PerturbWarning, match="nets.py:own sets torch's seed itself, to 3: its weights are the same"):
        seven = load(f"{tmp_path / 'nets.py'}:own", seed=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(f"{tmp_path / 'nets.py'}:own").digest == seven.digest
        assert load(f"{tmp_path / 'nets.py'}:given").digest != load(f"{tmp_path / 'nets.py'}:given", seed=7).digest


def test_settled_normalisation_brings_signal_through():
    """Every channel ahead of the nonlinearity has mean 0 and variance 1 over the pictures that it was settled on."""
    model = network(plain())
    assert model.untrained
    pictures = torch.rand(16, 3, 64, 64)
    model.settle(pictures)
    normalised = model.measure(pictures, "1")
    assert normalised.mean((0, 2, 3)).abs().max() < 1e-3
    assert (normalised.var((0, 2, 3)) - 1).abs().max() < 0.05


def test_as_many_channels_as_columns_lie_where_the_other_maps_have_them():
    """Swin's first stage, 24 x 24 with 24 channels; and a convolution's."""

    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    def norm_of(channels):
        return nn.Sequential(nn.Conv2d(3, channels, 4, 4), Last(), nn.LayerNorm(channels), nn.Linear(channels, 48))

    last = network(nn.Sequential(norm_of(24), nn.GELU()), shape=(3, 96, 96))
    x = torch.rand(1, 3, 96, 96)
    wanted = last.module[0][:3](last.normalise(x))
    torch.testing.assert_close(last.measure(x, "0.2"), wanted.permute(0, 3, 1, 2))
    first = network(nn.Sequential(nn.Conv2d(3, 24, 4, 4), nn.ReLU()), shape=(3, 96, 96))
    torch.testing.assert_close(first.measure(x, "0"), first.module[0](first.normalise(x)))


def test_a_settling_that_fails_leaves_evaluation_mode():
    model = network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 62 * 62, 2)))
    with pytest.raises(RuntimeError, match="shapes"):
        model.settle(torch.rand(2, 3, 10, 10))
    assert not any(part.training for part in model.module.modules())
    assert model.module[1].momentum == 0.1


def test_layers_by_stride():
    model = load("torchvision:resnet18")
    assert [model.find_layer(w) for w in ("stride:8", "last", "layer3", "output")] == [
        "layer2",
        "layer4",
        "layer3",
        "output",
    ]
    assert model.stride_of("layer3") == 16
    with pytest.warns(PerturbWarning, match="no feature map at stride:64; taken at stride 32"):
        assert model.find_layer("stride:64") == "layer4"
    assert model.measure(torch.rand(2, 3, 224, 224), "layer3").shape == (2, 256, 14, 14)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [("swin_t", "last", (768, 7, 7)), pytest.param("vit_b_16", "last", (768, 14, 14), marks=pytest.mark.long)],
)
def test_feature_maps_of_transformers(name, layer, shape):
    """Channels last, and tokens with a class token in front."""
    model = load(f"torchvision:{name}")
    assert model.measure(torch.rand(1, 3, 224, 224), model.find_layer(layer)).shape[1:] == shape


@pytest.mark.parametrize(
    ("reference", "kind", "words"),
    [
        ("resnet18", UsageError, "not understood; expected torchvision"),
        ("torchvision:resnet19", UsageError, "Did you mean `resnet18`"),
        ("torchvision:resnet18@V9", UsageError, "has no weights `V9`, expected one of .*IMAGENET1K_V1"),
        ("nowhere.py:build", UsageError, "no file `nowhere.py`"),
        ("no.such.package:build", UsageError, "cannot be imported"),
        ("torchvision:fcn_resnet51", UsageError, "has no model"),
    ],
)
def test_unknown_references(reference, kind, words):
    with pytest.raises(kind, match=words):
        load(reference)


def test_factories(net_file):
    assert load(f"{net_file}:build").input_shape == (3, 32, 32)
    with pytest.raises(UsageError, match="has no `missing`"):
        load(f"{net_file}:missing")
    with pytest.raises(InputError, match="bad raised RuntimeError: no such thing"):
        load(f"{net_file}:bad")
    with pytest.raises(InputError, match=r"must return an nn\.Module"):
        load(f"{net_file}:odd")


def test_two_files_of_one_name_do_not_meet(net_file, tmp_path):
    """What is loaded from a file is looked up by its path, and shadows no module that a test imports by that name."""
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/net.py").write_text(FACTORY.replace("Conv2d(3, 4,", "Conv2d(3, 7,"))
    first, second = load(f"{net_file}:build"), load(f"{tmp_path}/deeper/net.py:build")
    assert [m.module[0].out_channels for m in (first, second)] == [4, 7]
    assert "net" not in sys.modules


def test_weights_from_safetensors_and_state_dicts(net_file, tmp_path):
    from safetensors.torch import save_file

    state = load(f"{net_file}:build").module.state_dict()
    marked = {key: torch.full_like(value, 0.25).contiguous() for key, value in state.items()}
    save_file(marked, tmp_path / "w.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in marked.items()}}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        loaded = load(f"{net_file}:build", weights=tmp_path / name)
        assert all((p == 0.25).all() for p in loaded.module.parameters())


def test_broken_weights(net_file, tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "pickled.pt")
    torch.save({"0.weight": torch.zeros(4, 3, 5, 5)}, tmp_path / "shape.pt")
    torch.save({"0.weight": torch.full((4, 3, 3, 3), float("nan")), "0.bias": torch.zeros(4)}, tmp_path / "nan.pt")
    (tmp_path / "short.safetensors").write_bytes(b"\x10\x00")
    for name, words in {
        "pickled.pt": "pickled model",
        "shape.pt": r"`0.bias` is missing; `0.weight` is \(4, 3, 5, 5\), wanted \(4, 3, 3, 3\)",
        "nan.pt": "weight `0.weight` holds NaN",
        "short.safetensors": "cannot be read",
    }.items():
        with pytest.raises(InputError, match=words):
            load(f"{net_file}:build", weights=tmp_path / name)
    with pytest.raises(UsageError, match="No such file"):
        load(f"{net_file}:build", weights=tmp_path / "absent.pt")


def archive_with(path, *, level=None):
    """A state dict of `net_file` with one bit of its weights flipped; or packed, whatever the values."""
    good = path.with_suffix(".good")
    torch.save({"0.weight": torch.ones(4, 3, 3, 3), "0.bias": torch.zeros(4)}, good)
    if level is None:
        data = bytearray(good.read_bytes())
        data[data.index(torch.ones(4).numpy().tobytes()) + 5] ^= 1
        path.write_bytes(data)
        return
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w", level) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def with_another_size(path, field=20):
    """A state dict whose directory gives another packed size for a tensor: torch returned whatever lay in memory."""
    torch.save({"0.weight": torch.ones(4, 3, 3, 3), "0.bias": torch.zeros(4)}, path)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"data/0") - 2  # "x/data/0" in the directory at the end
    at = data.rindex(b"PK\x01\x02", 0, entry) + field
    assert int.from_bytes(data[at : at + 4], "little") == {20: 4 * 3 * 3 * 3 * 4, 38: 0}[field]
    data[at] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (archive_with, r"is damaged: the check sum, size or kind of `.*data/\d` does not match"),
        (lambda path: with_another_size(path, field=38), r"kind of `.*data/0` does not match"),  # marked as a folder
        (with_another_size, r"is damaged: the check sum, size or kind of `.*data/0` does not match"),
        (lambda path: archive_with(path, level=zipfile.ZIP_DEFLATED), "is compressed, which torch does not do"),
        (lambda path: torch.save({0: torch.zeros(4)}, path), "holds no state dict"),
        (lambda path: torch.save({"a": torch.zeros(4).to_sparse()}, path), "`a` has the layout torch.sparse_coo"),
        (lambda path: torch.save({"a": torch.zeros(4, device="meta")}, path), "`a` has no values"),
        (os.mkfifo, "expected a file, got a pipe or a device"),
        (os.mkdir, "expected a file, got a folder"),
        (lambda path: os.symlink("/dev/zero", path), "expected a file, got a pipe or a device"),
    ],
)
def test_weights_that_are_damaged_or_no_values_are_refused_in_one_line(net_file, tmp_path, make, words):
    path = tmp_path / "x.pt"
    make(path)
    with pytest.raises(InputError, match=words) as told:
        load(f"{net_file}:build", weights=path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Conv2d(1, 4, 3), r"does not accept a picture of shape \(3, 64, 64\)"),
        (nn.Sequential(window(3), nn.Hardtanh(float("nan"), 1)), "NaN or infinity"),
        (Calls(lambda x: x - x.amin()), r"f\(batch\)\[i\] is not f\(x_i\)"),
        (nn.BatchNorm2d(3, track_running_stats=False), r"f\(batch\)\[i\] is not f\(x_i\)"),
        (Calls(torch.mean), r"returns \(\) for 1 pictures, not one row"),
    ],
)
def test_modules_that_cannot_be_measured(module, words):
    with pytest.raises(InputError, match=words):
        network(module)


def test_a_quantised_network_is_refused_with_the_way_out():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own are of the tools that make one
        module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), {nn.Linear})
    with pytest.raises(InputError, match=r"`1\.\S+` is quantised .* measured as a black box"):
        network(module, shape=(3, 2, 2))


def test_volumes_are_refused_in_one_line():
    with pytest.raises(ValueError, match="volumes are not supported"):
        Preprocessing(input_shape=(1, 8, 8, 8))


def test_a_network_that_divides_by_the_pictures_own_spread_is_loaded():
    """Of a plain grey picture the spread is 0."""
    model = network(nn.Sequential(Calls(lambda x: x / x.std((1, 2, 3), keepdim=True)), window(3)))
    assert model.stride_of("1") == 2


def test_a_network_for_one_picture_at_a_time_is_shown_one():
    model = network(Calls(lambda x: x.reshape(1, 3, 64, 64)))
    assert model.batch == 1
    pictures = torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(model.measure(pictures), pictures)


@pytest.mark.parametrize(
    ("conv", "shape", "stride"),
    [
        (nn.Conv2d(3, 4, 3, (4, 2), 1), (3, 64, 64), 4),
        (nn.Conv2d(3, 4, 3, (2, 3), 1), (3, 60, 60), 6),
        (nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.Conv2d(4, 4, 3, 2)), (3, 60, 90), 4),
    ],
)
def test_maps_of_other_proportions_than_the_pictures(conv, shape, stride):
    """Strides that differ by direction, and windows without padding over a picture that is not square."""
    model = network(nn.Sequential(conv, nn.ReLU()), shape=shape)
    pictures = torch.rand(1, *shape)
    assert model.stride_of(model.find_layer("last")) == stride
    torch.testing.assert_close(model.measure(pictures, "0"), model.module[0](model.normalise(pictures)))


@pytest.mark.slow
def test_what_is_drawn_without_weights_is_untrained(net_file, tmp_path):
    """Known of a library's network, normalised or not; of a factory's own only where its normalisation tells."""
    assert load("torchvision:alexnet").untrained
    built = load(f"{net_file}:build")
    assert not built.untrained
    save_weights(load("torchvision:squeezenet1_1").module, tmp_path / "w.safetensors")
    assert not load("torchvision:squeezenet1_1", weights=tmp_path / "w.safetensors").untrained


def test_a_network_fills_every_seat_and_no_less():
    model = network(plain())
    assert all(isinstance(model, seat) for seat in (Sees, Taps, Differentiable))
    assert not isinstance(plain(), Sees)


def test_one_channel_networks_work_with_their_shape():
    model = network(nn.Conv2d(1, 4, 3, 2, 1), shape=(1, 32, 32))
    assert model.measure(torch.rand(2, 1, 32, 32)).shape == (2, 4, 16, 16)


def test_preprocessing_maps_the_pixel_range():
    pre = Preprocessing(input_shape=(3, 4, 4), bounds=(0, 255), mean=(127.5,), std=(127.5,))
    model = Network(nn.Identity(), preprocessing=pre)
    assert model.measure(torch.ones(1, 3, 4, 4)).unique().tolist() == [1.0]
    assert model.measure(torch.zeros(1, 3, 4, 4)).unique().tolist() == [-1.0]


@pytest.mark.parametrize(("side", "batch"), [(64, 8), (512, 2)])
def test_large_activations_go_in_small_batches(side, batch):
    assert network(window(3, channels=64), shape=(3, side, side)).batch == batch


def test_memory_that_runs_out_halves_the_batch(monkeypatch):
    model = network(plain())
    pictures = torch.rand(9, *model.input_shape)
    wanted, propagate = model.measure(pictures), model.propagate

    def small(x, layer, **given):
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return propagate(x, layer, **given)

    monkeypatch.setattr(model, "propagate", small)
    torch.testing.assert_close(model.measure(pictures), wanted)
    assert model.batch == 2
    monkeypatch.setattr(model, "propagate", lambda x, layer, **given: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(torch.OutOfMemoryError):
        model.measure(pictures)


class Twice(nn.Module):
    """Reads a convolution beside the normalisation behind it, as a fold must not allow."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class Reads(nn.Module):
    """Asks its normalisation for what it holds."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)) + self.norm.running_mean.sum()


def hooked():
    """Its convolution gives twice what its weights say."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
    module[0].register_forward_hook(lambda part, args, output: 2 * output)
    return module


def normalised(module):
    """Statistics unlike those that a new network has."""
    model = network(module)
    model.settle(torch.rand(8, *model.input_shape))
    return model


@pytest.mark.parametrize(
    ("module", "layer", "folds"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()), "output", True),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()), "1", True),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()), "0", False),
        (Twice(), "output", False),
        (Reads(), "output", False),
    ],
)
def test_folding_gives_the_same_or_is_left_alone(module, layer, folds):
    model = normalised(module)
    x = model.normalise(torch.rand(2, *model.input_shape))
    torch.testing.assert_close(model.propagate(x, layer, folded=True), model.propagate(x, layer), rtol=1e-4, atol=1e-5)
    assert (model._forms.of(layer, model.normalise) is not model.module) == folds


def test_what_a_hook_adds_is_kept():
    model = normalised(hooked())
    x = model.normalise(torch.rand(2, *model.input_shape))
    torch.testing.assert_close(model.propagate(x, folded=True), model.propagate(x), rtol=1e-4, atol=1e-5)


def test_normalisation_with_an_activation_in_it_folds():
    class WithActivation(nn.BatchNorm2d):
        def __init__(self):
            super().__init__(4)
            self.drop, self.act = nn.Identity(), nn.ReLU()

        def forward(self, x):
            return self.act(self.drop(super().forward(x)))

    model = normalised(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), WithActivation()))
    x = model.normalise(torch.rand(2, *model.input_shape))
    torch.testing.assert_close(model.propagate(x, folded=True), model.propagate(x), rtol=1e-4, atol=1e-5)
    assert WithActivation not in map(type, model._forms.of("output", model.normalise).modules())
    torch.testing.assert_close(model.propagate(x, "1.act", folded=True), model.propagate(x, "1.act"))


def test_new_statistics_are_folded_anew():
    model = normalised(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)))
    pictures = torch.rand(4, *model.input_shape)
    before = model.measure(pictures)
    model.settle(pictures * 0.1)
    assert not torch.allclose(model.measure(pictures), before)
    with torch.inference_mode():
        torch.testing.assert_close(model.measure(pictures), model.propagate(model.normalise(pictures)))


@pytest.mark.parametrize("kernel", [5, 7, 9])
@pytest.mark.parametrize("side", [32, 33])
def test_a_stem_and_its_gradient_are_the_same_in_blocks(kernel, side):
    model = network(nn.Sequential(nn.Conv2d(3, 8, kernel, 2, kernel // 2), nn.BatchNorm2d(8)), shape=(3, side, side))
    assert [type(m).__name__ for m in model._forms.of("output", model.normalise).modules()].count("_Stem") == 1
    x = torch.rand(2, 3, side, side)
    plain, quick = (model.propagate(x.requires_grad_(), folded=folded) for folded in (False, True))
    torch.testing.assert_close(quick, plain, rtol=1e-4, atol=1e-5)
    wanted, found = (torch.autograd.grad(y.square().sum(), x)[0] for y in (plain, quick))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_network_for_volumes_is_refused():
    with pytest.raises(InputError, match="`0` is a 3-D convolution"):
        Network(torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3)), name="toy")


class Tokens(nn.Module):
    """Patches behind some other tokens, through a layer that mixes none of them."""

    def __init__(self, extra):
        super().__init__()
        self.patch, self.mix, self.extra = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 8), extra

    def forward(self, x):
        patches = self.patch(x).flatten(2).transpose(1, 2)
        others = torch.zeros(len(x), self.extra, 8)
        return self.mix(torch.cat([others, patches], 1))[:, self.extra :].mean(1)


@pytest.mark.parametrize("extra", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 64, 96), (3, 48, 32)])
def test_the_last_layer_of_tokens_is_the_picture_whatever_lies_ahead_of_it(extra, shape):
    """Class, distillation and register tokens, and pictures that are not square."""
    model = network(Tokens(extra), shape=shape)
    assert model.find_layer("last") == "mix"
    pictures = torch.rand(2, *shape)
    wanted = model.module.mix(model.module.patch(model.normalise(pictures)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(model.measure(pictures, "mix"), wanted)
