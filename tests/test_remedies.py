"""Remedies: what they change, what they leave, and that they cure what they claim to."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import Residual, network, window

from perturb import apply_remedy, load
from perturb.comparisons import Treated
from perturb.contribution import structural
from perturb.errors import InputError, UsageError
from perturb.locations import fold, imbalance
from perturb.model import load_weights, save_weights
from perturb.operations import pair
from perturb.records import CLEAN, CLEAN_LIVE, DEAD, LIVE, Effect, Observation, OperatingPoint
from perturb.remedies import KINDS
from perturb.remedies.layers import describe, is_uneven
from perturb.stories.remedy import best_look, marked, right

ALL_CURE = ("padding", "slicing", "blurpool", "space-to-depth")


def treated(module: nn.Module, remedy: str, **options):
    built = network(module)
    return built.with_module(apply_remedy(built, remedy, **options)[0])


@pytest.mark.slow
@pytest.mark.parametrize("remedy", ["padding:kept", "space-to-depth:kept"])
@pytest.mark.parametrize(
    "reference",
    [
        "torchvision:mobilenet_v3_small",
        "torchvision:mnasnet0_5",
        "torchvision:regnet_y_400mf",
        "examples/efficientnet_lite0.py:build",
    ],
)
def test_kept_weights_leave_the_function_unchanged(reference, remedy):
    """No max-pool is widened in these: the largest change of an output is rounding."""
    model = load(reference)
    pictures = torch.rand(4, *model.input_shape, generator=torch.Generator().manual_seed(0))
    if model.untrained:
        model.settle(pictures)  # so that the outputs depend on the pictures
    module, done = apply_remedy(model, remedy)
    assert done.changed
    before, after = model.measure(pictures), model.with_module(module).measure(pictures)
    assert before.std(0).max() > 1e-3 * before.abs().max()
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()


def test_resnet_is_balanced_and_its_list_is_the_papers():
    """Kim et al.: conv1 7 -> 8, max-pool 3 -> 4, stride-2 3x3 -> 4x4, shortcut 1x1 -> 2x2."""
    model = load("torchvision:resnet18")
    module, done = apply_remedy(model, "padding:kept")
    sizes = {c.name: (c.before, c.after) for c in done.changed}
    assert sizes["conv1"] == ("7 x 7 / 2", "8 x 8 / 2")
    assert sizes["maxpool"] == ("3 x 3 / 2", "4 x 4 / 2")
    assert sizes["layer2.0.conv1"] == ("3 x 3 / 2", "4 x 4 / 2")
    assert sizes["layer2.0.downsample.0"] == ("1 x 1 / 2", "2 x 2 / 2")
    assert len(sizes) == 8
    assert structural(model.with_module(module)).period == 1
    assert structural(model).period == 32


@pytest.mark.parametrize("remedy", ALL_CURE)
@pytest.mark.parametrize("groups", [1, 3])
def test_a_strided_kernel_becomes_balanced(remedy, groups):
    cured = treated(nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, groups=groups)), remedy)
    assert imbalance(fold(structural(cured), 2)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("remedy", ["padding", "slicing", "pool", "blurpool"])
def test_a_max_pool_becomes_balanced(remedy):
    for pool in (nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True)):
        cured = treated(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), pool), remedy)
        assert imbalance(fold(structural(cured), 2)) == pytest.approx(1, abs=1e-12)


def test_a_strided_shortcut_becomes_balanced():
    """Slicing has nothing to take from a 1 x 1 kernel; the mean of 2 x 2 pixels meets all alike."""
    shortcut = nn.Sequential(nn.Conv2d(3, 6, 1, 2))
    for remedy in ("padding", "mean-shortcut", "blurpool", "space-to-depth"):
        assert imbalance(fold(structural(treated(shortcut, remedy)), 2)) == pytest.approx(1, abs=1e-12)
    with pytest.raises(InputError, match="remedy `slicing` found no layer to change"):
        treated(shortcut, "slicing")


def test_space_to_depth_is_a_convolution_over_blocks():
    """The paper's own form: pixel_unshuffle, then a kernel that moves by 1; weights at their places."""
    strided = nn.Conv2d(3, 5, 3, 2, 1)
    moved = treated(nn.Sequential(strided), "space-to-depth:fresh").module[0]
    blocks, kernel = F.pixel_unshuffle(torch.rand(1, 3, 16, 16), 2), F.pixel_unshuffle(moved.weight, 2)
    x = F.pixel_shuffle(blocks, 2)
    assert kernel.shape == (5, 12, 3, 3)
    torch.testing.assert_close(moved(x), F.conv2d(blocks, kernel, moved.bias, padding=1))


def test_slicing_drops_the_first_taps():
    strided = nn.Conv2d(3, 5, 3, 2, 1, bias=False)
    sliced = treated(nn.Sequential(strided), "slicing:kept").module[0]
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(sliced(x), F.conv2d(x, strided.weight[:, :, 1:, 1:], stride=2))


def test_blurpool_is_a_dense_window_and_a_filter():
    """[1, 3, 3, 1] / 8 each way, away from the border."""
    strided = nn.Conv2d(3, 5, 3, 2, 1, bias=False)
    blurred = treated(nn.Sequential(strided), "blurpool:kept").module[0]
    x, tap = torch.rand(1, 3, 16, 16), torch.tensor([1.0, 3, 3, 1]) / 8
    dense = F.conv2d(x, strided.weight, padding=1)
    expected = F.conv2d(dense, torch.outer(tap, tap).expand(5, 1, 4, 4), stride=2, padding=1, groups=5)
    torch.testing.assert_close(blurred(x)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])
    assert blurred(torch.ones(1, 3, 2, 2)).shape == (1, 5, 1, 1)


def test_mean_shortcut_is_a_mean_and_a_point_wise_kernel():
    strided = nn.Conv2d(3, 5, 1, 2)
    meaned = treated(nn.Sequential(strided), "mean-shortcut:kept").module[0]
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(meaned(x), F.conv2d(F.avg_pool2d(x, 2), strided.weight, strided.bias))


def test_fresh_weights_are_seeded_and_keep_their_scale():
    model = network(nn.Sequential(window(3, padding=1, channels=256), nn.BatchNorm2d(256)))
    before = copy.deepcopy(model.module.state_dict())
    drawn = [apply_remedy(model, "padding:fresh", seed=seed)[0][0][0].weight for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    old = before["0.0.weight"]
    assert drawn[0].square().mean() / old.square().mean() == pytest.approx(9 / 16, rel=0.1)
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())


def test_weights_are_fresh_for_an_untrained_network_alone():
    model = network(nn.Sequential(window(3, padding=1), nn.BatchNorm2d(16)))
    assert apply_remedy(model, "padding")[1].weights == "fresh"
    model.settle(torch.rand(8, *model.input_shape))
    assert apply_remedy(model.with_module(model.module), "padding")[1].weights == "kept"


@pytest.mark.slow
def test_wide_strides():
    """Two blurs by 2 are one of 10 taps by 4, whose squares differ by phase; the kernel of 5 ahead smooths that."""
    taps = np.array([1, 3, 3, 1]) / 8
    both = np.convolve(taps, np.insert(taps, [1, 2, 3], 0))
    squares = np.array([(both[phase::4] ** 2).sum() for phase in range(4)])
    met = [squares.sum() + square for square in squares]  # of 5 neighbours, one phase twice
    built = network(nn.Sequential(nn.Conv2d(3, 4, 5, 4, 2)))
    for remedy, after, ratio in (
        ("padding", "8 x 8 / 4", 1),
        ("slicing", "4 x 4 / 4", 1),
        ("blurpool", "5 x 5 / 1, blur 4 x 4 / 4", (max(met) / min(met)) ** 2),
    ):
        module, done = apply_remedy(built, remedy)
        assert done.changed[0].after == after
        values = structural(built.with_module(module)).values
        assert values.max() / values.min() == pytest.approx(ratio, rel=1e-9)


def test_grouped_dilated_and_residual_windows():
    grouped = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1, groups=3), Residual())
    module, done = apply_remedy(network(grouped), "padding")
    assert [c.name for c in done.changed] == ["0", "1.main", "1.short"]
    assert structural(network(module)).period == 1
    odd_stride = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 3, dilation=3))
    assert structural(treated(odd_stride, "padding")).period == 1


@pytest.mark.parametrize("remedy", list(KINDS))
def test_every_remedy_saves_and_loads(remedy, tmp_path):
    def built(seed: int):
        torch.manual_seed(seed)
        return network(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(3, 2, 1), Residual4(), nn.BatchNorm2d(4)))

    with torch.random.fork_rng():
        first, second = built(0), built(1)
    saved, _ = apply_remedy(first, f"{remedy}:fresh", seed=3)
    save_weights(saved, tmp_path / "w.safetensors")
    again, _ = apply_remedy(second, remedy)
    load_weights(again, tmp_path / "w.safetensors")
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(again(x), saved(x), rtol=0, atol=0)


class Residual4(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main, self.short = nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 1, 2)

    def forward(self, x):
        return self.main(x) + self.short(x)


class OwnPadding(nn.Conv2d):
    """Computes its padding from the kernel, as TensorFlow's SAME does."""

    def forward(self, x):
        extra = max((-(-x.shape[-1] // 2) - 1) * 2 + self.kernel_size[0] - x.shape[-1], 0)
        return super().forward(nn.functional.pad(x, (0, extra, 0, extra)))


class Standardised(nn.Conv2d):
    """Its weights have mean 0 and variance 1 (ResNetV2, NFNet): a row of zeros changes all of them."""

    def forward(self, x):
        flat = self.weight.flatten(1)
        weight = (self.weight - flat.mean(1).view(-1, 1, 1, 1)) / flat.std(1).view(-1, 1, 1, 1)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


def test_weights_that_a_layer_makes_itself_are_not_kept():
    built = network(nn.Sequential(Standardised(3, 4, 3, 2, 1)))
    for remedy in ("padding:kept", "space-to-depth:kept"):
        with pytest.raises(InputError, match="layer `0` computes its own weights"):
            apply_remedy(built, remedy)
    module, done = apply_remedy(built, "padding:fresh")
    assert (done.weights, module[0].kernel_size) == ("fresh", (4, 4))


@pytest.mark.parametrize(
    ("module", "remedy", "told"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 2, dilation=2)), "padding", "layer `0`: dilation .* shares a factor"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect")), "slicing", "layer `0`: padding reflect"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding="same")), "padding", "remedy `padding` found no layer to change"),
        (nn.Sequential(OwnPadding(3, 4, 3, 2)), "padding", "layer `0` computes its own padding"),
        (nn.Sequential(nn.Conv2d(3, 4, 5, 3)), "blurpool", r"layer `0`: stride \(3, 3\) is not a power of 2"),
    ],
)
def test_refused_by_name(module, remedy, told):
    with pytest.raises(InputError, match=told):
        apply_remedy(network(module), remedy)


@pytest.mark.parametrize(
    ("remedy", "told"),
    [("blurpol", "Did you mean `blurpool`"), ("padding:new", "expected padding, padding:kept or padding:fresh")],
)
def test_unknown_remedies(remedy, told):
    with pytest.raises(UsageError, match=told):
        apply_remedy(network(window(3)), remedy)


@pytest.mark.parametrize(
    ("kernel", "stride", "uneven"),
    [
        (3, 2, True),
        (4, 2, False),
        (1, 1, False),
        (3, 1, False),
        (1, 2, True),
        (7, 4, True),
        ((4, 3), (2, 3), False),
        ((4, 3), 2, True),
        ((3, 4), 2, True),
        (3, (1, 3), False),
        (2, (1, 3), True),
    ],
)
def test_a_layer_is_uneven_if_its_kernel_is_no_multiple_of_its_stride(kernel, stride, uneven):
    """On either axis; the same for convolutions and max-pools, and dilation does not matter."""
    assert is_uneven(nn.MaxPool2d(kernel, stride)) is uneven
    assert is_uneven(nn.Conv2d(1, 1, kernel, stride, dilation=3)) is uneven


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (1, 2), (5, 3), (6, 3), (2, 1)])
def test_an_uneven_layer_reads_its_pixels_unequally_often(kernel, stride):
    """By counting: how often each pixel away from the border is read."""
    reads = torch.zeros(40)
    for first in range(0, 40 - kernel + 1, stride):
        reads[first : first + kernel] += 1
    inner = reads[8:-8]
    assert is_uneven(nn.Conv2d(1, 1, kernel, stride)) is bool(inner.min() < inner.max())


@pytest.mark.parametrize(
    ("kernel", "stride", "words"),
    [((3, 3), (2, 2), "3 x 3 / 2"), ((1, 7), (1, 1), "1 x 7 / 1"), ((4, 2), (2, 1), "4 x 2 / 2 x 1")],
)
def test_layers_in_words(kernel, stride, words):
    assert describe(kernel, stride) == words


@pytest.mark.parametrize(("value", "rows_and_columns"), [(3, (3, 3)), ((2, 5), (2, 5)), ([4, 1], (4, 1))])
def test_one_number_stands_for_rows_and_columns(value, rows_and_columns):
    assert pair(value) == rows_and_columns


@pytest.mark.parametrize(
    ("remedy", "kernel", "stride", "after"),
    [
        ("padding", (3, 1), (2, 1), "4 x 1 / 2 x 1"),
        ("padding", (7, 5), (2, 4), "8 x 8 / 2 x 4"),
        ("padding", (5, 5), (3, 3), "6 x 6 / 3"),
        ("slicing", (7, 5), (2, 4), "6 x 4 / 2 x 4"),
        ("slicing", (3, 4), (2, 2), "2 x 4 / 2"),
        ("space-to-depth", (3, 3), (2, 2), "6 x 6 / 2"),
        ("space-to-depth", (1, 3), (2, 2), "2 x 6 / 2"),
    ],
)
def test_the_new_size_of_a_kernel(remedy, kernel, stride, after):
    """By hand, for each axis: the next larger, the next smaller multiple, or k s."""
    built = network(nn.Sequential(nn.Conv2d(3, 4, kernel, stride, (1, 0))))
    (change,) = apply_remedy(built, remedy)[1].changed
    assert (change.name, change.kind, change.after) == ("0", "Conv2d", after)


def test_padding_adds_zeros_right_and_below():
    """With kept weights the padded convolution is the old one: new taps are 0 and old ones keep their places."""
    old = nn.Conv2d(3, 5, 3, 2, 1)
    new = treated(nn.Sequential(old), "padding:kept").module[0]
    assert torch.equal(new.weight[:, :, :3, :3], old.weight)
    assert new.weight[:, :, 3].count_nonzero() == new.weight[:, :, :, 3].count_nonzero() == 0
    for size in (15, 16):
        x = torch.rand(1, 3, size, size)
        torch.testing.assert_close(new(x), old(x))


def test_a_padded_max_pool_is_the_maximum_of_more_pixels():
    """4 x 4 / 2 instead of 3 x 3 / 2, with one row and column more at the far border, where nothing can win."""
    pool = treated(nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(3, 2, 1)), "pool").module[1]
    x = torch.randn(1, 3, 16, 16) - 10
    expected = F.max_pool2d(F.pad(x, (1, 2, 1, 2), value=-torch.inf), 4, 2)
    assert torch.equal(pool(x), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (3, 2), (5, 2), (1, 3), (2, 3), (5, 3)])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_space_to_depth_keeps_every_weight_and_starts_at_a_block(kernel, stride, padding):
    """With kept weights it is the old convolution; its first tap reads the first pixel of a block of the picture."""
    old = nn.Conv2d(3, 5, kernel, stride, padding)
    built = network(nn.Sequential(old), shape=(3, 24, 24))
    new = apply_remedy(built, "space-to-depth:kept")[0][0]
    x = torch.rand(1, 3, 24, 24)
    torch.testing.assert_close(new(x), old(x))
    assert new.weight.count_nonzero() == old.weight.count_nonzero()
    (hook,) = new._forward_pre_hooks.values()
    assert hook.margin[0] % stride == hook.margin[2] % stride == 0


def test_even_layers_and_the_original_network_stay():
    built = network(nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.MaxPool2d(2)))
    before = copy.deepcopy(built.module.state_dict())
    module, done = apply_remedy(built, "padding:kept")
    assert [change.name for change in done.changed] == ["1"]
    assert (module[0].kernel_size, module[2].kernel_size) == ((4, 4), 2)
    assert built.module[1].kernel_size == (3, 3)
    assert all(torch.equal(before[name], value) for name, value in built.module.state_dict().items())


class NeedsItsSize(nn.Module):
    """Runs only while the convolution's kernel is 3 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x):
        return self.conv(x) + self.conv.weight.sum((0, 1)).view(9)[:1].view(1, 1, 1, 1)


def test_a_network_that_no_longer_runs_is_an_error_in_one_line():
    with pytest.raises(InputError, match="the changed network does not run") as caught:
        apply_remedy(network(NeedsItsSize()), "padding")
    assert "\n" not in str(caught.value)


def test_a_widened_max_pool_takes_the_largest_of_its_own_pixels():
    """3 x 3 becomes 4 x 4, right and below; beyond the picture is nothing, not 0."""
    pool = treated(nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(3, 2, 1)), "padding:kept").module[1]
    x = -torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0)) - 1
    found = pool(x)
    assert found.shape == (1, 3, 5, 5)
    for row in range(5):
        for column in range(5):
            covered = x[..., max(0, 2 * row - 1) : 2 * row + 3, max(0, 2 * column - 1) : 2 * column + 3]
            torch.testing.assert_close(found[..., row, column], covered.amax((2, 3)))


def test_blur_lets_a_constant_through_and_stops_the_finest_stripes():
    """A binomial filter has weight 1 at frequency 0 and none at the highest."""
    module = nn.Sequential(nn.Conv2d(3, 1, 1, 2, bias=False))
    module[0].weight.data.fill_(1 / 3)
    blurred = treated(module, "blurpool:kept").module[0]
    flat, stripes = torch.full((1, 3, 16, 16), 0.7), torch.arange(16).remainder(2).float().expand(1, 3, 16, 16)
    torch.testing.assert_close(blurred(flat), torch.full((1, 1, 8, 8), 0.7))
    torch.testing.assert_close(blurred(stripes)[..., 1:-1], torch.full((1, 1, 8, 6), 0.5))


def test_the_best_of_neighbouring_looks():
    """Strictly dead off (0, 0) in cells of 2 x 2, one of four looks always meets the living phase."""
    assert imbalance(best_look(np.array([[4.0, 0], [0, 0]]), 2)) == 1
    assert best_look(np.arange(16.0).reshape(4, 4), 2)[1].tolist() == [7, 5, 6, 7]


def row(loss, cost, right):
    effect = Effect(value=loss, low=loss, high=loss, n=9, method="", confidence=0.95, spread=0.0)
    return Treated(
        name="",
        done=None,
        parameters=None,
        multiply_adds=None,
        layer="output",
        structural=None,
        energy=None,
        dead=0.0,
        live=0.0,
        accuracy=right,
        loss=effect,
        cost=cost,
    )


def test_the_front_is_what_none_beats():
    """As built it is cheapest, asked twice it loses least; a third costs as much and loses more; a gain is no loss."""
    rows = [row(0.5, 1, 0.8), row(-0.1, 4, 0.9), row(0.2, 4, 0.9), row(0.0, 4, 0.9), row(0.5, 1, 0.7)]
    assert [each.front for each in marked(rows)] == [True, True, False, True, False]


@pytest.mark.parametrize(("clean", "share"), [("absent", (0.5 + 1 - 0.25) / 2), ("right", 0.25), ("none", 0.5)])
def test_right_answers_by_photograph(clean, share):
    """Dead 0, live 1, of four clean pictures one reported; the other photograph answers all as it should."""
    evidence = np.zeros((1, 1, 3, 2, 4))
    evidence[..., LIVE] = 1
    evidence[0, 0, 2, :, DEAD] = 1
    evidence[0, 0, 0, 0, [CLEAN, CLEAN_LIVE]] = 1
    seen = Observation(
        evidence=evidence,
        realised=evidence,
        threshold=np.full((1, 3), 0.5),
        measures={},
        levels=(1.0,),
        photograph=np.array([4, 4, 7]),
        point=OperatingPoint(false_alarms=0.05, clean=clean, chance=0.5),
        truth=np.zeros((1, 3, 2), dtype=int),
    )
    assert right(seen) == {4: share, 7: {"absent": 1.0, "right": 0.0, "none": 1.0}[clean]}
