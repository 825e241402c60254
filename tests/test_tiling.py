"""Tiles over a picture: exact against every place and tile looked at one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturb.errors import UsageError
from perturb.tiling import Coverage, Lattice, Tiling, best_look, cover, depth, plan

STRICT = Lattice(values=np.pad(np.ones((3, 3)), ((0, 1), (0, 1))), least=0.5)  # rows and columns 3 mod 4 are dead


def starts_by_hand(size, tile, overlap, last, shift):
    """One tile after the other until the end is reached."""
    found, at, end = [], -shift, size + shift
    while True:
        if at + tile >= end:
            return [*found, end - tile if last == "back" else at]
        found.append(at)
        at += tile - overlap


def corners_by_hand(tiling, down, right):
    rows, columns = (
        starts_by_hand(tiling.picture[axis], tiling.tile[axis], tiling.overlap[axis], tiling.last, shift)
        for axis, shift in enumerate((down, right))
    )
    return [(row, column) for row in rows for column in columns]


@st.composite
def tilings(draw):
    side = st.integers(1, 9)
    tile = draw(side), draw(side)
    last = draw(st.sampled_from(["back", "over"]))
    return Tiling(
        tile=tile,
        picture=tuple(draw(st.integers(n if last == "back" else 1, 22)) for n in tile),
        overlap=tuple(draw(st.integers(0, n - 1)) for n in tile),
        last=last,
        passes=tuple(draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3))),
    )


@st.composite
def lattices(draw, picture):
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    values = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=16, max_size=16))
    return Lattice(
        values=np.array(values)[: shape[0] * shape[1]].reshape(shape),
        least=0.5,
        extent=tuple(draw(st.integers(1, min(3, n))) for n in picture),
        margin=draw(st.integers(0, 2)),
        every=draw(st.integers(1, 2)),
    )


def looked_at_one_by_one(tiling, lattice):
    """The best look at each place, and whether the place lies in the picture's frame."""
    sides = [range(0, n - e + 1, lattice.every) for n, e in zip(tiling.picture, lattice.extent, strict=True)]
    best, frame = np.full([len(s) for s in sides], -np.inf), np.zeros([len(s) for s in sides], dtype=bool)
    (tall, wide), m = lattice.extent, lattice.margin
    for i, row in enumerate(sides[0]):
        for j, column in enumerate(sides[1]):
            frame[i, j] = min(row, column, tiling.picture[0] - row - tall, tiling.picture[1] - column - wide) < m
            for down, right in tiling.passes:
                for a, b in corners_by_hand(tiling, down, right):
                    below, beside = a + tiling.tile[0] - row - tall, b + tiling.tile[1] - column - wide
                    if min(row - a, column - b, below, beside) >= m:
                        phase = (row - a) % lattice.values.shape[0], (column - b) % lattice.values.shape[1]
                        best[i, j] = max(best[i, j], lattice.values[phase])
    return best, frame


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_place_has_the_best_look_of_all_tiles(data):
    tiling = data.draw(tilings())
    lattice = data.draw(lattices(tiling.picture))
    best, frame = looked_at_one_by_one(tiling, lattice)
    np.testing.assert_array_equal(best_look(tiling, lattice), best)
    hidden = np.isneginf(best)
    found = cover(tiling, lattice)
    assert found.blind == pytest.approx((~hidden & (best < 0.5)).mean())
    assert found.edge == pytest.approx((hidden & ~frame).mean())
    assert found.frame == pytest.approx((hidden & frame).mean())
    assert found.mean == pytest.approx(np.where(hidden, 0, best).mean())


@settings(max_examples=100, deadline=None)
@given(tilings(), st.integers(0, 21), st.integers(0, 21))
def test_depth_is_that_of_the_tile_in_which_an_object_lies_deepest(tiling, row, column):
    extent = (2, 1)
    deepest = max(
        min(row - a, a + tiling.tile[0] - row - 2, column - b, b + tiling.tile[1] - column - 1)
        for down, right in tiling.passes
        for a, b in corners_by_hand(tiling, down, right)
    )
    assert depth(tiling, np.array([[row, column]]), extent).tolist() == [deepest]


def test_tiles_cover_the_picture():
    back = Tiling(picture=(10, 12), tile=(4, 4), overlap=(1, 1))
    assert (back.starts(0).tolist(), back.starts(1).tolist()) == ([0, 3, 6], [0, 3, 6, 8])
    over = replace(back, last="over")
    assert (over.starts(0).tolist(), over.starts(1).tolist()) == ([0, 3, 6], [0, 3, 6, 9])
    assert back.starts(0, 1).tolist() == [-1, 2, 5, 7]  # the picture with a row more on either side
    assert (back.count, replace(back, passes=((0, 0), (1, 0))).count) == (12, 12 + 16)
    assert Tiling(picture=(10, 10), tile=(16, 16), last="over").starts(0).tolist() == [0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tile": (300, 64)}, "a tile of 300 x 64 does not fit into a picture of 240 x 320; last = over pads"),
        ({"tile": (0, 64)}, "does not fit"),
        ({"overlap": (64, 0)}, "overlap 64 x 0: expected 0 or more, and less than 64 x 64."),
        ({"overlap": (-1, 0)}, "expected 0 or more"),
        ({"last": "cut"}, "last `cut` is unknown"),
        ({"passes": ()}, "expected one shift or more"),
        ({"passes": ((0, -1),)}, "each of 0 or more"),
    ],
)
def test_tilings_that_are_none(changes, words):
    with pytest.raises(UsageError) as error:
        Tiling(**{"picture": (240, 320), "tile": (64, 64)} | changes)
    assert words in str(error.value)


def test_an_object_larger_than_the_picture_is_refused():
    with pytest.raises(UsageError, match="an object of 9 x 1 does not fit"):
        cover(Tiling(picture=(8, 8), tile=(4, 4)), replace(STRICT, extent=(9, 1)))


def test_a_step_of_whole_periods_leaves_the_dead_places_dead_whatever_the_overlap():
    """Of 4 x 4 phases 7 are dead; 48 and 32 are whole periods, 31 is not."""
    for overlap, blind in (((0, 0), 7 / 16), ((16, 16), 7 / 16), ((32, 32), 7 / 16)):
        seen = cover(Tiling(picture=(256, 320), tile=(64, 64), overlap=overlap), STRICT)
        assert seen == Coverage(blind=blind, edge=0, frame=0, mean=1 - blind)
    assert cover(Tiling(picture=(256, 320), tile=(64, 64), overlap=(33, 33)), STRICT).blind < 0.15


def test_passes_see_dead_places_at_other_phases():
    """A second pass by (1, 1) leaves rows 3 in columns 2 and rows 2 in columns 3: 2 of 16. Four passes leave none."""
    one = Tiling(picture=(256, 320), tile=(64, 64), last="over")
    assert cover(replace(one, passes=((0, 0), (1, 1))), STRICT).blind == 2 / 16
    assert cover(replace(one, passes=((0, 0), (1, 0))), STRICT).blind == 4 / 16
    assert cover(replace(one, passes=((0, 0), (0, 1), (1, 0), (1, 1))), STRICT).blind == 0


def test_the_plan_names_the_cheapest_change_of_each_kind():
    """Rows alone: every other row is dead. A second pass by one row removes them for twice the tiles."""
    rows = Lattice(values=np.array([[1.0], [0.0]]), least=0.5)
    now, *better = plan(Tiling(picture=(64, 64), tile=(16, 16)), {1: rows})
    assert (now.words, now.coverage.blind, now.tiling.count) == ("now", 0.5, 16)
    assert [(one.words, one.coverage.unseen) for one in better if one.efficient][-1] == (
        "second pass shifted by 1 row",
        0.0,
    )
    best = next(one for one in better if one.words.startswith("second"))
    assert best.tiling == Tiling(picture=(64, 64), tile=(16, 16), passes=((0, 0), (1, 0)))
    for one in better:
        assert one.coverage == cover(one.tiling, rows)
        assert one.coverage.unseen < 0.5
    assert [one.tiling.count for one in better] == sorted(one.tiling.count for one in better)


def test_an_option_is_efficient_only_if_nothing_else_is_as_good_at_a_lower_cost():
    found = plan(Tiling(picture=(40, 40), tile=(16, 16), overlap=(4, 4)), {1: STRICT})
    assert {one.words for one in found if one.efficient}
    for one in found:
        worse = [o for o in found if o.tiling.count <= one.tiling.count and o.coverage.unseen < one.coverage.unseen]
        assert not (one.efficient and worse)


def test_edges_are_cleared_by_overlap_and_the_frame_by_padding():
    """Nothing is seen within 2 pixels of a tile's edge, and an object is 3 wide: 2 + 2 + 3 - 1 = 6 pixels overlap."""
    lattice = Lattice(values=np.ones((1, 1)), least=0.5, extent=(3, 3), margin=2)
    now = Tiling(picture=(40, 40), tile=(16, 16))
    first, *better = plan(now, {1: lattice})
    assert min(first.coverage.edge, first.coverage.frame) > 0
    cleared = {one.words: one.coverage for one in better}
    assert cleared["overlap 6, picture padded by 2 pixels"].unseen == 0
    assert cover(replace(now, overlap=(6, 6)), lattice).edge == 0
    assert cover(replace(now, overlap=(5, 5)), lattice).edge > 0
    assert cover(replace(now, overlap=(6, 6)), lattice).frame > 0


def test_a_flat_lattice_needs_no_change():
    (only,) = plan(Tiling(picture=(40, 40), tile=(16, 16)), {1: Lattice(values=np.ones((2, 2)), least=0.5)})
    assert only.coverage == Coverage(blind=0, edge=0, frame=0, mean=1)
