"""Arguments are read to one record, however they are given and whichever of torch's names they are given to."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from perturb.operations import Indexing, Stencil, pair, read, resizing
from perturb.operations.binding import bind

X, W = torch.ones(2, 4, 12, 12), torch.ones(6, 2, 3, 2)


class Recorded(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.operation = read(func.__name__, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def by_function(call):
    with Recorded() as mode:
        call(X.clone())
    return told(mode.operation)


def by_aten(call):
    graph = make_fx(call, pre_dispatch=True)(X.clone()).graph
    node = [n for n in graph.nodes if n.op == "call_function"][-1]
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: n.meta.get("val", W))
    return told(read(node.target.overloadpacket.__name__, args, kwargs))


def told(operation):
    """The record's kind and its fields, of tensors the shape."""
    assert operation is not None
    return type(operation).__name__, [plain(getattr(operation, field.name)) for field in fields(operation)]


def plain(value):
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, slice):
        return value.indices(12)
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


ALIKE = {
    "deviation": lambda x: x.std((2, 3), keepdim=True),
    "deviation of all": lambda x: torch.var(x),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True),
    "least": lambda x: x.amin((2, -1)),
    "moved on": lambda x: x.roll((1, -2), (2, -1)),
    "choice": lambda x: torch.where(x > 0, x, x * 2),
    "masked": lambda x: x.masked_fill(x > 0, 3.0),
    "sum with a product": lambda x: torch.addcmul(x, x, x, value=2),
    "unfolded": lambda x: x.unfold(-1, 3, 2),
    "convolution": lambda x: F.conv2d(x, W, None, (2, 1), (1, 0), 2, 2),
    "convolution by keywords": lambda x: F.conv2d(x, weight=W, groups=2, stride=3),
    "same": lambda x: F.conv2d(x, W[..., :1], padding="same", groups=2),
    "transposed": lambda x: F.conv_transpose2d(x, torch.ones(4, 3, 3, 2), None, 2, 1, (1, 0), 2),
    "max pool": lambda x: F.max_pool2d(x, 3, padding=1),
    "max pool with a stride": lambda x: F.max_pool2d(x, (3, 2), 2, 1, 1, ceil_mode=True),
    "average pool": lambda x: F.avg_pool2d(x, 2),
    "average pool over what is there": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "adaptive pool": lambda x: F.adaptive_avg_pool2d(x, (None, 3)),
    "pad": lambda x: F.pad(x, (1, 2, 0, 3)),
    "replicate": lambda x: F.pad(x, (1, 2, 0, 3), mode="replicate"),
    "linear": lambda x: F.linear(x, torch.ones(5, 12)),
    "add": lambda x: torch.add(x, x, alpha=2),
    "add in place": lambda x: x.add_(x, alpha=2),
    "a number added": lambda x: 1 + x,
    "subtract": lambda x: torch.sub(x, x, alpha=3),
    "from a number": lambda x: 1 - x,
    "times": lambda x: 2 * x,
    "divided": lambda x: x / 4,
    "mean": lambda x: x.mean((-1, 2)),
    "mean by other names": lambda x: x.mean(axis=(2, 3), keepdims=True),
    "sum": lambda x: x.sum(1),
    "largest": lambda x: x.amax((2, 3), keepdim=True),
    "permute": lambda x: x.permute(0, 2, 3, -3),
    "narrow": lambda x: x.narrow(2, 1, 5),
    "index": lambda x: x[:, :, 1:],
    "cat": lambda x: torch.cat([x, x], -3),
    "matmul": lambda x: x @ x,
    "einsum": lambda x: torch.einsum("bcij,bdij->bcd", x, x),
    "softmax": lambda x: x.softmax(-1),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, scale=0.5),
}


@pytest.mark.parametrize("name", ALIKE)
def test_functions_and_aten_read_alike(name):
    assert by_function(ALIKE[name]) == by_aten(ALIKE[name])


def test_a_window_is_said_in_full():
    """Left out: stride 1 for a convolution, the kernel for a pool. "same" puts the odd one behind."""
    assert read("conv2d", (X, W), {}).stencil == Stencil((3, 2), (1, 1), (0, 0), (0, 0), (1, 1))
    assert read("conv2d", (X, W), {"padding": "valid"}).stencil == read("conv2d", (X, W), {}).stencil
    same = read("conv2d", (X, W), {"padding": "same", "dilation": (2, 3)}).stencil
    assert (same.before, same.behind) == ((2, 1), (2, 2))
    for left_out in ({}, {"stride": None}, {"stride": []}):
        assert read("max_pool2d", (X, (3, 2)), left_out).stencil.stride == (3, 2)
    assert [pair(v) for v in (2, [2], (2, 3))] == [(2, 2), (2, 2), (2, 3)]


def test_factors_have_their_signs_in_the_order_of_the_terms():
    assert read("sub", (X, 2), {"alpha": 3}).factors == (1, -3)
    assert read("rsub", (X, 2), {"alpha": 3}).factors == (-3, 1)
    assert read("add_", (X, 2), {}).factors == (1, 1)


def test_reductions_say_their_dimensions():
    assert read("mean", (X,), {}).dims == read("amax", (X, ()), {}).dims == (0, 1, 2, 3)
    assert read("sum", (X, -1), {}).dims == (3,)


@pytest.mark.parametrize(
    ("index", "parts"),
    [
        ((..., slice(1, None)), (slice(None), slice(None), slice(None), slice(1, None))),
        (slice(None, 1), (slice(None, 1), slice(None), slice(None), slice(None))),
        ((0, ..., slice(0, 12)), (0, slice(None), slice(None), slice(None))),
    ],
)
def test_an_index_has_one_part_a_dimension(index, parts):
    found = read("__getitem__", (X, index), {})
    assert (found.parts, found.plain) == (parts, True)
    assert torch.equal(X[found.parts], X[index])


def test_an_index_with_none_or_a_mask_is_left_as_it_is():
    for index in ((None, slice(1, None)), (slice(None), X[0, :, 0, 0] > 0, None), X > 0):
        found = read("__getitem__", (X, index), {})
        assert isinstance(found, Indexing)
        assert not found.plain
        assert torch.equal(X[found.parts], X[index])


def test_lists_may_be_written_out():
    for args in ((X, 2, -1), (X, (2, -1)), (X, [2, -1])):
        assert read("view", args, {}).shape == (2, -1)


def test_padding_is_asked_by_dimension():
    padding = read("pad", (X, (1, 2, 3, 4)), {})
    assert (padding.along(-1), padding.along(-2), read("pad", (X, (1, 2)), {}).along(-2)) == ((1, 2), (3, 4), (0, 0))


def test_a_resizing_knows_whether_sizes_or_factors_say_what_is_read():
    """0.45 of 12 rows are 5: by sizes they lie 12/5 apart, by the factor 1/0.45."""
    by_size, by_factor = (read("interpolate", (X,), given) for given in ({"size": 5}, {"scale_factor": 0.45}))
    assert (by_size.size, by_size.scale, by_factor.scale) == ((5, 5), None, (0.45, 0.45))
    again = read("interpolate", (X,), {"scale_factor": 0.45, "recompute_scale_factor": True})
    assert again.scale is None
    x = torch.rand(1, 1, *X.shape[2:], dtype=torch.float64)
    for op, options in ((by_size, {"size": by_size.size}), (by_factor, {"scale_factor": 0.45})):
        for axis in (0, 1):
            n = x.shape[2 + axis]
            rows = resizing.weights(replace(op, mode="bilinear", corners=False), axis, n, op.size[axis])
            line = x.movedim(2 + axis, 2)[:, :, :, :1].expand(-1, -1, -1, X.shape[3 - axis])
            wanted = F.interpolate(line, mode="bilinear", **options)[0, 0, :, 0]
            torch.testing.assert_close(rows @ line[0, 0, :, 0], wanted)
    assert read("interpolate", (X,), {"scale_factor": 2, "mode": "trilinear"}) is None


def test_normalisations_say_whose_statistics_they_use():
    weight, mean, variance = torch.rand(3, 4)
    found = read("batch_norm", (X, weight, None, mean, variance, False, 0.1, 1e-3, True), {})
    assert (found.weight, found.mean, found.variance, found.epsilon) == (weight, mean, variance, 1e-3)
    assert read("batch_norm", (X, weight, None, mean, variance, True, 0.1, 1e-3, True), {}).mean is None
    assert read("instance_norm", (X, weight, None, None, None, True, 0.1, 1e-3, True), {}).groups == 4


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("cumsum", (X, 1), {}),
        ("add", (X, X, 2), {}),
        ("add", (X, X), {"out": X}),
        ("div", (X, 2), {"rounding_mode": "floor"}),
        ("max_pool2d", (X, 2), {"return_indices": True}),
        ("view", (X, torch.int32), {}),
    ],
)
def test_what_is_not_known_is_not_guessed(name, args, kwargs):
    assert read(name, args, kwargs) is None


def test_arguments_are_bound_by_any_of_their_names():
    assert bind("a/first b * c", (1,), {"b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert bind("a/first b * c", (), {"first": 1}) == {"a": 1}
    assert bind("a b * c", (1, 2, 3), {}) is None
    assert bind("a b * c", (1,), {"d": 2}) is None
    assert bind("a b...", (1, 2, 3), {}) == {"a": 1, "b": (2, 3)}
