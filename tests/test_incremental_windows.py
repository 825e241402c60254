"""Rectangles on a feature map, and the parts of the engine that are built on them, against brute force."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from toys import SHAPE, network, plain

from perturb.errors import InputError
from perturb.incremental import ChangedCopies, Incremental, Patches, choose_engine, engine_name
from perturb.incremental.activations import BATCH, Activation, CleanMaps, channels_first, own_layout
from perturb.incremental.copies import patches_between
from perturb.incremental.engine import halving
from perturb.incremental.engine_choice import estimated_saving
from perturb.incremental.products import Weights
from perturb.incremental.rules import product
from perturb.incremental.simplify import operation_name, simplify
from perturb.incremental.windows import WHOLE_FROM, Frame, Spans, common_frame, cut, embed, gather, group_alike, hull

CPU = torch.device("cpu")


def spans(*rectangles):
    """Rectangles given as (top, left, bottom, right)."""
    corners = np.array(rectangles)
    return Spans(corners[:, :2], corners[:, 2:])


def mask(span, trial, size=12):
    found = np.zeros((size, size), dtype=bool)
    (top, left), (bottom, right) = span.start[trial], span.stop[trial]
    found[top:bottom, left:right] = True
    return found


@st.composite
def rectangle(draw, size=12):
    """A rectangle on the map, sometimes empty."""
    top, left = draw(st.integers(0, size)), draw(st.integers(0, size))
    return top, left, draw(st.integers(top, size)), draw(st.integers(left, size))


# Spans


def test_areas_of_spans():
    assert spans((0, 0, 2, 3), (4, 4, 4, 9), (1, 2, 2, 3)).areas.tolist() == [6, 0, 1]


def test_spans_of_some_trials():
    some = spans((0, 0, 1, 1), (2, 3, 4, 5), (6, 7, 8, 9))[np.array([2, 0])]
    assert some.start.tolist() == [[6, 7], [0, 0]]
    assert some.stop.tolist() == [[8, 9], [1, 1]]


@settings(deadline=None)
@given(st.lists(rectangle(), min_size=1, max_size=4))
def test_hull_is_the_smallest_rectangle_around_all(rectangles):
    """Against the union of masks; an empty term adds nothing."""
    union = np.any([mask(spans(r), 0) for r in rectangles], 0)
    found = hull([spans(r) for r in rectangles])
    rows, columns = union.any(1).nonzero()[0], union.any(0).nonzero()[0]
    if not union.any():
        assert found.areas.tolist() == [0]
    else:
        assert found.start.tolist() == [[rows[0], columns[0]]]
        assert found.stop.tolist() == [[rows[-1] + 1, columns[-1] + 1]]


@settings(deadline=None)
@given(st.lists(rectangle(), min_size=1, max_size=5))
def test_a_common_frame_contains_every_span_and_stays_in_the_map(rectangles):
    given_spans = spans(*rectangles)
    frame = common_frame(given_spans, (12, 12), CPU)
    height, width = (given_spans.stop - given_spans.start).max(0)
    assert (frame is None) == (height * width >= WHOLE_FROM * 144)
    if frame is not None:
        assert frame.size == (height, width)
        assert (frame.start >= 0).all()
        assert (frame.start + frame.size <= 12).all()
        filled = given_spans.areas > 0
        assert (frame.start <= given_spans.start)[filled].all()
        assert (frame.start + frame.size >= given_spans.stop)[filled].all()


# Copying into and out of windows


def test_positions_of_a_window_by_hand():
    """A 2 x 2 window at (1, 2) of a 4 x 5 map."""
    frame = Frame(np.array([[1, 2]]), (2, 2), (4, 5), CPU)
    row, column = frame.lines
    assert (row.tolist(), column.tolist()) == ([[1, 2]], [[2, 3]])
    assert frame.places.tolist() == [[[7, 8], [12, 13]]]


def test_a_frame_of_some_trials_has_their_windows():
    frame = Frame(np.array([[0, 0], [1, 2], [2, 1]]), (2, 2), (4, 5), CPU)
    np.testing.assert_array_equal(frame[1:].places, frame.places[1:])


@settings(deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=4),
)
def test_cut_is_slicing(pictures, trials):
    """Each trial gets its own picture's window, whether one picture was kept or several."""
    clean = torch.arange(pictures * 2 * 5 * 5.0).view(pictures, 2, 5, 5).contiguous(memory_format=torch.channels_last)
    picture = np.array([p % pictures for p, _, _ in trials])
    start = np.array([(row, column) for _, row, column in trials])
    found = cut(clean, Frame(start, (2, 3), (5, 5), CPU), picture)
    for i, (row, column) in enumerate(start):
        torch.testing.assert_close(found[i], clean[picture[i], :, row : row + 2, column : column + 3])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4))
def test_embed_places_windows_among_zeros(offsets):
    values = torch.rand(len(offsets), 2, 2, 3) + 1
    found = embed(values, np.array(offsets), (6, 6))
    assert found.shape == (len(offsets), 2, 6, 6)
    for i, (row, column) in enumerate(offsets):
        expected = torch.zeros(2, 6, 6)
        expected[:, row : row + 2, column : column + 3] = values[i]
        torch.testing.assert_close(found[i], expected)


@pytest.mark.parametrize("offset", [(-1, 0), (0, -2), (-1, -1), (3, 2)])
def test_embed_crops_what_falls_outside(offset):
    """By one common offset (padding) and by an offset for each trial (gathering), with the same result."""
    values = torch.zeros(2, 1, 4, 4)
    values[:, :, 1:3, 2:3] = torch.tensor([[1.0], [2.0]]).view(1, 1, 2, 1)
    together = embed(values, np.array([offset, offset]), (6, 6))
    apart = embed(values, np.array([offset, (1, 1)]), (6, 6))
    torch.testing.assert_close(apart[0], together[0])
    assert together[0, 0, 1 + offset[0], 2 + offset[1]] == 1


@settings(deadline=None)
@given(st.lists(st.integers(-2, 5), min_size=1, max_size=5), st.lists(st.integers(-2, 5), min_size=1, max_size=5))
def test_gather_reads_zero_outside_the_window(rows, columns):
    values = torch.arange(1, 2 * 2 * 3 * 4 + 1.0).view(2, 2, 3, 4)
    found = gather(values, np.array([rows, rows[::-1]]), np.array([columns, columns]))
    for trial, lines in enumerate((rows, rows[::-1])):
        for i, row in enumerate(lines):
            for j, column in enumerate(columns):
                inside = 0 <= row < 3 and 0 <= column < 4
                expected = values[trial, :, row, column] if inside else torch.zeros(2)
                assert torch.equal(found[trial, :, i, j], expected)


def test_a_group_costs_its_largest_window():
    """Two 1 x 9 and two 9 x 1 windows: together 4 x 81, in two groups 2 x 9 each; a split has to save the overhead."""
    rows, columns, share = np.array([1.0, 9, 1, 9]), np.array([9.0, 1, 9, 1]), np.full(4, 0.1)
    saved = 4 * 81 - 2 * (2 * 9)
    apart, together = (group_alike(rows, columns, share, overhead) for overhead in (saved - 1, saved + 1))
    assert sorted(sorted(group.tolist()) for group in apart) == [[0, 2], [1, 3]]
    assert [sorted(group.tolist()) for group in together] == [[0, 1, 2, 3]]


def test_no_trials_make_no_groups():
    assert group_alike(np.zeros(0), np.zeros(0), np.zeros(0), 1.0) == []


# Activations


@pytest.mark.parametrize(
    ("shape", "layout", "limit", "area", "depth"),
    [
        ((BATCH, 8, 5, 7), "channels first", (5, 7), 35, 8),
        ((BATCH, 5, 7, 8), "channels last", (5, 7), 35, 8),
        ((4 * BATCH, 8, 5, 7), "channels first", (5, 7), 35, 32),  # four parts for each picture
        ((BATCH, 10), "", None, 1, 10),
    ],
)
def test_sizes_of_an_activation(shape, layout, limit, area, depth):
    activation = Activation(shape, layout)
    assert (activation.area, activation.depth) == (area, depth)
    assert activation.numbers == math.prod(shape) / BATCH
    if limit:
        assert activation.limit == limit


def test_layouts_are_inverse_to_each_other():
    last = torch.rand(2, 5, 7, 3)
    first = channels_first(last, "channels last")
    assert first.shape == (2, 3, 5, 7)
    assert torch.equal(own_layout(first, "channels last"), last)
    assert channels_first(last, "channels first") is last


def test_clean_maps_of_parts_belong_to_their_picture():
    """Two parts for each of three pictures, one after another; trials of pictures 2 and 0."""
    kept = torch.arange(6.0).view(6, 1)
    clean = CleanMaps((kept,), 3, np.array([2, 0]))
    assert clean.at(None)[0].ravel().tolist() == [4, 5, 0, 1]
    assert clean.among(slice(1, 2)).at(None)[0].ravel().tolist() == [0, 1]


# Changed copies


def test_patches_between_pictures_by_hand():
    """One picture is unchanged, one changes at a pixel, one in a 2 x 3 rectangle: patches have the largest size."""
    model = network(plain())
    before = torch.rand(3, *SHAPE)
    after = before.clone()
    after[1, 0, 63, 63] += 0.5
    after[2, :, 10:12, 20:23] += 0.25
    moved, patches = patches_between(model, after, before, np.array([7, 8, 9]))
    assert moved.tolist() == [1, 2]
    assert patches.picture.tolist() == [8, 9]
    assert patches.start.tolist() == [[62, 61], [10, 20]]  # moved into the picture, so that 2 x 3 pixels fit
    assert patches.values.shape == (2, 3, 2, 3)
    change = model.normalise(after) - model.normalise(before)
    torch.testing.assert_close(patches.values[1], change[2, :, 10:12, 20:23], rtol=1e-4, atol=1e-5)
    assert patches.values[0].count_nonzero() == 1


def test_equal_pictures_have_no_patches():
    pictures = torch.rand(2, *SHAPE)
    moved, patches = patches_between(network(plain()), pictures, pictures, np.arange(2))
    assert (len(moved), len(patches)) == (0, 0)


def test_copies_give_what_the_network_gives():
    model = network(plain())
    clean, copied = torch.rand(2, *SHAPE), np.array([1, 0, 1])
    changed = clean[copied].clone()
    changed[0, :, 3, 4], changed[1, :, 60:, :2] = 0.9, 0.1
    found = ChangedCopies(Incremental(model, "3"), clean).measure(changed, copied)
    torch.testing.assert_close(found, model.measure(changed, "3"), rtol=1e-4, atol=1e-5)


def test_copies_with_an_output_that_is_not_finite_are_an_error():
    model = network(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()))
    engine = Incremental(model, "output")
    model.module[0].weight.data.fill_(math.inf)
    engine.traced.steps[0].rule.weights.weight = torch.full((2, 3, 1, 1), math.inf)
    clean = torch.rand(1, *SHAPE)
    changed = clean.clone()
    changed[0, 0, 5, 5] = 0
    with pytest.raises(InputError, match="not finite"):
        ChangedCopies(engine, clean).measure(changed, np.zeros(1, dtype=int))


# The engine


def test_parts_that_run_out_of_memory_are_halved():
    """No part is lost or done twice; a single item that does not fit is an error."""

    def work(part):
        if len(part) > 2:
            raise torch.OutOfMemoryError
        return part.sum()

    done = list(halving([np.arange(5), np.arange(5, 8)], work))
    assert sorted(np.concatenate([part for part, _ in done]).tolist()) == list(range(8))
    assert sum(total for _, total in done) == 28

    def never(part):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        list(halving([np.arange(3)], never))


def test_spans_of_two_convolutions_by_hand():
    """3 x 3 / 2 then 3 x 3 / 2, padding 1: pixel 10 is read by outputs 5, then by 2 and 3; the corner by the corner."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1))
    engine = Incremental(network(module), "output")
    start = np.array([[10, 10], [0, 0]])
    patches = Patches(picture=np.zeros(2, dtype=int), start=start, values=torch.ones(2, 3, 1, 1))
    first, second = (engine.spans(patches)[step.node] for step in engine.traced.steps)
    assert (first.start.tolist(), first.stop.tolist()) == ([[5, 5], [0, 0]], [[6, 6], [1, 1]])
    assert (second.start.tolist(), second.stop.tolist()) == ([[2, 2], [0, 0]], [[4, 4], [1, 1]])


def test_saving_grows_with_the_picture_and_the_number_of_places():
    small, large = (Incremental(network(plain(), shape=(3, side, side)), "output") for side in (64, 256))
    assert estimated_saving(small, 8) < estimated_saving(large, 8) < estimated_saving(large, 64)


def test_dense_is_called_dense_and_traces_nothing(monkeypatch):
    monkeypatch.setattr(Incremental, "__init__", lambda *_, **__: pytest.fail("traced"))
    assert engine_name(choose_engine(network(plain()), "output", "dense")) == "dense"


class Broken(nn.Module):
    def forward(self, x):
        if type(x) is not torch.Tensor or x.shape[0] == BATCH:
            raise RuntimeError("first line\nsecond line")
        return x


def test_the_reason_why_a_network_cannot_be_followed_is_one_line():
    with pytest.raises(InputError) as caught:
        choose_engine(network(Broken()), "output", "incremental")
    assert "first line" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "second line" not in str(caught.value)


@pytest.mark.parametrize(("da", "db"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("times", [torch.mul, torch.matmul])
def test_the_difference_of_a_product(da, db, times):
    a, b = torch.rand(2, 2, 4, 4, dtype=torch.float64)
    moved_a, moved_b = (torch.rand(2, 4, 4, dtype=torch.float64) if moves else None for moves in (da, db))
    after = times(a if moved_a is None else a + moved_a, b if moved_b is None else b + moved_b)
    torch.testing.assert_close(product((a, b), (moved_a, moved_b), times), after - times(a, b))


# Products with weights


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(1, 1, 0, 1), (1, 2, 0, 1), (3, 2, 1, 1), (3, 1, 2, 2)]
)
@pytest.mark.parametrize("channels", [8, 384])
def test_products_with_weights_are_convolutions(groups, kernel, stride, padding, dilation, channels):
    """Packed for oneDNN (many weights) or not (few), twice, because weights are packed at their first use."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(channels, channels // groups, kernel, kernel, generator=generator)
    weights = Weights(weight.contiguous(memory_format=torch.channels_last), groups)
    options = [(stride,) * 2, (padding,) * 2, (dilation,) * 2]
    with torch.inference_mode():
        for size in (5, 7):
            x = torch.randn(2, channels, size, size + 1, generator=generator)
            wanted = F.conv2d(x, weight, None, *options, groups)
            found = weights.over(x, options[1], options[0], options[2])
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_weights_in_groups_are_not_halved():
    grouped, whole = Weights(torch.rand(4, 1, 3, 3), groups=4), Weights(torch.rand(4, 4, 3, 3))
    grouped.halve()
    whole.halve()
    assert (grouped.weight.dtype, whole.weight.dtype) == (torch.float32, torch.bfloat16)


# Rewriting the traced graph


class Chunks(nn.Module):
    def forward(self, x):
        first, second = x.chunk(2, 1)
        return first * 2 + second


class Splits(nn.Module):
    def forward(self, x):
        first, second = x.split([1, 3], 1)
        return torch.cat([second, first], 1)


class Unbound(nn.Module):
    def forward(self, x):
        return sum(part.mean() * i for i, part in enumerate(x.unbind(1)))


class ReadsFromTheFront(nn.Module):
    def forward(self, x):
        query, key = x.flatten(2).unflatten(1, (2, 2)).permute(1, 0, 2, 3)[0], x.flatten(2)
        return query.sum(1) + key.sum(1)


class GlobalMaxPool(nn.Module):
    def forward(self, x):
        return F.adaptive_max_pool2d(x, 1)


class Shuffle(nn.Module):
    def forward(self, x):
        return x.view(2, 2, 2, 6, 6).transpose(1, 2).contiguous().view(2, 4, 6, 6) + 1


class Expands(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True).expand_as(x)


class GrowsByJoining(nn.Module):
    def forward(self, x):
        y, z = x + 1, x + 2
        return torch.cat([torch.cat([x, y], 1), torch.cat([x, y, z], 1)], 1)


@pytest.mark.parametrize(
    ("module", "gone", "come"),
    [
        (Chunks(), {"chunk", "split"}, {"slice"}),
        (Splits(), {"split", "split_with_sizes"}, {"slice"}),
        (Unbound(), {"unbind"}, {"select"}),
        (ReadsFromTheFront(), set(), {"select"}),
        (GlobalMaxPool(), {"adaptive_max_pool2d"}, {"amax"}),
        (Shuffle(), {"transpose", "view"}, {"index_select"}),
        (Expands(), {"expand_as"}, {"expand"}),
        (GrowsByJoining(), set(), {"cat"}),
    ],
)
def test_a_simplified_graph_computes_the_same_with_fewer_kinds_of_operation(module, gone, come):
    x, other = torch.rand(2, 2, 4, 6, 6)
    graph = make_fx(module, pre_dispatch=True)(x)
    simplify(graph)
    graph.recompile()
    torch.testing.assert_close(graph(other), module(other))
    names = {operation_name(node) for node in graph.graph.nodes}
    assert not names & gone
    assert come <= names


def test_a_concatenation_reuses_one_that_it_begins_with():
    graph = make_fx(GrowsByJoining(), pre_dispatch=True)(torch.rand(2, 4, 6, 6))
    simplify(graph)
    parts = [len(node.args[0]) for node in graph.graph.nodes if operation_name(node) == "cat"]
    assert parts == [2, 2, 2]


def test_names_of_operations_in_place_are_those_out_of_place():
    graph = make_fx(lambda x: x.clone().add_(1).relu_(), pre_dispatch=True)(torch.rand(2))
    names = [operation_name(node) for node in graph.graph.nodes]
    assert [name for name in names if name] == ["clone", "add", "relu"]
