"""Tiled models, for docs/tiles.md: a small network with planted blind places, and a text detector that resizes pages.

perturb tiles examples/tiles.py:specks --picture 240x320 --overlap 16
perturb tiles examples/tiles.py:specks_as_tiled --measure examples/specks.perturb.toml --tile 64 --overlap 16
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perturb import BlackBox, InputError, Network, Preprocessing, Tiling, tiled

Whole = tuple[Callable[..., Any], Preprocessing]
PAPER = 230 / 255
PICTURE, TILE, OVERLAP = (240, 320), (64, 64), (16, 16)
PAGE, ROOM = (1000, 1400), (1024, 1408)  # a page; the next size that the detector does not resize


class Specks(nn.Module):
    """How dark each 3 x 3 window is against paper, every fourth pixel: rows and columns 3, 7, 11, ... are never read.

    With a `border` it also reports nothing within so many pixels of its own edge.
    """

    def __init__(self, border: int = 0) -> None:
        super().__init__()
        self.border = border
        self.mean = nn.Conv2d(3, 1, 3, 4, bias=False)
        nn.init.constant_(self.mean.weight, 1 / 27)

    def forward(self, pictures: Tensor) -> Tensor:
        dark = torch.relu(PAPER - self.mean(pictures))
        clear = torch.zeros_like(dark)
        n = -(-self.border // 4)
        clear[..., n : dark.shape[-2] - n, n : dark.shape[-1] - n] = 1
        return dark * clear


def specks() -> tuple[nn.Module, Preprocessing]:
    """One tile."""
    return Specks(), Preprocessing(input_shape=(3, *TILE))


def specks_as_tiled() -> Whole:
    """Tiles with an overlap of a quarter, as often set: their step is a whole number of periods."""
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=OVERLAP))


def specks_two_passes() -> Whole:
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=OVERLAP, passes=((0, 0), (1, 1))))


def specks_four_passes() -> Whole:
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=OVERLAP, passes=((0, 0), (0, 1), (1, 0), (1, 1))))


def specks_half_overlap() -> Whole:
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=(33, 33)))


def edges_as_tiled() -> Whole:
    """Tiles that report nothing within 8 pixels of their own edge, and overlap by 8."""
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=(8, 8)), border=8)


def edges_cleared() -> Whole:
    """An overlap of twice the margin, and the picture padded by it."""
    return _specks(Tiling(picture=PICTURE, tile=TILE, overlap=OVERLAP, passes=((8, 8),)), border=8)


def page_as_it_is() -> Whole:
    """A page of 1000 x 1400, which the detector resizes to 992 x 1408."""
    return _detector(), Preprocessing(
        input_shape=(3, *PAGE), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy"
    )


def page_padded() -> Whole:
    """The same page on a canvas of 1024 x 1408, which is not resized."""
    return _on_canvas(((0, 0),))


def page_twice() -> Whole:
    """And a second time, moved down by one row: boxes of both."""
    return _on_canvas(((0, 0), (1, 0)))


def _specks(tiling: Tiling, border: int = 0) -> Whole:
    return tiled(Network(Specks(border), preprocessing=Preprocessing(input_shape=(3, *TILE))), tiling, join="max")


def _on_canvas(passes: tuple[tuple[int, int], ...]) -> Whole:
    takes = Preprocessing(input_shape=(3, *ROOM), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
    model = BlackBox(_detector(), name="PP-OCRv4", preprocessing=takes)
    return tiled(model, Tiling(picture=PAGE, tile=ROOM, last="over", passes=passes), join="boxes")


def _detector() -> Callable[[np.ndarray], Any]:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise InputError(f"PP-OCR does not import ({error}): `pip install 'perturb-suite[ocr]'`.") from error
    ocr = RapidOCR(intra_op_num_threads=1, text_score=0.0)
    return lambda page: ocr(page, use_det=True, use_cls=False, use_rec=False)[0]
