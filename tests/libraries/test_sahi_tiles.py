"""Tiles lie where SAHI cuts them."""

import pytest

from perturb.tiling import Tiling

slicing = pytest.importorskip("sahi.slicing")


@pytest.mark.parametrize("picture", [(640, 640), (641, 1279), (3000, 4000), (1080, 1920), (700, 5000)])
@pytest.mark.parametrize(("tile", "ratio"), [((640, 640), 0), ((640, 640), 0.1), ((512, 320), 0.25), ((256, 256), 0.5)])
def test_tiles_are_sahis(picture, tile, ratio):
    boxes = slicing.get_slice_bboxes(
        image_height=picture[0],
        image_width=picture[1],
        slice_height=tile[0],
        slice_width=tile[1],
        auto_slice_resolution=False,
        overlap_height_ratio=ratio,
        overlap_width_ratio=ratio,
    )
    ours = Tiling(picture=picture, tile=tile, overlap=(int(ratio * tile[0]), int(ratio * tile[1])))
    rows, columns = ours.starts(0), ours.starts(1)
    assert [[c, r, c + tile[1], r + tile[0]] for r in rows.tolist() for c in columns.tolist()] == boxes
    assert ours.count == len(boxes)
