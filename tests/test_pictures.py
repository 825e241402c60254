"""Picture files as they are: every kind in docs/pictures.md, one rule for a set, copies, folders, and the account."""

import io
import json
import os
import sys
import warnings
from html import unescape

import imagecodecs
import numpy as np
import pytest
import tifffile
from picture_kinds import DOCS, G12, GREY, KINDS, MARKS, SIDE, dicom, table, with_chunk
from PIL import Image, ImageOps
from pydicom import dcmread
from rich.console import Console
from toyruns import REPORT
from toys import network, window

from perturb import qualify
from perturb.errors import InputError, UsageError
from perturb.files import encode
from perturb.images import Reading, load_images, split
from perturb.images.account import Ledger
from perturb.render import html, markdown, terminal
from perturb.report import from_json
from perturb.suite import parse_suite

SUITE = """
name = "tiny"
[images]
source = "folder:{folder}"
crops = 2
[map]
kind = "structural"
[evaluator]
layer = "0"
[[check]]
name = "pixel"
perturbation = {{ kind = "pixel" }}
level = 0.5
pairs = 2
claim = {{ quantity = "accuracy-loss", at_most = 0.1 }}
"""


def loaded(source, **options):
    """The images, and the one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = load_images(str(source), **options)
    said = [str(each.message) for each in caught]
    assert len(said) == (images.account is not None)
    return images, said[0] if said else ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_of_file(tmp_path, kind):
    """A file of the kind beside a plain picture: its pixels, or that it is left out, and what the account says."""
    rng = np.random.default_rng(5)
    if kind.channels in (1, 3):
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(tmp_path / "z.png")
    else:
        np.save(tmp_path / "z.npy", rng.random((SIDE, SIDE, kind.channels)))
    kind.write(tmp_path)
    images, said = loaded(f"folder:{tmp_path}", shape=(kind.channels, SIDE, SIDE), crops=1, reading=kind.reading)
    assert tuple(note.what for note in images.account.notes if images.account) == kind.notes if said else not kind.notes
    if kind.pixels is None:
        assert len(images.names) == 1
        assert images.names[0].startswith("z.")
    else:
        assert images.names[0].startswith("a.")
        assert len(images.names) == 2
        np.testing.assert_allclose(images.pixels[0], kind.pixels, atol=kind.within)
    for note in kind.notes:
        assert note in said


def test_the_table_in_the_docs_is_the_one_that_is_tested():
    """`python tests/picture_kinds.py` writes it."""
    assert len(KINDS) >= 60
    text = DOCS.read_text(encoding="utf-8")
    assert text.partition(MARKS[0])[2].partition(MARKS[1])[0] == table()


# One rule for the whole set


def random_picture(seed, *, height=40, width=50):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_deep(values):
    """The same content in 16 bits."""
    return values.astype(np.uint16) * 257


def write_png16(path, values):
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))


@pytest.fixture
def twins(tmp_path):
    """The same pictures in 8 and in 16 bits, under the same names: colour, grey, transparent and small ones."""
    for i in range(6):
        values = random_picture(i)
        alpha = random_picture(i + 100)[..., :1]
        made = {0: values[..., 0], 1: np.concatenate([values, alpha], 2), 2: values[:20]}.get(i, values)
        for name, deep in (("8", False), ("16", True)):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            write_png16(folder / f"{i}.png", as_deep(made) if deep else made)
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rule", ["type", "set"])
def test_the_same_content_in_8_and_16_bits_is_the_same_picture(twins, channels, rule):
    """Bit for bit, through resizing, compositing and grey; 257 k / 65535 is k / 255."""
    few, many = (
        loaded(f"folder:{twins / name}", shape=(channels, 32, 32), reading=Reading(range=rule))[0]
        for name in ("8", "16")
    )
    np.testing.assert_array_equal(few.pixels, many.pixels)
    assert few.digests == many.digests
    assert few.account == many.account
    assert len(np.unique(few.pixels)) <= 256 or rule == "set"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:pictures")
def test_the_same_content_in_8_and_16_bits_gives_the_same_result(twins):
    """The whole way to a report."""
    results = []
    for name in ("8", "16"):
        suite = parse_suite(SUITE.format(folder=twins / name), "tiny.perturb.toml")
        report = qualify(network(window(1)), suite)
        results.append((report.findings, report.experiments, report.map, report.images.account))
    assert results[0] == results[1]
    assert results[0][3].looked_at == 6


def test_copies_are_told_by_content_in_any_format(tmp_path):
    values = random_picture(0)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "b.bmp")
    Image.fromarray(np.dstack([values, np.full_like(values[..., :1], 255)])).save(tmp_path / "c.png")
    write_png16(tmp_path / "d.png", as_deep(values))
    tifffile.imwrite(tmp_path / "e.tif", as_deep(values), photometric="rgb", compression="zlib")
    tifffile.imwrite(tmp_path / "f.tif", values.astype(np.float32) / 255, photometric="rgb")
    np.save(tmp_path / "g.npy", values.transpose(2, 0, 1))
    Image.fromarray(random_picture(1)).save(tmp_path / "h.png")
    images, said = loaded(f"folder:{tmp_path}", shape=(3, 32, 32))
    assert images.names == ("a.png", "h.png")
    assert said == "pictures: 8 looked at; 6 copies of others, dropped: b.bmp, c.png, d.png, e.tif, f.tif and 1 more"


def test_depth_is_kept(tmp_path):
    """Neighbouring levels of 16 bits stay apart, also where a picture is enlarged or turned to grey."""
    values = np.tile(np.arange(30000, 30040, dtype=np.uint16)[:, None], (1, 40))
    write_png16(tmp_path / "a.png", values)
    write_png16(tmp_path / "b.png", np.dstack([values] * 3))
    write_png16(tmp_path / "c.png", values[:20])
    for channels in (1, 3):
        images, _ = loaded(f"folder:{tmp_path}", shape=(channels, 32, 32), crops=1)
        for pixels in images.pixels:
            assert len(np.unique(pixels)) >= 30
            np.testing.assert_allclose(pixels * 65535, 30020, atol=22)


def test_no_picture_is_scaled_by_its_own_range(tmp_path):
    """A dark and a bright picture of one camera stay dark and bright."""
    for name, low in (("dark", 0), ("bright", 40000)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.linspace(low, low + 20000, 64).astype(np.uint16).reshape(8, 8))
    plain, _ = loaded(f"folder:{tmp_path}", shape=(1, 8, 8), crops=1)
    assert plain.names == ("bright.tif", "dark.tif")
    np.testing.assert_allclose(np.mean(plain.pixels, (1, 2, 3)), np.array([50000, 10000]) / 65535, atol=1e-4)
    spread, _ = loaded(f"folder:{tmp_path}", shape=(1, 8, 8), crops=1, reading=Reading(range="set"))
    np.testing.assert_allclose(np.mean(spread.pixels, (1, 2, 3)), np.array([50000, 10000]) / 60000, atol=1e-4)
    assert np.min(spread.pixels) == 0
    assert np.max(spread.pixels) == 1


@pytest.mark.parametrize("values", [np.float32([[0.5, 300.0]]), np.int16([[-5, 300]]), np.float64([[-0.1, 1.0]])])
def test_values_outside_their_types_range_need_a_range(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", np.tile(values, (8, 4)))
    with pytest.raises(InputError) as caught:
        load_images(f"folder:{tmp_path}", shape=(1, 8, 8))
    assert f"a.tif has values from {values.min():g} to {values.max():g}, expected 0 to" in str(caught.value)
    assert "`[images] range = [low, high]`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_of_one_value_has_no_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 8), 5.0))
    with pytest.raises(InputError, match='all pictures hold the one value 5, so that range = "set" has no range'):
        load_images(f"folder:{tmp_path}", shape=(1, 8, 8), reading=Reading(range="set"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("range = [1, 0]", "range = [1, 0]: expected [low, high] with low below high"),
        ("range = [3, 3]", "expected [low, high] with low below high"),
        ('range = "auto"', "range = 'auto' is unknown, expected one of ['type', 'set']"),
        ("range = [0, nan]", "range"),
        ('frames = "last"', "frames = 'last' is unknown, expected one of ['first', 'all']"),
    ],
)
def test_what_a_suite_may_not_say(line, words):
    with pytest.raises(UsageError) as caught:
        parse_suite(SUITE.format(folder="x").replace("crops = 2", line), "tiny.perturb.toml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_channels_are_one_line(tmp_path):
    Image.fromarray(random_picture(0)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"1 left out, 3 channels where the model takes 5: a\.png\.$"):
        load_images(f"folder:{tmp_path}", shape=(5, 8, 8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["8.png", "16.png", "8.tif", "16.tif", "palette.tif"])
def test_orientations_are_those_of_pillow(tmp_path, orientation, form):
    values = random_picture(0, height=10, width=14)
    path = tmp_path / form
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = ImageOps.exif_transpose(turned_twin(values, exif))
    if form == "8.png":
        Image.fromarray(values).save(path, exif=exif)
    elif form == "palette.tif":
        grey = Image.fromarray(values[..., 0]).convert("P")
        grey.save(path, tiffinfo={274: orientation})
        expected = ImageOps.exif_transpose(turned_twin(values[..., 0], exif)).convert("RGB")
    elif form == "16.png":
        data = imagecodecs.png_encode(as_deep(values))
        path.write_bytes(with_chunk(data, b"eXIf", exif.tobytes()[6:]))
    else:
        deep = as_deep(values) if form == "16.tif" else values
        tifffile.imwrite(path, deep, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    expected = np.asarray(expected).transpose(2, 0, 1)
    images, said = loaded(f"folder:{tmp_path}", shape=expected.shape, crops=1)
    np.testing.assert_allclose(images.pixels[0], expected / 255, atol=1e-6)
    assert ("turned upright" in said) == (orientation > 1)


def turned_twin(values, exif):
    """What Pillow makes of a PNG with this orientation."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", exif=exif)
    return Image.open(buffer)


# Frames


def test_all_frames_are_one_photograph(tmp_path):
    stack = np.stack(
        [np.full((40, 40, 3), 10 * i, np.uint8) + random_picture(i, height=40, width=40) // 4 for i in range(3)]
    )
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb")
    Image.fromarray(stack[0]).save(tmp_path / "b.png")
    first, said = loaded(f"folder:{tmp_path}", shape=(3, 32, 32), crops=2)
    assert first.names == ("a.tif",)  # its first page is b.png
    assert "2 further frames or pages left out" in said
    every, said = loaded(f"folder:{tmp_path}", shape=(3, 32, 32), crops=2, reading=Reading(frames="all"))
    assert every.names == ("a.tif", "b.png")
    assert said == ""
    assert every.photograph.tolist() == [0] * 6 + [1] * 2
    assert every.crop.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    for i, (crop, cut) in enumerate(zip(every.pixels[:6], every.cut[:6], strict=True)):
        top, left = cut[:2].astype(int)
        page = stack[i // 2, top : top + 32, left : left + 32].transpose(2, 0, 1)
        np.testing.assert_array_equal(crop, page / np.float32(255))
    np.testing.assert_array_equal(first.pixels, every.pixels[:2])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_all_frames_of_an_animation(tmp_path, suffix):
    frames = [Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)) for i in range(4)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    images, _ = loaded(f"folder:{tmp_path}", shape=(3, 32, 32), crops=1, reading=Reading(frames="all"))
    np.testing.assert_allclose(np.mean(images.pixels, (1, 2, 3)) * 255, [0, 60, 120, 180], atol=1)


# Folders


@pytest.mark.parametrize("black", [False, True])
def test_copies_are_one_photograph(tmp_path, black):
    """24 files, 3 distinct pictures, or 1: too few to calibrate and to judge."""
    for i in range(24):
        Image.fromarray(random_picture(i % 3) * (not black)).save(tmp_path / f"{i:02}.png")
    images, said = loaded(f"folder:{tmp_path}", shape=(3, 32, 32))
    assert images.names == (("00.png",) if black else ("00.png", "01.png", "02.png"))
    assert len(images.pixels) == 4 * len(images.names)
    assert f"24 looked at; {23 if black else 21} copies of others, dropped" in said or black
    assert ("1 of one constant value: 00.png" in said) == black
    with pytest.raises(InputError, match=r"photographs are too few: .* Pictures: 24 looked at; .* copies of others"):
        split(images, share=0.4, seed=0)


def test_copies_of_drawn_pictures_are_dropped(tmp_path):
    (tmp_path / "own.py").write_text("def coin(shape, rng): return rng.random(shape) * 0 + rng.integers(2)\n")
    images, said = loaded("own.py:coin", shape=(1, 8, 8), count=10, beside=tmp_path)
    assert sorted(np.mean(images.pixels, (1, 2, 3))) == [0, 1]
    assert "10 looked at; 8 copies of others, dropped: own.py:coin-" in said


def test_links_are_followed_once_and_loops_cut(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for i, folder in enumerate((inside / "real", outside / "far", inside / "0")):
        folder.mkdir(parents=True)
        Image.fromarray(random_picture(i)).save(folder / f"{i}.png")
    (inside / "0/again").symlink_to(inside / "real")
    (inside / "0/loop").symlink_to(inside)
    (inside / "out").symlink_to(outside)
    (outside / "far/back").symlink_to(inside)
    (inside / "out2").symlink_to(outside)
    (inside / "link.png").symlink_to(inside / "real/0.png")
    images, said = loaded(f"folder:{inside}", shape=(3, 32, 32))
    assert images.names == ("0/2.png", "link.png", "out/far/1.png")
    assert said == "pictures: 4 looked at; 1 copies of others, dropped: real/0.png"


def test_a_name_that_is_not_utf_8_is_judged(tmp_path):
    for i, name in enumerate([b"a\xff.png", b"b\x1b[31m.tif", "c\u202e.npy".encode(), b"d\xe9.dcm", b"e\xfe.gif"]):
        path = tmp_path / os.fsdecode(name)
        if path.suffix == ".tif":
            tifffile.imwrite(path, random_picture(i), photometric="rgb")
        elif path.suffix == ".npy":
            np.save(path, random_picture(i))
        elif path.suffix == ".dcm":
            dicom()(tmp_path)
            (tmp_path / "a.dcm").rename(path)
        else:
            Image.fromarray(random_picture(i)).save(path)
    images, _ = loaded(f"folder:{tmp_path}", shape=(3, 8, 8))
    assert images.names == (r"a\udcff.png", r"b\x1b[31m.tif", r"c\u202e.npy", r"d\udce9.dcm", r"e\udcfe.gif")
    "".join(images.names).encode()


def test_scanners_name_files_without_a_suffix(tmp_path):
    for name in ("IM0001", "1.2.840.10008"):
        dicom(np.roll(G12, len(name), 0))(tmp_path)
        (tmp_path / "a.dcm").rename(tmp_path / name)
    (tmp_path / "README").write_text("x" * 200)
    os.mkfifo(tmp_path / "pipe")
    images, _ = loaded(f"folder:{tmp_path}", shape=(1, 8, 8))
    assert images.names == ("1.2.840.10008", "IM0001")


def test_dicom_without_its_library_is_named(tmp_path, monkeypatch):
    dicom()(tmp_path)
    monkeypatch.setitem(sys.modules, "perturb.images.dicom", None)
    with pytest.raises(
        InputError, match=r'1 left out, of DICOM: pip install "perturb-suite\[dicom\]" reads it: a\.dcm'
    ):
        load_images(f"folder:{tmp_path}", shape=(1, 8, 8))


@pytest.mark.parametrize("size", [(12000, 1), (1, 60000), (15, 20), (1, 1)])
def test_a_picture_far_below_the_crop_is_left_out_by_name(tmp_path, size):
    Image.new("L", size).save(tmp_path / "thin.png")
    Image.fromarray(random_picture(0, height=64, width=64)).save(tmp_path / "z.png")
    images, said = loaded(f"folder:{tmp_path}", shape=(3, 224, 224))
    assert images.names == ("z.png",)
    assert "1 left out, a side below a quarter of the input's 224 x 224: thin.png" in said
    assert "1 smaller than the input, enlarged to it: z.png" in said


def test_a_picture_that_would_outgrow_memory_is_left_out_by_name(tmp_path, monkeypatch):
    """A side of just a quarter of the crop's makes 16 times the values."""
    monkeypatch.setattr("perturb.images.LARGEST", 16 * 8 * 800 - 1)
    Image.new("L", (800, 8)).save(tmp_path / "long.png")
    Image.new("L", (799, 8), 9).save(tmp_path / "short.png")
    images, said = loaded(f"folder:{tmp_path}", shape=(1, 32, 32))
    assert images.names == ("short.png",)
    assert "1 left out, too large once enlarged: long.png" in said


def test_a_tile_that_would_outgrow_memory_is_left_out_by_name(tmp_path):
    """A file of some hundred bytes, 8 x 8 pixels, says that its one tile has 60,000 x 60,000."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        for name in ("TileWidth", "TileLength"):
            tiff.pages[0].tags[name].overwrite(60000)
    with pytest.raises(InputError, match="1 left out, more than 536,870,912 values"):
        load_images(f"folder:{tmp_path}", shape=(1, 8, 8))


def test_pixel_data_of_one_byte_too_many_are_read(tmp_path):
    """As some mammography sets have them; pydicom warns."""
    dicom(GREY)(tmp_path)
    expected, _ = loaded(f"folder:{tmp_path}", shape=(1, 8, 8), crops=1)
    file = dcmread(tmp_path / "a.dcm")
    file.PixelData += b"\0\0"
    file.save_as(tmp_path / "a.dcm")
    found, said = loaded(f"folder:{tmp_path}", shape=(1, 8, 8), crops=1)
    assert said == ""
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def in_window(values, centre, width, kind):
    """DICOM PS3.3, C.11.2.1.2, as its pseudo-code says it, one value at a time."""
    found = []
    for x in values.ravel().astype(float):
        if kind == "LINEAR":
            if x <= centre - 0.5 - (width - 1) / 2:
                y = 0.0
            elif x > centre - 0.5 + (width - 1) / 2:
                y = 1.0
            else:
                y = (x - (centre - 0.5)) / (width - 1) + 0.5
        elif kind == "LINEAR_EXACT":
            y = 0.0 if x <= centre - width / 2 else 1.0 if x > centre + width / 2 else (x - centre) / width + 0.5
        else:
            y = 1 / (1 + np.exp(-4 * (x - centre) / width))
        found.append(y)
    return np.reshape(found, values.shape)


@pytest.mark.parametrize("kind", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("inverted", [False, True])
def test_windows_of_dicom(tmp_path, kind, inverted):
    """Rescaled first; the first of several windows; inverted last."""
    shades = {"PhotometricInterpretation": "MONOCHROME1"} if inverted else {}
    tags = {"WindowCenter": [40, 500], "WindowWidth": [400, 9], "RescaleSlope": 0.5, "RescaleIntercept": -1024}
    dicom(G12, VOILUTFunction=kind, **tags, **shades)(tmp_path)
    images, _ = loaded(f"folder:{tmp_path}", shape=(1, 8, 8), crops=1)
    expected = in_window(G12 * 0.5 - 1024, 40, 400, kind)
    np.testing.assert_allclose(images.pixels[0][0], 1 - expected if inverted else expected, atol=1e-6)


def test_rescaled_values_without_a_window_need_a_range(tmp_path):
    dicom(G12, RescaleSlope=1, RescaleIntercept=-1024)(tmp_path)
    with pytest.raises(InputError, match=r"a\.dcm has values from -1024 to 3071, expected 0 to 1"):
        load_images(f"folder:{tmp_path}", shape=(1, 8, 8))


def test_service_folders_are_no_classes_and_neither_are_those_without_a_picture(tmp_path):
    for i, name in enumerate(["weld/1.png", "cast/1.png", "cast/2.png", ".ipynb_checkpoints/1.png", "@eaDir/1.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(random_picture(i)).save(tmp_path / name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/1.png").write_bytes(b"nothing")
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone/1.heic").write_bytes(b"nothing")
    images, said = loaded(f"labelled:{tmp_path}", shape=(3, 32, 32))
    assert images.classes == ("cast", "weld")
    assert images.labels.tolist() == [0, 0, 1]
    assert said == (
        "pictures: 4 looked at; 2 hidden or service files and folders skipped: .ipynb_checkpoints, @eaDir; "
        "1 of a kind that is not read: phone/1.heic; 1 left out, unreadable: broken/1.png"
    )


def test_a_picture_in_two_classes_is_in_neither(tmp_path):
    for i, name in enumerate(["a/1.png", "b/1.png", "c/1.png", "b/2.png", "b/3.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(random_picture(0 if name in ("a/1.png", "b/2.png") else 1 if i in (1, 4) else i)).save(
            tmp_path / name
        )
    images, said = loaded(f"labelled:{tmp_path}", shape=(3, 32, 32))
    assert images.names == ("b/1.png", "c/1.png")
    assert images.classes == ("b", "c")
    assert images.labels.tolist() == [0, 1]
    assert "2 left out, the same picture in two classes: a/1.png, b/2.png" in said
    assert "1 copies of others, dropped: b/3.png" in said


def test_a_labelled_set_in_16_bits_is_that_in_8(tmp_path):
    for name, deep in (("8", False), ("16", True)):
        for i, label in enumerate("ab"):
            (tmp_path / name / label).mkdir(parents=True)
            values = random_picture(i)
            write_png16(tmp_path / name / label / "1.png", as_deep(values) if deep else values)
    few, many = (loaded(f"labelled:{tmp_path / name}", shape=(3, 32, 32))[0] for name in ("8", "16"))
    np.testing.assert_array_equal(few.pixels, many.pixels)
    assert few.digests == many.digests


def test_a_folder_of_pictures_that_are_not_read_names_them(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"no pictures in folder .*1 of a kind that is not read: IMG_1\.HEIC"):
        load_images(f"folder:{tmp_path}", shape=(3, 8, 8))


# What is said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:pictures")
def test_the_report_has_the_account(twins):
    """In report.json and back, and in what people read; names run nothing."""
    evil = "<img src=x onerror=alert(1)>`|.png"
    (twins / "8" / evil).write_bytes(b"nothing")
    report = qualify(network(window(1)), parse_suite(SUITE.format(folder=twins / "8"), "tiny.perturb.toml"))
    again = from_json(encode(report))
    assert again == report
    account = again.images.account
    assert account.looked_at == 7
    assert [(note.count, note.what) for note in account.notes] == [
        (6, "smaller than the input, enlarged to it"),
        (1, "with transparency, put on white"),
        (1, "left out, unreadable"),
    ]
    console = Console(width=400)
    with console.capture() as shown:
        console.print(terminal.report(report))
    page, text = html.report(report), markdown.report(report)
    assert account.words in shown.get()
    assert account.words in unescape(page)
    assert evil not in page
    assert "Pictures: 7 looked at; 6 smaller than the input, enlarged to it: `0.png`, `1.png`, " in text
    assert "`4.png` and 1 more; 1 with transparency, put on white: `1.png`; 1 left out, unreadable: " in text
    assert "unreadable: `<img src=x onerror=alert(1)>'¦.png`." in text


def test_a_note_cannot_count_below_zero():
    data = json.loads(encode(REPORT))
    data["images"]["account"] = {"looked_at": 3, "notes": [{"what": "x", "count": -1, "names": ["a"], "files": 1}]}
    with pytest.raises(InputError, match=r"images\.account\.notes\.0\.count: expected at least 0, got -1"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("names", [1, 5, 6])
def test_an_account_names_five_files(names):
    ledger = Ledger()
    for i in range(names):
        ledger.note("strange", f"{i}.png", 2)
    more = " and 1 more" if names > 5 else ""
    listed = ", ".join(f"{i}.png" for i in range(min(names, 5)))
    assert ledger.close(9).words == f"9 looked at; {2 * names} strange: {listed}{more}"
