"""Theoretical receptive fields against closed forms and the support of real gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer
from toys import SHAPE, Residual, network

from perturb import load
from perturb.contribution import receptive_field, structural
from perturb.contribution.reach import strides
from perturb.errors import InputError, UnsupportedOperationError
from perturb.images import load_images
from perturb.stories import rf


class Branches(nn.Module):
    """Three branches with fields of different size and place, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.ZeroPad2d((0, 3, 1, 2)), nn.Conv2d(3, 4, 4, 2))
        self.dilated = nn.Conv2d(3, 4, 3, 2, 2, dilation=2)
        self.pooled = nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        return torch.cat([self.wide(x), self.dilated(x)[:, :, :32, :32], self.pooled(x)], 1)


class Gated(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


def chain() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 5, 1, 2))


@pytest.mark.parametrize(
    "module",
    [
        chain(),
        nn.Sequential(Residual(), nn.Conv2d(8, 8, 3, padding=1)),
        nn.Sequential(Branches(), nn.Conv2d(11, 11, 3, 2, 1, groups=11)),
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.AvgPool2d(3, 2)),
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1)),
        nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ChannelShuffle(3), nn.BatchNorm2d(6), nn.Hardswish()),
    ],
)
def test_the_field_is_the_support_of_the_gradient(module):
    """With positive weights no two paths cancel: the central position's gradient fills its field, edge to edge."""
    with torch.no_grad():
        for p in module.parameters():
            p.abs_()
    model = network(module)
    last = [name for name in model.feature_maps if "." not in name][-1]
    found = receptive_field(model, last)
    x = torch.ones(1, *model.input_shape).requires_grad_()
    at = [n // 2 for n in model.propagate(x, last).shape[2:]]
    covered = torch.zeros(x.shape[2:], dtype=torch.bool)
    for _ in range(20):  # a max-pool passes a gradient to one pixel: many pictures fill its window
        y = model.propagate(x + torch.rand(x.shape), last)
        (gradient,) = torch.autograd.grad(y[0, :, at[0], at[1]].sum(), x)
        covered |= gradient.sum((0, 1)) > 0
    for axis in (0, 1):
        seen = covered.any(1 - axis).nonzero().ravel()
        first = found.offset[axis] + found.stride[axis] * at[axis]
        assert (int(seen[0]), int(seen[-1]) + 1) == (first, first + found.size[axis])


def test_a_chain_is_the_closed_form():
    """Size 1 + sum (k - 1) S, offset - sum p S, S the product of the strides before."""
    found = receptive_field(network(chain()), "3")
    assert found.size == (1 + 6 + 2 * 2 + 4 * 4,) * 2
    assert found.offset == (-(3 + 1 * 2 + 2 * 4),) * 2
    assert found.stride == (4, 4)


def test_resnet18_by_its_main_branch():
    size, jump = 1, 1
    kernels = [(7, 2), (3, 2), *[(3, 1)] * 4, *[(3, 2), (3, 1), (3, 1), (3, 1)] * 3]
    for kernel, stride in kernels:
        size, jump = size + (kernel - 1) * jump, jump * stride
    found = receptive_field(load("torchvision:resnet18"), "layer4")
    assert (found.size, found.stride) == ((size, size), (jump, jump)) == ((435, 435), (32, 32))


def test_attention_sees_the_whole_picture_and_gates_see_nothing():
    vit = VisionTransformer(image_size=64, patch_size=16, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16)
    assert receptive_field(network(vit, shape=(3, 64, 64)), "encoder").size is None
    assert receptive_field(network(nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), Gated())), "1").size == (3, 3)


@pytest.mark.slow
def test_attention_leaves_each_position_where_it_lies():
    """Its stride is that of its window, behind a crop too, where a ratio of sizes would say twice as much."""

    class Attends(nn.Module):
        def __init__(self, attend):
            super().__init__()
            self.patches, self.attend = nn.Conv2d(3, 8, (4, 2), (4, 2)), attend

        def forward(self, x):
            y = self.patches(x[:, :, 16:48, 16:48])
            tokens = y.flatten(2).mT
            return self.attend(tokens).mT.unflatten(2, y.shape[2:])

    many = nn.MultiheadAttention(8, 2, batch_first=True)
    for attend in (
        lambda x: F.scaled_dot_product_attention(x, x, x),
        lambda x: x + (x @ x.mT).softmax(-1) @ x,
        lambda x: x - x.mean(1, keepdim=True),
        lambda x: many(x, x, x, need_weights=False)[0],
    ):
        model = network(Attends(attend))
        assert receptive_field(model, "output").size is None
        assert strides(model, "output") == (4, 2)
    assert strides(network(Attends(lambda x: x.flip(1))), "output") is None
    assert strides(load("torchvision:swin_t"), "permute") == (32, 32)


def test_an_operation_without_a_rule_is_named():
    class Summed(nn.Module):
        def forward(self, x):
            return x.cumsum(2)

    with pytest.raises(UnsupportedOperationError, match="no rule for `cumsum`"):
        receptive_field(network(nn.Sequential(Summed())), "0")


def test_a_view_without_a_rule_is_named_and_leaves_its_source_alone():
    class Viewed(nn.Module):
        def forward(self, x):
            return x + x.diagonal(dim1=2, dim2=3)[..., None]

    with pytest.raises(UnsupportedOperationError, match="no rule for `diagonal`"):
        receptive_field(network(Viewed()), "output")


def test_attention_within_each_phase_of_a_map_sees_the_whole_picture():
    """As in MobileViT: all positions of one phase of 2 x 2 meet, and the next convolution reads all phases."""

    class Phases(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.next = nn.Conv2d(3, 4, 8, 4, 2), nn.Conv2d(4, 4, 3, 2, 1)

        def forward(self, x):
            y = self.down(x)
            patches = y.unflatten(3, (8, 2)).unflatten(2, (8, 2))
            met = patches + patches.mean((2, 4), keepdim=True)
            return self.next(met.flatten(4).flatten(2, 3))

    model = network(Phases())
    assert receptive_field(model, "output").size is None
    assert pixels_that_move(model, "output") == ((0, 0), (64, 64))
    deep = network(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 31, 1, 15), nn.Conv2d(4, 4, 31, 2, 15)))
    assert receptive_field(deep, "2").stride == (4, 4)


def test_a_gate_that_ends_the_network_sees_what_its_input_sees():
    """3 x 3 with stride 2 twice, then 2 x 2 transposed twice, which reads one position: 1 + 2 + 2 * 2 pixels."""
    body = [nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), nn.ConvTranspose2d(8, 8, 2, 2)]
    for gate in (nn.Sigmoid(), nn.Softmax(dim=1)):
        model = network(nn.Sequential(*body, gate))
        found, before = receptive_field(model, "3"), receptive_field(model, "2")
        assert found.size == (7, 7)
        assert (found.offset, found.stride) == (before.offset, before.stride)


@pytest.mark.parametrize("function", [torch.square, lambda x: x**3, torch.exp, lambda x: x.abs().sqrt_()])
def test_a_function_of_each_number_sees_what_its_input_sees(function):
    class Act(nn.Module):
        def forward(self, x):
            return function(x)

    model = network(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), Act(), nn.Conv2d(8, 8, 3, 2, 1)))
    assert receptive_field(model, "2").size == (7, 7)


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.model = inner

    def forward(self, x):
        return self.model(x)


def test_wrapped_networks_are_shown_by_depth_like_plain_ones():
    plain, images = network(chain()), load_images("noise", shape=SHAPE, count=1, seed=0)
    nested = network(Wrapped(Wrapped(chain())))
    sizes = [[field.theory.size for field in rf.by_depth(model, images)] for model in (plain, nested)]
    assert sizes[0] == sizes[1] == [(7, 7), (11, 11), (27, 27)]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
@pytest.mark.parametrize("given", [{"scale_factor": 2}, {"size": 48}, {"scale_factor": 0.5}, {"size": 20}])
def test_resizing_inside_a_network_sees_what_its_gradient_shows(mode, given):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), Resized(mode=mode, **given), nn.Conv2d(4, 2, 3, 1, 1))
    model = network(module)
    field = receptive_field(model, "output")
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    y = model.propagate(x)
    (gradient,) = torch.autograd.grad(y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum(), x)
    seen = gradient[0].abs().sum(0).nonzero()
    assert field.size == tuple((seen.amax(0) - seen.amin(0) + 1).tolist())


class Resized(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, x):
        return F.interpolate(x, **self.options)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, a, b: torch.sigmoid(b(torch.sigmoid(a(x)))),
        lambda x, a, b: b(a(x).softmax(1)),
        lambda x, a, b: torch.sigmoid(b(torch.sigmoid(a(x)) * torch.sigmoid(a(x).mean((2, 3), keepdim=True)))),
        lambda x, a, b: b(torch.sigmoid(a(x)) + 1) * torch.sigmoid(a(x).amax((2, 3), keepdim=True)).sigmoid(),
    ],
)
def test_a_sigmoid_is_a_gate_only_where_it_multiplies(call):
    """As the nonlinearity of a network it passes what it is given on, for the map and for the field."""

    class Net(nn.Module):
        def __init__(self, call):
            super().__init__()
            self.a, self.b, self.call = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), call

        def forward(self, x):
            return self.call(x, self.a, self.b)

    relus = network(Net(lambda x, a, b: b(torch.relu(a(x)))))
    found = network(Net(call))
    assert receptive_field(found, "output") == receptive_field(relus, "output")
    assert structural(found).values == pytest.approx(structural(relus).values, rel=1e-12)


@pytest.mark.parametrize("shaped", ["expand_as", "view_as"])
def test_a_gate_in_the_shape_of_what_it_multiplies_is_a_gate(shaped):
    """Efficient channel attention: a convolution along the channels' means, which no rule follows."""

    class Attended(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.along = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x):
            y = self.body(x)
            gate = torch.sigmoid(self.along(y.mean((2, 3))[:, None])).reshape(-1, 8, 1, 1).expand(y.shape).contiguous()
            return y * getattr(gate, shaped)(y)

    found, plain = network(Attended()), network(Attended().body)
    assert receptive_field(found, "output") == receptive_field(plain, "output")
    assert structural(found).values == pytest.approx(structural(plain).values, rel=1e-12)


def test_code_that_breaks_on_coordinates_is_refused_in_one_line():
    class Breaks(nn.Module):
        def forward(self, x):
            if x.requires_grad and float(x.detach().amax()) > 10:
                raise ValueError("values beyond 10\nand more")
            return x

    with pytest.raises(UnsupportedOperationError, match=r"cannot be followed: values beyond 10$"):
        receptive_field(network(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Breaks())), "1")


def pixels_that_move(model, layer):
    """First row and column that the central position's gradient reaches, and how many, over noise."""
    x = torch.rand(1, *model.input_shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = model.propagate(x, layer)
    (gradient,) = torch.autograd.grad(y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum(), x)
    seen = gradient[0].abs().sum(0).nonzero()
    first, last = seen.amin(0).tolist(), seen.amax(0).tolist()
    return tuple(first), tuple(b - a + 1 for a, b in zip(first, last, strict=True))


class Around(nn.Module):
    """A convolution, what is tried, and another one."""

    def __init__(self, call):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.a, self.b, self.call = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), call

    def forward(self, x):
        return self.b(self.call(self.a(x)))


@pytest.mark.parametrize(
    "call",
    [
        lambda y: y - y.std(1, keepdim=True),
        lambda y: torch.var(y, 1, True, True).expand_as(y),
        lambda y: sum(torch.var_mean(y, (1,), keepdim=True)) + y,
        lambda y: torch.std_mean(y, 1, keepdim=True)[1] + y,
        lambda y: y + y.norm(2, 1, True),
        lambda y: torch.linalg.vector_norm(y, dim=1, keepdim=True).repeat(1, 4, 1, 1),
        lambda y: y.amin(1, keepdim=True) + y.logsumexp(1, keepdim=True) - y.prod(1, keepdim=True) + y,
        lambda y: y.unflatten(3, (8, 4)).std(4).repeat_interleave(4, 3),
        lambda y: y.roll((3, -2), (2, 3)),
        lambda y: torch.roll(y, 2, 1),
        lambda y: y.flip(3),
        lambda y: y.fliplr() + y.flip(1),
        lambda y: y.rot90(1, (2, 3)),
        lambda y: torch.where(y > 0, y, y.roll(5, 3)),
        lambda y: torch.where(y.mean((2, 3), keepdim=True) < 9, y, torch.zeros(())),
        lambda y: y * (y.roll(9, 2) >= y).float(),
        lambda y: y.masked_fill(torch.isnan(y), 0.0),
    ],
)
def test_statistics_masks_and_turns_see_what_their_gradient_shows(call):
    model = network(Around(call))
    field = receptive_field(model, "output")
    first, size = pixels_that_move(model, "output")
    assert field.size == size
    assert tuple(o + s * (n // 2) for o, s, n in zip(field.offset, field.stride, field.positions, strict=True)) == first


@pytest.mark.parametrize(
    "call",
    [
        lambda y: y @ y.transpose(2, 3),
        lambda y: y.transpose(2, 3) @ torch.ones(32, 32),
        lambda y: torch.einsum("nchw,nchv->nchv", y, y),
        lambda y: torch.einsum("nchw,dc->nhwd", y, torch.ones(4, 4)).permute(0, 3, 1, 2),
        lambda y: torch.einsum("nchw, nchw -> nchw", y, y.roll(4, 3)),
    ],
)
def test_products_that_are_summed_see_what_their_gradient_shows(call):
    model = network(Around(call))
    field, (first, size) = receptive_field(model, "output"), pixels_that_move(model, "output")
    ends = [(o + s * (n // 2), o + s * (n // 2) + w) for o, s, n, w in zip(*_facts(field), strict=True)]
    inside = [(max(0, a), min(64, b) - max(0, a)) for a, b in ends]
    assert inside == list(zip(first, size, strict=True))


def _facts(field):
    return field.offset, field.stride, field.positions, field.size


def test_a_division_by_one_number_of_the_picture_is_a_gate():
    """Its mean, which is subtracted, is not."""
    alone = network(Around(lambda y: y / y.std((1, 2, 3), keepdim=True)))
    assert receptive_field(alone, "output").size == (7, 7)
    both = network(Around(lambda y: (y - y.mean((1, 2, 3), keepdim=True)) / y.std((1, 2, 3), keepdim=True)))
    assert receptive_field(both, "output").size is None


@pytest.mark.parametrize("fused", [False, True])
def test_a_channels_norm_that_multiplies_its_map_is_a_gate(fused):
    """Global response normalisation."""

    def respond(y):
        norms = y.norm(2, (2, 3), keepdim=True)
        scaled = y * (norms / (norms.mean(1, keepdim=True) + 1e-6))
        weight = torch.ones(1, 4, 1, 1)
        return y + (torch.addcmul(weight, weight, scaled) if fused else scaled)

    found, plain = network(Around(respond)), network(Around(lambda y: y))
    assert receptive_field(found, "output") == receptive_field(plain, "output")
    assert structural(found).values == pytest.approx(structural(plain).values, rel=1e-12)


def test_a_layer_of_masks_alone_is_refused():
    with pytest.raises(InputError, match="does not depend on the picture, or only through masks"):
        receptive_field(network(Around(lambda y: (y > 0).float())), "output")
