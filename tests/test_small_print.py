"""The demonstration on small print, with a toy in place of the detector."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from perturb.cli import main
from perturb.render import small_print as view
from perturb.stories.small_print import small_print
from perturb.suite import load_suite

NET = """
import numpy as np
from perturb import Preprocessing
PAGE = Preprocessing(input_shape=(3, 320, 320), bounds=(0, 255), layout="HWC", dtype="uint8", arrays="numpy")
def find(page):
    "Words whose first ink lies on a row of 8 k + 6: where that row is dark and the one above is not."
    rows = page[..., 0].astype(float)
    ink = rows < 215
    boxes = []
    for row in range(6, 312, 8):
        columns = np.flatnonzero(ink[row])
        for part in np.split(columns, np.flatnonzero(np.diff(columns) > 12) + 1):
            if len(part) > 2 and not ink[row - 1, part[0] : part[-1] + 1].any():
                boxes.append((part[0], row, part[0] + 19, row + 5))
    return np.array(boxes).reshape(-1, 4)
def detector(): return find, PAGE
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("net")
    (tmp_path / "net.py").write_text(NET)
    suite = load_suite("small-print")
    first = suite.check[0].model_copy(update={"pairs": 8})
    return small_print(f"{tmp_path / 'net.py'}:detector", suite.model_copy(update={"check": (first,)}))


@pytest.mark.slow
def test_the_page_is_lost_on_one_row_and_found_on_another(shown):
    report, lost, found = shown
    assert report.findings[0].effect.value > 0.9
    assert (found.row, lost.row != 6) == (6, True)
    assert (lost.words[:, 0] % 8 == lost.row).all()
    assert (found.words[:, 0] % 8 == 6).all()
    assert not lost.found.any()
    assert found.found.all()
    for page in (lost, found):  # the words lie where it says
        row, column = page.words[0]
        assert page.pixels[:, row : row + 5, column : column + 19].min() < 0.8 < page.pixels[:, row - 1, column].min()


def test_its_picture_frames_each_word_in_the_colour_of_what_happened(shown):
    _, lost, found = shown
    sheet = np.asarray(view.picture("a toy", lost, found))
    left, right = np.split(sheet[view.TOP :], [sheet.shape[1] // 2], 1)
    for half, colour, other in ((left, view.LOST, view.FOUND), (right, view.FOUND, view.LOST)):
        assert (half == colour).all(-1).any()
        assert not (half == other).all(-1).any()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["--small-print"],
            4,
            "in sys.modules): `pip install 'perturb-suite[ocr]'`",
        ),
        (["--small-print", "--pretrained"], 2, "two demonstrations"),
    ],
)
def test_on_the_command_line(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["demo", *arguments])
    assert (result.exit_code, words in result.output, result.output.count("\n")) == (code, True, 1), result.output
