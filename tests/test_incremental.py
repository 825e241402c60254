"""What is propagated is what the network does: every rule against dense float64, and every engine the same outcomes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from toys import SHAPE, Residual, Squared, network, plain, window
from toyseen import experiment

from perturb import apply_remedy, load
from perturb.errors import InputError, PerturbWarning
from perturb.evaluators.change import ChangeDetector
from perturb.evaluators.score import Score
from perturb.incremental import Incremental, Patches, choose_engine, engine_name, measure_copies, pointwise, rules
from perturb.incremental.attention import softmax
from perturb.incremental.check import MismatchError, check
from perturb.incremental.engine import CleanPictures
from perturb.incremental.pointwise import KINDS, SMOOTH
from perturb.incremental.products import Weights
from perturb.incremental.windows import Spans, group_alike, hull, slide
from perturb.perturbations.patches import Noise, Pixel
from perturb.stories.experiment import Wanted
from perturb.tasks.micro import Presence


class Gated(nn.Module):
    """Squeeze-and-excitation: a gate that sees the whole map."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardswish(self.first(x))
        return self.last(F.silu(x * F.hardsigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))))


class Reshaped(nn.Module):
    """The same, as many write it: pooled, flattened, viewed as a gate and expanded; pooled once more at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        gate = self.gate(x.mean((2, 3)).view(x.size(0), -1)).sigmoid().view(x.size(0), 8, 1, 1)
        return F.adaptive_avg_pool2d(F.relu(x * gate.expand(-1, -1, 32, 32)), 2).flatten(1)


class ChannelsLast(nn.Module):
    """A ConvNeXt block: layer normalisation and linear layers on channels that lie last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale * self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)


class Joined(nn.Module):
    """Branches that reach differently far, concatenated, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 4, 5, 2, 2), nn.Conv2d(3, 4, 1, 2)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 5)
        self.norm.running_var.fill_(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (0, 1, 0, 1))
        x = torch.cat([F.silu(self.wide(x)), F.relu6(self.narrow(x))], 1)
        x = F.avg_pool2d(F.leaky_relu(self.norm(x)), 3, 2, 1)[:, :, 1:, 1:]
        return self.head(F.max_pool2d(x, 3, 2, 1, ceil_mode=True).mean((2, 3)))


class Largest(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax((2, 3))


class Shuffled(nn.Module):
    """A ShuffleNet unit behind a replicated border: half of the channels goes on, and all are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.last = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(8, 4, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(F.pad(x, (2, 1, 0, 3), mode="replicate"))
        still, moving = x.chunk(2, dim=1)
        x = torch.cat([still, F.relu(self.branch(moving))], 1)
        n, channels, rows, columns = x.shape
        x = x.view(n, 2, channels // 2, rows, columns).transpose(1, 2).contiguous().view(n, channels, rows, columns)
        return self.last(x)


class Tokens(nn.Module):
    """A transformer block: patches as tokens beside one of its own, which asks the others last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.token = nn.Conv2d(3, 8, 8, 8), nn.Parameter(torch.rand(1, 1, 8))
        self.before, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.after, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        y = self.before(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.down(F.gelu(self.up(self.after(x))))
        return self.attention(x[:, :1], x, x)[0][:, 0]


class Windows(nn.Module):
    """Swin's attention in shifted windows, which lie where pictures do, with a mask that differs between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.qkv = nn.Conv2d(3, 8, 3, 4, 1), nn.LayerNorm(8), nn.Linear(8, 24)
        self.last = nn.Conv2d(8, 4, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        n, rows, columns, channels = x.shape
        y = torch.roll(F.pad(self.norm(x), (0, 0, 0, 0)), (-2, -2), (1, 2))
        y = y.view(n, 2, rows // 2, 2, columns // 2, channels).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(n * 4, rows * columns // 4, channels)
        query, key, value = self.qkv(y).reshape(n * 4, -1, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query * 0.5) @ key.transpose(-2, -1)
        mask = x.new_zeros((4, 1, *scores.shape[2:]))
        mask[:2, :, :5] = -100.0
        scores = (scores.view(n, 4, *scores.shape[1:]) + mask).view(scores.shape)
        y = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n, 2, 2, rows // 2, columns // 2, channels)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
        return self.last((x + torch.roll(y, (2, 2), (1, 2))).permute(0, 3, 1, 2))


class Grouped(nn.Module):
    """Normalised by its own statistics, a gate by neighbouring channels, and attention of channels written as sums."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 4, 3, 2, 1)
        self.groups, self.each = nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)
        self.all = nn.LayerNorm([4, 16, 16])
        for norm in (self.groups, self.each, self.all):
            nn.init.uniform_(norm.weight, 0.5, 2)
        self.gate = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.groups(self.first(x)))
        gate = self.gate(x.mean((2, 3)).view(x.shape[0], 1, -1)).sigmoid().view(x.shape[0], -1, 1, 1)
        x = self.each(x * gate.expand_as(x))
        y = x.flatten(2)
        weights = torch.einsum("bcp,bdp->bcd", y, y).mul(1e-3).softmax(-1)
        return self.all(self.last(torch.einsum("bcd,bdp->bcp", weights, y).view(x.shape) + x))


class Reduced(nn.Module):
    """Arithmetic by other names: from a number, sums, batched products, every second row and column."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.last(1 - F.relu(self.first(x))[..., 1::2, ::2]) / 2
        y = torch.rsub(x.sum(1, keepdim=True), x, alpha=2).flatten(2)
        return torch.bmm(y, y.transpose(1, 2)) + y.sum(axis=-1, keepdims=True)


NETWORKS = {
    "reduced": Reduced,
    "tokens": Tokens,
    "windows": Windows,
    "grouped": Grouped,
    "shuffled": Shuffled,
    "plain": plain,
    "residual": Residual,
    "gated": Gated,
    "reshaped": Reshaped,
    "channels last": ChannelsLast,
    "joined": Joined,
    "largest": lambda: nn.Sequential(window(3, padding=1), Largest()),
    "dead": lambda: window(1),
    "border means": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, 2, 1, count_include_pad=False)
    ),
    "dilated": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 2, dilation=2), nn.ELU(), nn.ConvTranspose2d(4, 2, 2, 2)),
}


def changes(engine, pictures, patches):
    sweep = engine.run_clean(pictures)
    found = sweep.output.new_zeros(len(patches), *sweep.output.shape[1:])
    sweep.add(found, np.arange(len(patches)), patches)
    return found, sweep


def dense_changes(engine, x, patches):
    x = x.double()
    after = x[torch.from_numpy(patches.picture)].clone()
    height, width = patches.values.shape[2:]
    for trial, (row, column) in enumerate(patches.start):
        after[trial, :, row : row + height, column : column + width] += patches.values[trial].double()
    with torch.inference_mode():
        return engine.evaluate(after) - engine.evaluate(x)[torch.from_numpy(patches.picture)]


def some_patches(rng, size=1, level=1 / 255, trials=40):
    """Random places on two pictures, the four corners among them."""
    last = SHAPE[1] - size
    start = np.concatenate([[[0, 0], [0, last], [last, 0], [last, last]], rng.integers(0, last + 1, (trials - 4, 2))])
    values = level * rng.standard_normal((trials, 3, size, size))
    return Patches(picture=rng.integers(0, 2, trials), start=start, values=torch.from_numpy(values).float())


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_grey_level_is_right_to_a_thousandth(name, size, rng):
    torch.manual_seed(0)
    engine = Incremental(network(NETWORKS[name]()), "output")
    patches = some_patches(rng, size)
    found, sweep = changes(engine, torch.rand(2, *SHAPE), patches)
    wanted = dense_changes(engine, sweep.x, patches)
    apart, norm = (found - wanted).flatten(1).norm(dim=1), wanted.flatten(1).norm(dim=1)
    assert (apart <= 1e-3 * norm + 1e-6 * norm.max()).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_change_is_exactly_zero(name, rng):
    torch.manual_seed(0)
    engine = Incremental(network(NETWORKS[name]()), "output")
    found, _ = changes(engine, torch.rand(2, *SHAPE), some_patches(rng, level=0.0))
    assert (found == 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_pointwise_differences(name):
    """Against float64, for changes from tiny to large, and exactly zero for none."""
    p = torch.rand(4000, generator=torch.Generator().manual_seed(0)) * 8 - 4
    if name in ("log", "sqrt", "rsqrt", "reciprocal"):
        p = p.abs() + 3
    d = torch.logspace(-6, 0, 4000)[torch.randperm(4000, generator=torch.Generator().manual_seed(1))] * 2
    call = getattr(torch, name, None) or getattr(F, name)
    arguments = {"clamp": (-1.0, 2.0), "clamp_min": (-1.0,), "clamp_max": (2.0,)}.get(name, ())
    function = KINDS[name](call, *arguments)
    wanted = call(p.double() + d, *arguments) - call(p.double(), *arguments)
    found = function.change(d, *function.read(p)).double()
    rounding = 1e-4 if name in SMOOTH.split() else 1e-6  # of D: beyond NEAR those are subtracted in float32
    assert ((found - wanted).abs() <= 1e-4 * wanted.abs() + rounding * d).all()
    assert (function.change(torch.zeros_like(p), *function.read(p)) == 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_pointwise_differences_of_more_than_is_taken_at_once(name, monkeypatch):
    """Piece by piece, near ones and far ones apart, the same numbers, written where they are wanted."""
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(8, 100, 200, generator=generator) * 2 + 1
    d = 2 * torch.logspace(-6, 0, 100)[:, None] * torch.rand(p.shape, generator=generator)
    call = getattr(torch, name, None) or getattr(F, name)
    arguments = {"clamp": (-1.0, 2.0), "clamp_min": (-1.0,), "clamp_max": (2.0,)}.get(name, ())
    function = KINDS[name](call, *arguments)
    out = torch.full_like(d, torch.nan)
    found = function.change(d, *function.read(p), out=out)
    monkeypatch.setattr(pointwise, "PIECE", d.numel())
    assert torch.equal(found, out)
    assert torch.equal(function.change(d, *function.read(p)), out)


@pytest.mark.parametrize("name", NETWORKS)
def test_clean_maps_are_read_where_they_lie_or_gathered(name, rng, monkeypatch):
    torch.manual_seed(0)
    engine = Incremental(network(NETWORKS[name]()), "output")
    pictures, patches = torch.rand(2, *SHAPE), some_patches(rng)
    gathered, _ = changes(engine, pictures, patches)
    monkeypatch.setattr(rules, "VIEWED", 1)
    torch.testing.assert_close(changes(engine, pictures, patches)[0], gathered, rtol=1e-5, atol=0)


class Dense(nn.Module):
    """Each layer sees all before it, the last one in another order (DenseNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 2 * i, 2, 3, 1, 1) for i in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x.relu()]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)).relu())
        return torch.cat([*found[:3], found[4], found[3]], 1)


def test_concatenations_that_begin_alike_share_what_is_alike(rng):
    torch.manual_seed(0)
    engine = Incremental(network(Dense()), "output")
    assert [len(step.sources) for step in engine.traced.steps if step.name == "cat"] == [1, 2, 2, 2, 3]
    pictures, patches = torch.rand(2, *SHAPE), some_patches(rng)
    found, sweep = changes(engine, pictures, patches)
    wanted = dense_changes(engine, sweep.x, patches)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


class Faint(nn.Module):
    """Five layers, each scaled by 1e-8: what is left is no float any more."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 3, 1, 1) for _ in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = 1e-8 * layer(x)
        return x


def test_what_is_too_small_for_a_float_dies_out(monkeypatch):
    """Denormal numbers are 100 times as slow."""
    seen, over = [], Weights.over
    monkeypatch.setattr(Weights, "over", lambda self, d, *rest: (seen.append(d), over(self, d, *rest))[1])
    torch.manual_seed(0)
    engine = Incremental(network(Faint()), "output")
    patches = Patches(picture=np.zeros(1, dtype=int), start=np.array([[30, 30]]), values=torch.ones(1, 3, 1, 1))
    changes(engine, torch.rand(1, *SHAPE), patches)
    assert len(seen) == 5
    assert all(((d == 0) | (d.abs() > rules.TINY)).all() for d in seen)


def test_softmax_differences():
    """Against float64, from changes that move hardly any weight to those that move nearly all to where none was."""
    generator = torch.Generator().manual_seed(0)
    p, d = torch.randn(2, 400, 50, generator=generator) * 8
    d *= torch.logspace(-6, 0.7, 400)[:, None]
    d[-20:, 0] += 30 - p[-20:, 0]
    wanted = (p.double() + d).softmax(-1) - p.double().softmax(-1)
    found = softmax(p.softmax(-1), d)
    apart, norm = (found - wanted).norm(dim=-1), wanted.norm(dim=-1)
    assert (apart <= 1e-3 * norm).all()
    assert (softmax(p.softmax(-1), torch.zeros_like(d)) == 0).all()


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 29), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 2)
)
def test_spans_hold_what_a_window_sees(start, length, kernel, stride, padding, dilation):
    """Against a convolution of ones: the span holds every position that differs, and reaches no further than they."""
    limit, stop = 30, min(30, start + length)
    x = torch.zeros(1, 1, limit)
    x[..., start:stop] = 1
    seen = F.conv1d(x, torch.ones(1, 1, kernel), None, stride, padding, dilation)[0, 0].nonzero().ravel().numpy()
    rows = (limit + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    spans = Spans(np.array([[start, start]]), np.array([[stop, stop]]))
    found = slide(spans, (kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2, (rows, rows))
    first, last = int(found.start[0, 0]), int(found.stop[0, 0])
    assert all(first <= position < last for position in seen)
    if dilation == 1:
        assert last - first == len(seen)


def test_hull_of_an_empty_span_is_the_other():
    empty, full = Spans(np.array([[0, 0]]), np.array([[0, 0]])), Spans(np.array([[3, 4]]), np.array([[5, 6]]))
    found = hull([empty, full])
    assert (found.start.tolist(), found.stop.tolist()) == ([[3, 4]], [[5, 6]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "layer"), [("torchvision:resnet18", "stride:8"), ("torchvision:mobilenet_v3_small", "stride:16")]
)
@pytest.mark.parametrize("padded", [False, True])
def test_networks_in_use_pass_the_self_check(reference, layer, padded, leaves):
    """As built and with padded kernels, whose hooks are followed too."""
    model = load(reference)
    if padded:
        model = model.with_module(apply_remedy(model, "padding:kept")[0])
    model.settle(torch.rand(4, *model.input_shape))
    check(Incremental(model, model.find_layer(layer)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "reference", ["examples/efficientnet_lite0.py:build", pytest.param("torchvision:swin_t", marks=pytest.mark.long)]
)
def test_whole_networks_pass_the_self_check(reference):
    """One that is trained, and one of attention alone."""
    check(Incremental(load(reference), "output"))


def test_memory_that_runs_out_halves_what_is_computed_at_once(rng, monkeypatch):
    engine = Incremental(network(plain()), "output")
    pictures, patches = torch.rand(2, *SHAPE), some_patches(rng)
    wanted, _ = changes(engine, pictures, patches)
    through = CleanPictures._through

    def small(sweep, patches, spans, trials):
        if len(trials) > 2:
            raise torch.OutOfMemoryError
        return through(sweep, patches, spans, trials)

    monkeypatch.setattr(CleanPictures, "_through", small)
    found, _ = changes(engine, pictures, patches)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_wrong_rule_is_found_out():
    engine = Incremental(network(plain()), "output")
    weights = engine.traced.steps[0].rule.weights
    weights.weight = weights.weight * 1.01
    with pytest.raises(MismatchError, match="a change is off by"):
        check(engine)


class Pooled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (F.max_pool2d(x, 2) + x.mean((2, 3), keepdim=True)).mean((2, 3))


def test_a_sum_moves_everywhere_where_its_smaller_input_moves_alone():
    """A pixel that is not its window's largest is made darker: the pool does not see it, the mean does."""
    torch.manual_seed(0)
    engine = Incremental(network(Pooled()), "output")
    pictures = torch.rand(1, *SHAPE)
    pictures[0, :, 10, 10], pictures[0, :, 10, 11] = 0.5, 1.0
    patches = Patches(picture=np.zeros(1, int), start=np.array([[10, 10]]), values=torch.full((1, 3, 1, 1), -0.25))
    found, sweep = changes(engine, pictures, patches)
    torch.testing.assert_close(found.double(), dense_changes(engine, sweep.x, patches), rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [30, 31, 32])
def test_a_patch_of_nearly_all_the_picture_stays_where_it_is(size, rng):
    """Before the first window an operation that passes differences on."""
    shape = (3, 32, 32)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()).eval()
    engine = Incremental(network(module, shape=shape), "output")
    start = rng.integers(0, 33 - size, (4, 2))
    values = torch.randn(4, 3, size, size)
    patches = Patches(picture=np.zeros(4, int), start=start, values=values)
    found, sweep = changes(engine, torch.rand(1, *shape), patches)
    torch.testing.assert_close(found.double(), dense_changes(engine, sweep.x, patches), rtol=1e-4, atol=1e-5)


class Viewed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 5, 4), nn.Linear(4 * 15 * 15, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.conv(x)).view(x.shape[0], -1))


def test_a_map_that_is_flattened_by_view_is_taken_and_followed():
    """Which channels last forbids: the network keeps its channels first."""
    model = network(Viewed())
    assert model.measure(torch.rand(9, *SHAPE)).shape == (9, 3)
    check(Incremental(model, "output"))


def test_where_nothing_is_saved_groups_stay_whole():
    zeros = np.zeros(100)
    assert [len(group) for group in group_alike(zeros, zeros, np.full(100, 0.02), 0.0)] == [50, 50]


def test_memory_that_runs_out_halves_the_clean_pictures_kept(rng, monkeypatch):
    model = network(plain())
    pictures, copied = torch.rand(6, *SHAPE), np.array([0, 1, 2, 0, 1, 2])
    engine, look = Incremental(model, "3"), Incremental.run_clean

    def small(engine, clean):
        if len(clean) > 1:
            raise torch.OutOfMemoryError
        return look(engine, clean)

    monkeypatch.setattr(Incremental, "run_clean", small)
    found = measure_copies(engine, pictures[:3], pictures, copied)
    torch.testing.assert_close(found, model.measure(pictures, "3"), rtol=1e-4, atol=1e-5)


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).sort(-1).values


@pytest.mark.parametrize("module", [Sorted(), nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"))])
def test_what_cannot_be_followed_is_recomputed_and_said(module):
    model = network(module)
    with pytest.warns(PerturbWarning, match="cannot be evaluated incrementally"):
        assert choose_engine(model, "output", "auto") is None
    with pytest.raises(InputError, match="use --engine dense"):
        choose_engine(model, "output", "incremental")
    assert choose_engine(model, "output", "dense") is None


def test_a_shuffle_keeps_the_window():
    """Not only right: a difference that a channel shuffle spread over the map would be right too."""
    engine = Incremental(network(Shuffled()), "output")
    spans = engine.spans(some_patches(np.random.default_rng(0)))
    assert all(span is not None and (span.areas < 30).all() for span in spans.values())


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=60), st.integers(1, 9), st.floats(0, 1e4))
def test_windows_computed_together_are_few_and_alike(sizes, most, overhead):
    rows, columns = np.array(sizes, dtype=float).reshape(-1, 2).T
    groups = group_alike(rows, columns, np.full(len(sizes), 1 / most), overhead)
    np.testing.assert_array_equal(np.sort(np.concatenate([*groups, []])), np.arange(len(sizes)))
    assert all(1 <= len(group) <= most for group in groups)


def test_small_windows_are_not_computed_at_the_size_of_large_ones():
    rows, columns = np.tile([2.0, 9.0], 8), np.repeat([3.0, 4.0], 8)
    groups = group_alike(rows, columns, np.full(16, 1 / 8), 1e9)
    assert [np.ptp(rows[group]) for group in groups] == [0, 0]
    groups = group_alike(rows, columns, np.full(16, 1 / 8), 1.0)
    assert [(np.ptp(rows[group]), np.ptp(columns[group])) for group in groups] == [(0, 0)] * 4


def test_many_windows_of_one_size_fill_their_groups():
    groups = group_alike(np.full(1000, 3.0), np.full(1000, 4.0), np.full(1000, 1 / 24), 1e9)
    assert min(map(len, groups)) >= 23
    groups = group_alike(np.full(5, 3.0), np.full(5, 4.0), np.full(5, 3.0), 1e9)
    assert [len(group) for group in groups] == [1] * 5  # each is more than fits


def test_auto_takes_the_engine_that_saves_work():
    assert choose_engine(network(plain(), shape=(3, 512, 512)), "output", "auto") is not None
    assert choose_engine(network(plain()), "output", "auto") is None  # so small that each step's overhead is more
    assert choose_engine(network(Gated(), shape=(3, 512, 512)), "output", "auto") is None


def test_a_product_of_activations_is_followed():
    check(Incremental(network(Squared()), "output"))


def test_measured_beside_its_twin_a_picture_is_what_it_is_alone(rng):
    """Changed copies, in any order, with patches of different sizes, one of them not changed at all."""
    model = network(plain())
    pictures = torch.rand(7, *SHAPE)
    twin = np.array([3, 1, 1, 3, 3, 5, 5])
    pictures[[0, 2, 4, 6]] = pictures[[3, 1, 3, 5]]
    pictures[0, :, 5, 9] = 0
    pictures[2, 1, 60:, 60:] = 1
    pictures[6] = torch.rand(SHAPE)
    clean, copied = np.unique(twin, return_inverse=True)
    found = measure_copies(Incremental(model, "3"), pictures[clean], pictures, copied)
    torch.testing.assert_close(found, model.measure(pictures, "3"), rtol=1e-4, atol=1e-5)
    assert torch.equal(found[4], found[3])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("evaluator", "perturbation"), [(ChangeDetector(layer="0"), Pixel()), (Score(target=1), Noise(size=3))]
)
def test_observations_do_not_depend_on_the_engine(evaluator, perturbation, leaves):
    torch.manual_seed(0)
    module = window(3, padding=1)
    if isinstance(evaluator, Score):
        module.extend([nn.ReLU(), nn.Conv2d(16, 4, 32)])
    task = Presence(perturbation=perturbation, level=1.0)
    dense, swift = (
        experiment(module, leaves, evaluator=evaluator, task=task, pairs=3, wanted=Wanted(engine=engine))[0]
        for engine in ("dense", "incremental")
    )
    one, other = dense.measurement.seen, swift.measurement.seen
    np.testing.assert_allclose(other.evidence, one.evidence, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other.realised, one.realised, rtol=1e-4)
    assert (dense.engine, swift.engine) == ("dense", "incremental")
    assert one.levels == pytest.approx(other.levels, rel=1e-4)


def test_bfloat16_is_asked_for_says_its_error_and_keeps_zero():
    model = network(nn.Sequential(*window(3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)))
    engine, exact = choose_engine(model, "output", "bfloat16"), choose_engine(model, "output", "incremental")
    assert 1e-4 < engine.error < 2e-2
    assert exact.error < 1e-5
    assert engine_name(engine) == f"incremental, bfloat16 (changes to {engine.error:.1%})"
    assert engine_name(exact) == "incremental"
    picture, start = torch.rand(1, *model.input_shape), np.array([[20, 20], [33, 40]])
    values = torch.tensor([0.0, 1 / 255]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    patches = Patches(picture=np.zeros(2, dtype=int), start=start, values=values)
    near, right = (changes(each, picture, patches)[0] for each in (engine, exact))
    assert not near[0].any()
    assert 0 < (near[1] - right[1]).norm() < 2e-2 * right[1].norm()
