"""A model asked about tiles, against the same model asked about the whole picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import find_objects, label
from torch import nn
from toys import network

from perturb import BlackBox, Preprocessing, Tiling, tiled
from perturb.errors import UsageError

PICTURE = (38, 50)
TILE = (16, 16)
PICTURES = torch.from_numpy(np.random.default_rng(0).random((2, 3, *PICTURE), dtype=np.float32))
TILINGS = [
    Tiling(picture=PICTURE, tile=TILE),
    Tiling(picture=PICTURE, tile=TILE, overlap=(5, 7)),
    Tiling(picture=PICTURE, tile=TILE, overlap=(4, 4), last="over"),
    Tiling(picture=PICTURE, tile=TILE, overlap=(4, 4), passes=((0, 0), (3, 1))),
]


def box(function, tile=TILE):
    return BlackBox(function, preprocessing=Preprocessing(input_shape=(3, *tile)))


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("join", ["max", "mean"])
def test_a_map_of_single_pixels_is_that_of_the_whole_picture(tiling, join):
    net = nn.Conv2d(3, 2, 1)
    whole, takes = tiled(network(net, shape=(3, *TILE)), tiling, join=join)
    assert takes.input_shape == (3, *PICTURE)
    torch.testing.assert_close(whole(PICTURES), net(PICTURES).detach())


@pytest.mark.parametrize("overlap", [2, 5])
def test_windows_at_a_seam_are_whole_in_one_of_the_tiles(overlap):
    """A 3 x 3 window that a tile cuts gives -inf there; with an overlap of 2 each window is whole in some tile."""
    net = nn.Conv2d(3, 1, 3, bias=False)

    def see(pictures):
        return nn.functional.pad(net(pictures), (1, 1, 1, 1), value=-1e6)[:, 0]

    whole, _ = tiled(box(see), Tiling(picture=PICTURE, tile=TILE, overlap=(overlap, overlap)), join="max")
    torch.testing.assert_close(whole(PICTURES)[:, 1:-1, 1:-1], net(PICTURES)[:, 0].detach())
    cut, _ = tiled(box(see), Tiling(picture=PICTURE, tile=TILE, overlap=(1, 1)), join="max")
    assert (cut(PICTURES)[:, 1:-1, 1:-1] < -1e5).any()


def test_a_coarse_map_is_repeated_to_the_pictures_pixels():
    net = nn.AvgPool2d(4)
    picture = torch.rand(1, 3, 32, 48)
    whole, _ = tiled(network(net, shape=(3, *TILE)), Tiling(picture=(32, 48), tile=TILE, overlap=(8, 8)), join="mean")
    expected = net(picture).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(whole(picture), expected)


def test_the_mean_is_over_the_tiles_that_show_a_pixel():
    """Each tile says how bright it is; two tiles share the columns 8 to 15."""
    picture = torch.zeros(1, 3, 16, 24)
    picture[..., 16:] = 1

    def see(pictures):
        return pictures.amax((1, 2, 3))[:, None, None].expand(-1, 16, 16)

    for join, shared in (("mean", 0.5), ("max", 1.0)):
        whole, _ = tiled(box(see), Tiling(picture=(16, 24), tile=TILE, overlap=(8, 8)), join=join)
        (row,) = whole(picture)[:, 0]
        assert row.tolist() == [0.0] * 8 + [shared] * 8 + [1.0] * 8


@pytest.mark.parametrize(("join", "expected"), [("max", [1.0, 0.0]), ("mean", [0.25, -0.75])])
def test_scores_are_joined_over_tiles(join, expected):
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., :16, :16] = 1
    whole, _ = tiled(
        box(lambda x: torch.stack([x.mean((1, 2, 3)), x.mean((1, 2, 3)) - 1], 1)),
        Tiling(picture=(32, 32), tile=TILE),
        join=join,
    )
    assert whole(picture).tolist() == [expected]


def squares(pictures):
    """Boxes of whole dark squares, which do not touch the picture's edge; labelled by their side."""
    answers = []
    for picture in pictures.mean(1).numpy():
        numbers, _ = label(picture < 0.5)
        found = [(rows, columns) for rows, columns in find_objects(numbers)]
        inner = [
            (columns.start, rows.start, columns.stop, rows.stop)
            for rows, columns in found
            if rows.start > 0 and columns.start > 0 and rows.stop < len(picture) and columns.stop < picture.shape[1]
        ]
        corners = np.array(inner, dtype=float).reshape(-1, 4)
        sides = corners[:, 2] - corners[:, 0]
        answers.append({"boxes": corners, "scores": sides / 10, "labels": sides.astype(int)})
    return answers


def sheet():
    picture = torch.ones(1, 3, *PICTURE)
    for row, column, side in ((13, 14, 4), (2, 30, 3), (30, 44, 4), (20, 20, 3), (20, 24, 3)):
        picture[:, :, row : row + side, column : column + side] = 0
    return picture


def rows_of(found):
    boxes = np.asarray(found["boxes"]).tolist()
    return sorted(zip(boxes, np.asarray(found["scores"]).tolist(), map(str, found["labels"]), strict=True))


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling(picture=PICTURE, tile=TILE, overlap=(6, 6)),
        Tiling(picture=PICTURE, tile=TILE, overlap=(9, 9), last="over"),
        Tiling(picture=PICTURE, tile=TILE, overlap=(8, 8), passes=((0, 0), (3, 5))),
    ],
)
def test_boxes_are_those_of_the_whole_picture_each_once(tiling):
    whole, _ = tiled(box(squares), tiling, join="boxes")
    (found,) = whole(sheet())
    (expected,) = squares(sheet())
    assert len(expected["boxes"]) == 5
    assert rows_of(found) == rows_of(expected)


def test_a_square_on_a_seam_is_lost_without_overlap():
    whole, _ = tiled(box(squares), Tiling(picture=PICTURE, tile=TILE, last="over"), join="boxes")
    assert [13.0, 14.0] not in [[b[1], b[0]] for b in whole(sheet())[0]["boxes"].tolist()]


def test_of_boxes_that_overlap_the_best_of_each_label_is_kept():
    def see(pictures):
        return [
            {"boxes": [[0, 0, 4, 4], [0, 0, 4, 5], [0, 0, 4, 4]], "scores": [0.5, 0.9, 0.4], "labels": ["a", "a", "b"]}
            for _ in pictures
        ]

    tiling = Tiling(picture=TILE, tile=TILE)
    whole, _ = tiled(box(see), tiling, join="boxes")
    assert rows_of(whole(torch.zeros(1, 3, *TILE))[0]) == [([0, 0, 4, 4], 0.4, "b"), ([0, 0, 4, 5], 0.9, "a")]
    every, _ = tiled(box(see), tiling, join="boxes", overlapping=1.0)
    assert len(every(torch.zeros(1, 3, *TILE))[0]["boxes"]) == 3


def test_a_picture_without_a_box():
    whole, _ = tiled(box(squares), Tiling(picture=PICTURE, tile=TILE), join="boxes")
    (found,) = whole(torch.ones(1, 3, *PICTURE))
    assert (found["boxes"].shape, found["scores"].shape, found["labels"]) == ((0, 4), (0,), [])


@pytest.mark.parametrize(
    ("see", "changes", "words"),
    [
        (squares, {"tiling": Tiling(picture=PICTURE, tile=(8, 8))}, "takes pictures of (16, 16)"),
        (squares, {"join": "sum"}, "join `sum` is unknown, expected boxes, max or mean"),
        (lambda x: x[:, 0, :15, :15], {"join": "max"}, "maps of (15, 15) do not divide tiles of (16, 16)"),
        (lambda x: (x[:, 0] * 9).long(), {"join": "max"}, "are labels, which cannot be joined by max"),
    ],
)
def test_what_cannot_be_joined(see, changes, words):
    with pytest.raises(UsageError) as error:
        tiled(box(see), **{"tiling": Tiling(picture=PICTURE, tile=TILE), "join": "boxes"} | changes)[0](PICTURES)
    assert words in str(error.value)


def test_a_bare_module_is_refused():
    with pytest.raises(UsageError, match="takes a loaded model, not a Conv2d"):
        tiled(nn.Conv2d(3, 1, 1), Tiling(picture=PICTURE, tile=TILE), join="max")


def test_a_mask_of_booleans_is_a_union():
    whole, _ = tiled(box(lambda x: x[:, 0] > 0.9), Tiling(picture=PICTURE, tile=TILE, overlap=(3, 3)), join="max")
    assert whole(PICTURES).equal((PICTURES[:, 0] > 0.9).float())
