"""One picture file of each kind, written anew, and what must come of it: the rows of the table in docs/pictures.md.

`python tests/picture_kinds.py` writes the table into the docs; tests/test_pictures.py makes every row true.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from perturb.images import Reading

SIDE = 8
DOCS = Path(__file__).parents[1] / "docs" / "pictures.md"
MARKS = "<!-- kinds of files -->\n", "<!-- end -->\n"


def drawn(*shape, top=255, seed=1):
    """Smooth numbers, so that lossy formats keep them, from 0 to `top`."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    slopes = rng.random((2, *shape, 1, 1)) + 0.2
    values = slopes[0] * row + slopes[1] * column
    values = values - values.min()
    return np.moveaxis(
        (values / values.max() * top).reshape(*shape, SIDE, SIDE), range(len(shape)), range(-len(shape), 0)
    )


GREY = drawn().astype(np.uint8)
RGB = drawn(3).astype(np.uint8)
GREY16 = drawn(top=65535).astype(np.uint16)
RGB16 = drawn(3, top=65535).astype(np.uint16)
FLOAT = drawn(top=1).astype(np.float32)
ALPHA = drawn(seed=3).astype(np.uint8)
BIT = GREY > 100
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def wide(values):
    """(row, column[, channel]) as (channel, row, column), grey three times."""
    values = np.asarray(values, dtype=np.float64)
    return np.stack([values] * 3) if values.ndim == 2 else np.moveaxis(values, 2, 0)


def on_white(colour, alpha):
    alpha = alpha[..., None] if colour.ndim == 3 else alpha
    return colour * alpha + 1 - alpha


def pillow(suffix, make, **options):
    return lambda folder: make().save(folder / f"a.{suffix}", **options)


def image(values, **options):
    return lambda: Image.fromarray(values, **options)


def tiff(values, **options):
    return lambda folder: tifffile.imwrite(folder / "a.tif", values, **options)


def npy(values):
    return lambda folder: np.save(folder / "a.npy", values)


def raw(suffix, data):
    return lambda folder: (folder / f"a.{suffix}").write_bytes(data)


def encoded(make, form, **options):
    buffer = io.BytesIO()
    make().save(buffer, form, **options)
    return buffer.getvalue()


def palette(colours=RGB, transparent=None):
    """Palette of the 64 colours of a picture; index 5 is transparent on request."""

    def make():
        picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "L")
        picture = Image.frombytes("P", (8, 8), picture.tobytes())
        picture.putpalette(colours.reshape(-1).tobytes())
        if transparent is not None:
            picture.info["transparency"] = transparent
        return picture

    return make


def several(count=3, mode=None):
    pages = [Image.fromarray(np.roll(RGB, i, 0)) for i in range(count)]
    return [page.convert(mode) if mode else page for page in pages]


def pages(suffix, **options):
    def write(folder):
        first, *more = several()
        first.save(folder / f"a.{suffix}", save_all=True, append_images=more, **options)

    return write


def turned_by(orientation, suffix="png"):
    def write(folder):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(RGB).save(folder / f"a.{suffix}", exif=exif)

    return write


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png, kind, data):
    """A PNG with one more chunk behind its header."""
    return png[:33] + chunk(kind, data) + png[33:]


def png16(values):
    return imagecodecs.png_encode(np.ascontiguousarray(values))


def announced_only():
    """A JPEG whose header announces a second picture that is not there, as some cameras write it."""
    buffer = io.BytesIO()
    first, second = several(2)
    first.save(buffer, "MPO", save_all=True, append_images=[second], quality=100, subsampling=0)
    data = buffer.getvalue()
    return data[: data.rindex(b"\xff\xd8\xff")]


def broken_exif():
    data = encoded(image(RGB), "JPEG", quality=100, subsampling=0)
    exif = b"Exif\0\0http://no/exif"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def dicom(values=None, *, frames=1, **tags):
    """A file with these tags; `values` are (frame,) row, column(, sample) of 8 or 16 bits."""

    def write(folder):
        from pydicom.dataset import FileDataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        stored = GREY16 // 16 if values is None else values
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
        file = FileDataset("a.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
        bits = stored.dtype.itemsize * 8
        given = {
            "Rows": SIDE,
            "Columns": SIDE,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": bits,
            "BitsStored": 12 if bits == 16 else 8,
            "PixelRepresentation": int(stored.dtype.kind == "i"),
            **({"NumberOfFrames": frames} if frames > 1 else {}),
            **tags,
        }
        for name, value in given.items():
            setattr(file, name, value)
        file.HighBit = file.BitsStored - 1
        file.PixelData = stored.tobytes()
        file.save_as(folder / "a.dcm", enforce_file_format=True)

    return write


def two_bits():
    """A PNG of 2-bit grey: the numbers 0 to 3, four in a byte."""
    values = GREY // 64
    packed = (values.reshape(8, 2, 4) << [6, 4, 2, 0]).sum(2).astype(np.uint8)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 2, 0, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_thumbnail(folder):
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)


def service(folder):
    for name in (".ipynb_checkpoints/a.png", "._a.png", "@eaDir/a.png", "__MACOSX/a.png", "Thumbs.db"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(RGB).save(folder / name, "PNG")


def unread_pictures(folder):
    for suffix in ("heic", "jp2", "jxl", "cr2", "svg", "pdf", "mp4"):
        (folder / f"a.{suffix}").write_bytes(b"whatever")


def fifo(folder):
    os.mkfifo(folder / "a.png")


@dataclass(frozen=True)
class Kind:
    """A kind of file, what is done with it in words, and what must come out."""

    kind: str
    done: str
    write: Callable[[Path], object]
    pixels: np.ndarray | None = None  # channel, row, column; None: left out
    notes: tuple[str, ...] = ()  # of the account
    within: float = 1e-6  # 0.03 for lossy formats
    channels: int = 3
    reading: Reading = field(default_factory=Reading)


LOSSY = 0.03
L16, RGB_16 = GREY16 / 65535, RGB16 / 65535
HU = (drawn(top=2000).round() - 1000).astype(np.int16)
G12 = GREY16 // 16  # 0 to 4095
AS_16 = "divided by 65535"
AS_8 = "divided by 255"
FRAMES = 'further frames or pages left out ([images] frames = "all" takes them)'
WHITE = "with transparency, put on white"
UPRIGHT = "turned upright by their EXIF orientation"
OTHER = "of a kind that is not read"
SMALL = "left out, a side below a quarter of the input's 8 x 8"
NARROW = "holds the largest value of the set, 4095 of 65535: [images] range = [0, 4095] makes that white"


def left_out(why):
    return (f"left out, {why}",)


KINDS = [
    Kind("PNG, 8-bit RGB", AS_8, pillow("png", image(RGB)), wide(RGB) / 255),
    Kind("PNG, 8-bit grey", "divided by 255; grey in three channels", pillow("png", image(GREY)), wide(GREY) / 255),
    Kind(
        "PNG, 8-bit RGB, for a model of one channel",
        "grey by ITU-R 601",
        pillow("png", image(RGB)),
        (RGB @ LUMA)[None] / 255,
        within=0.51 / 255,
        channels=1,
    ),
    Kind("PNG, 1 bit", "0 and 1", pillow("png", image(BIT)), wide(BIT)),
    Kind("PNG, 2-bit grey", "divided by 3", raw("png", two_bits()), wide(GREY // 64) / 3),
    Kind("PNG, palette", "its colours", pillow("png", palette()), wide(RGB) / 255),
    Kind(
        "PNG, palette with a transparent colour",
        "its colours on white",
        pillow("png", palette(transparent=5)),
        wide(np.where((np.arange(64) == 5).reshape(8, 8, 1), 255, RGB)) / 255,
        (WHITE,),
    ),
    Kind(
        "PNG, 8-bit RGBA",
        "composited on white",
        pillow("png", image(np.dstack([RGB, ALPHA]))),
        wide(on_white(RGB / 255, ALPHA / 255)),
        (WHITE,),
        within=1.01 / 255,
    ),
    Kind(
        "PNG, 8-bit RGBA, opaque everywhere",
        "its colours",
        pillow("png", image(np.dstack([RGB, 0 * ALPHA + 255]))),
        wide(RGB) / 255,
    ),
    Kind(
        "PNG, 8-bit RGBA, for a model of four channels",
        "the fourth channel is the transparency",
        pillow("png", image(np.dstack([RGB, ALPHA]))),
        wide(np.dstack([RGB, ALPHA])) / 255,
        channels=4,
    ),
    Kind(
        "PNG, 8-bit grey with transparency",
        "composited on white",
        pillow("png", image(np.dstack([GREY, ALPHA]))),
        wide(on_white(GREY / 255, ALPHA / 255)),
        (WHITE,),
        within=1.01 / 255,
    ),
    Kind("PNG, 16-bit grey", AS_16, pillow("png", image(GREY16)), wide(L16)),
    Kind("PNG, 16-bit RGB", AS_16, raw("png", png16(RGB16)), wide(RGB_16)),
    Kind(
        "PNG, 16-bit RGBA",
        "composited on white",
        raw("png", png16(np.dstack([RGB16, GREY16]))),
        wide(on_white(RGB_16, L16)),
        (WHITE,),
    ),
    Kind(
        "PNG, 16-bit grey with transparency",
        "composited on white",
        raw("png", png16(np.dstack([GREY16, GREY16[::-1]]))),
        wide(on_white(L16, L16[::-1])),
        (WHITE,),
    ),
    Kind(
        "PNG, 16-bit grey with a transparent level",
        "that level is white",
        raw("png", with_chunk(png16(GREY16), b"tRNS", struct.pack(">H", int(GREY16[3, 4])))),
        wide(np.where(GREY16[3, 4] == GREY16, 1, L16)),
        (WHITE,),
    ),
    Kind(
        "PNG, 16-bit grey, the values of a 12-bit camera",
        "divided by 65535, and the values are named",
        pillow("png", image(G12)),
        wide(G12 / 65535),
        (NARROW,),
    ),
    Kind(
        "PNG, 16-bit grey, with range = [0, 4095]",
        "divided by 4095",
        pillow("png", image(G12)),
        wide(G12 / 4095),
        reading=Reading(range=(0, 4095)),
    ),
    Kind(
        "PNG, 16-bit grey, with range = [0, 3000]",
        "cut to that range",
        pillow("png", image(G12)),
        wide((G12 / 3000).clip(0, 1)),
        ("with values beyond `range`, cut to it",),
        reading=Reading(range=(0, 3000)),
    ),
    Kind("PNG, animated", "the first frame", pages("png"), wide(RGB) / 255, (FRAMES,)),
    Kind(
        "PNG with a colour profile",
        "as it is; profiles are not applied",
        pillow("png", image(RGB), icc_profile=b"no profile"),
        wide(RGB) / 255,
    ),
    Kind("JPEG, RGB", AS_8, pillow("jpg", image(RGB), quality=100, subsampling=0), wide(RGB) / 255, within=LOSSY),
    Kind("JPEG, grey", AS_8, pillow("jpeg", image(GREY), quality=100), wide(GREY) / 255, within=LOSSY),
    Kind(
        "JPEG, progressive",
        AS_8,
        pillow("jpg", image(RGB), quality=100, subsampling=0, progressive=True),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG, CMYK",
        "converted to RGB",
        pillow("jpg", lambda: Image.fromarray(RGB).convert("CMYK"), quality=100, subsampling=0),
        wide(RGB) / 255,
        ("in CMYK, converted to RGB",),
        within=LOSSY,
    ),
    Kind(
        "JPEG named .jfif",
        AS_8,
        raw("jfif", encoded(image(RGB), "JPEG", quality=100, subsampling=0)),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG named .jpe",
        AS_8,
        raw("jpe", encoded(image(RGB), "JPEG", quality=100, subsampling=0)),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG named .png",
        "read by its content",
        raw("png", encoded(image(RGB), "JPEG", quality=100, subsampling=0)),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG with an EXIF orientation",
        "turned upright",
        turned_by(6, "jpg"),
        wide(np.rot90(RGB, -1)) / 255,
        (UPRIGHT,),
        within=0.2,
    ),
    Kind(
        "PNG with an EXIF orientation that mirrors",
        "turned upright",
        turned_by(7),
        wide(RGB[::-1, ::-1].swapaxes(0, 1)) / 255,
        (UPRIGHT,),
    ),
    Kind("JPEG with damaged EXIF data", "read, not turned", raw("jpg", broken_exif()), wide(RGB) / 255, within=LOSSY),
    Kind(
        "JPEG with a preview behind it (MPO: drones, phones, stereo cameras)",
        "the main picture",
        pages("mpo", quality=100, subsampling=0),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG that announces a second picture that is not there",
        "the main picture",
        raw("jpg", announced_only()),
        wide(RGB) / 255,
        within=LOSSY,
    ),
    Kind(
        "JPEG, truncated",
        "left out by name",
        raw("jpg", encoded(image(np.kron(RGB, np.ones((8, 8, 1), np.uint8))), "JPEG")[:700]),
        None,
        left_out("unreadable"),
    ),
    Kind("WebP, lossless", AS_8, pillow("webp", image(RGB), lossless=True), wide(RGB) / 255),
    Kind(
        "WebP with transparency",
        "composited on white",
        pillow("webp", image(np.dstack([RGB, ALPHA])), lossless=True, exact=True),
        wide(on_white(RGB / 255, ALPHA / 255)),
        (WHITE,),
        within=1.01 / 255,
    ),
    Kind("WebP, animated", "the first frame", pages("webp", lossless=True), wide(RGB) / 255, (FRAMES,)),
    Kind("AVIF", AS_8, pillow("avif", image(RGB), quality=100, subsampling="4:4:4"), wide(RGB) / 255, within=LOSSY),
    Kind("BMP", AS_8, pillow("bmp", image(RGB)), wide(RGB) / 255),
    Kind("GIF", "its colours", pillow("gif", palette()), wide(RGB) / 255),
    Kind(
        "GIF with a transparent colour",
        "its colours on white",
        pillow("gif", palette(), transparency=5),
        wide(np.where((np.arange(64) == 5).reshape(8, 8, 1), 255, RGB)) / 255,
        (WHITE,),
    ),
    Kind("GIF, animated", "the first frame", pages("gif"), wide(RGB) / 255, (FRAMES,), within=0.2),
    Kind("PPM, 8 bits", AS_8, pillow("ppm", image(RGB)), wide(RGB) / 255),
    Kind("PGM, 16 bits", AS_16, raw("pgm", b"P5 8 8 65535\n" + GREY16.astype(">u2").tobytes()), wide(L16)),
    Kind(
        "PGM whose largest value is 100",
        "divided by 100",
        raw("pgm", b"P5 8 8 100\n" + (GREY // 3).tobytes()),
        wide(GREY // 3) / 100,
        within=0.51 / 255,
    ),
    Kind("PBM", "black and white", pillow("pbm", image(BIT)), wide(BIT)),
    Kind("PFM within 0 and 1", "as it is", pillow("pfm", image(FLOAT)), wide(FLOAT)),
    Kind("TIFF, 8-bit RGB", AS_8, tiff(RGB, photometric="rgb"), wide(RGB) / 255),
    Kind("TIFF, 8-bit grey", AS_8, tiff(GREY), wide(GREY) / 255),
    Kind("TIFF, 1 bit, compressed as a fax", "0 and 1", pillow("tif", image(BIT), compression="group4"), wide(BIT)),
    Kind("TIFF, 12 bits packed", "divided by 4095", tiff(G12, bitspersample=12), wide(G12 / 4095)),
    Kind("TIFF, 16-bit grey", AS_16, tiff(GREY16), wide(L16)),
    Kind("TIFF, 16-bit RGB", AS_16, tiff(RGB16, photometric="rgb"), wide(RGB_16)),
    Kind(
        "TIFF, 16-bit RGB, a plane for each colour",
        AS_16,
        tiff(np.moveaxis(RGB16, 2, 0), photometric="rgb", planarconfig="separate"),
        wide(RGB_16),
    ),
    Kind("TIFF, big-endian", AS_16, tiff(RGB16, photometric="rgb", byteorder=">"), wide(RGB_16)),
    Kind("BigTIFF", AS_16, tiff(RGB16, photometric="rgb", bigtiff=True), wide(RGB_16)),
    Kind("TIFF, tiled", AS_16, tiff(RGB16, photometric="rgb", tile=(16, 16)), wide(RGB_16)),
    Kind("TIFF, LZW", AS_16, tiff(RGB16, photometric="rgb", compression="lzw", predictor=True), wide(RGB_16)),
    Kind("TIFF, deflate", AS_16, tiff(RGB16, photometric="rgb", compression="zlib"), wide(RGB_16)),
    Kind("TIFF, zstd", AS_16, tiff(RGB16, photometric="rgb", compression="zstd"), wide(RGB_16)),
    Kind(
        "TIFF, JPEG",
        AS_8,
        tiff(RGB, photometric="rgb", compression="jpeg", compressionargs={"level": 100}),
        wide(RGB) / 255,
        within=0.1,
    ),
    Kind("TIFF, LERC, one of the other codecs of imagecodecs", AS_8, tiff(GREY, compression="lerc"), wide(GREY) / 255),
    Kind("TIFF, 32-bit integers", "divided by 4294967295", tiff(GREY16.astype(np.uint32) * 65537), wide(L16)),
    Kind("TIFF, 64-bit floats within 0 and 1", "as it is", tiff(FLOAT.astype(np.float64)), wide(FLOAT)),
    Kind("TIFF, 32-bit floats within 0 and 1", "as it is", tiff(FLOAT), wide(FLOAT)),
    Kind(
        "TIFF, 16-bit floats within 0 and 1", "as it is", tiff(FLOAT.astype(np.float16)), wide(FLOAT.astype(np.float16))
    ),
    Kind(
        'TIFF, floats beyond 0 and 1, with range = "set"',
        "from the smallest to the largest value of the set",
        tiff(FLOAT * 1000 - 100),
        wide(FLOAT),
        reading=Reading(range="set"),
        within=1e-5,
    ),
    Kind(
        "TIFF, floats with NaN or infinity",
        "left out by name",
        tiff(np.where(FLOAT > 0.99, np.nan, FLOAT)),
        None,
        left_out("NaN or infinite values"),
    ),
    Kind(
        "TIFF, complex numbers",
        "left out by name",
        tiff(FLOAT.astype(np.complex64)),
        None,
        left_out("numbers of type complex64"),
    ),
    Kind("TIFF, white is zero", "inverted", tiff(GREY, photometric="miniswhite"), wide(255 - GREY.astype(int)) / 255),
    Kind("TIFF, palette", "its colours", pillow("tif", palette()), wide(RGB) / 255),
    Kind(
        "TIFF, CMYK",
        "converted to RGB",
        pillow("tif", lambda: Image.fromarray(RGB).convert("CMYK")),
        wide(RGB) / 255,
        ("in CMYK, converted to RGB",),
    ),
    Kind(
        "TIFF, RGBA",
        "composited on white",
        tiff(np.dstack([RGB16, GREY16]), photometric="rgb", extrasamples=["unassalpha"]),
        wide(on_white(RGB_16, L16)),
        (WHITE,),
    ),
    Kind(
        "TIFF, RGBA, multiplied by its transparency",
        "seen in front of white",
        tiff(np.dstack([RGB16 // 2, 0 * GREY16 + 40000]), photometric="rgb", extrasamples=["assocalpha"]),
        wide(((RGB16 // 2 + 25535.0) / 65535).clip(0, 1)),
        (WHITE,),
    ),
    Kind(
        "TIFF, RGB with a fourth channel that is no transparency",
        "the first three channels",
        tiff(np.dstack([RGB16, GREY16]), photometric="rgb", extrasamples=["unspecified"]),
        wide(RGB_16),
        ("with channels beyond red, green and blue, which were left out",),
    ),
    Kind(
        "TIFF, the same, for a model of four channels",
        "all four",
        tiff(np.dstack([RGB16, GREY16]), photometric="rgb", extrasamples=["unspecified"]),
        wide(np.dstack([RGB16, GREY16])) / 65535,
        channels=4,
    ),
    Kind(
        "TIFF, several pages",
        "the first page",
        tiff(np.stack([RGB, RGB[::-1]]), photometric="rgb"),
        wide(RGB) / 255,
        (FRAMES,),
    ),
    Kind(
        "TIFF, 13 pages, for a model of 13 channels",
        "a page for each channel",
        tiff(np.moveaxis(drawn(13), 2, 0).astype(np.uint8), photometric="minisblack"),
        wide(drawn(13).astype(np.uint8)) / 255,
        channels=13,
    ),
    Kind(
        "TIFF, 13 samples a pixel, for a model of 13 channels",
        "a sample for each channel",
        tiff(drawn(13).astype(np.uint8), photometric="minisblack", planarconfig="contig"),
        wide(drawn(13).astype(np.uint8)) / 255,
        channels=13,
    ),
    Kind(
        "TIFF of ImageJ or OME with a channel axis",
        "its channels",
        tiff(np.moveaxis(RGB16, 2, 0), ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
        wide(RGB_16),
    ),
    Kind("TIFF with a smaller copy of itself behind it", "the full picture", with_thumbnail, wide(RGB) / 255),
    Kind(
        "TIFF with an orientation",
        "turned upright",
        tiff(RGB16, photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
        wide(np.rot90(RGB16, -1)) / 65535,
        (UPRIGHT,),
    ),
    Kind("TIFF named .png", "read by its content", raw("png", encoded(image(RGB), "TIFF")), wide(RGB) / 255),
    Kind(
        "TIFF, a mosaic of a raw sensor",
        "left out by name",
        tiff(GREY16, photometric="cfa"),
        None,
        left_out("unreadable"),
    ),
    Kind("NPY, (row, column)", "its type's range", npy(GREY16), wide(L16)),
    Kind("NPY, (row, column, channel)", "its type's range", npy(RGB), wide(RGB) / 255),
    Kind("NPY, (channel, row, column)", "its type's range", npy(np.moveaxis(RGB, 2, 0)), wide(RGB) / 255),
    Kind("NPY, truth values", "0 and 1", npy(BIT), wide(BIT)),
    Kind(
        "NPY, 13 channels, for a model of 13 channels",
        "all 13",
        npy(drawn(13, top=1)),
        wide(drawn(13, top=1)),
        channels=13,
    ),
    Kind(
        "NPY that could have its channels first or last",
        "left out by name",
        npy(np.zeros((3, 9, 3))),
        None,
        left_out("an array of 3 x 9 x 3 could have its channels first or last"),
    ),
    Kind(
        "NPY of another number of channels",
        "left out by name",
        npy(np.zeros((9, 9, 5))),
        None,
        left_out("an array of 9 x 9 x 5 has no axis with the model's channels"),
    ),
    Kind("NPY of four axes", "left out by name", npy(np.zeros((2, 9, 9, 3))), None, left_out("an array of 4 axes")),
    Kind(
        "NPY of Python objects",
        "left out by name; nothing in it is run",
        npy(np.array([[{}]], dtype=object)),
        None,
        left_out("unreadable"),
    ),
    Kind(
        "DICOM with a window",
        "shown in its own window",
        dicom(WindowCenter=2048.5, WindowWidth=2001),
        wide(((G12 - 1048.0) / 2000).clip(0, 1)),
        ("of DICOM, shown in their own window",),
    ),
    Kind("DICOM without a window", "divided by the largest value of its bits", dicom(), wide(G12 / 4095)),
    Kind("DICOM, MONOCHROME1", "inverted", dicom(PhotometricInterpretation="MONOCHROME1"), wide(1 - G12 / 4095)),
    Kind(
        "DICOM in Hounsfield units, with range = [-1000, 1000]",
        "from -1000 to 1000 HU, not in its window",
        dicom((HU + 1024).astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=80),
        wide((HU + 1000) / 2000),
        reading=Reading(range=(-1000, 1000)),
    ),
    Kind(
        "DICOM, several frames",
        "the first frame",
        dicom(np.stack([G12, G12[::-1]]), frames=2),
        wide(G12 / 4095),
        (FRAMES,),
    ),
    Kind(
        "DICOM in colour",
        AS_8,
        dicom(RGB, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0),
        wide(RGB) / 255,
    ),
    Kind(
        "DICOM with a pixel spacing",
        "the spacing is noted",
        dicom(PixelSpacing=[0.2, 0.25]),
        wide(G12 / 4095),
        ("with pixels of 0.2 x 0.25 mm",),
    ),
    Kind(
        "HEIC, JPEG 2000, JPEG XL, raw camera files, SVG, PDF, films and the like",
        "named in the warning",
        unread_pictures,
        None,
        (OTHER,),
    ),
    Kind("an empty file", "left out by name", raw("png", b""), None, left_out("empty")),
    Kind("a text file named .png", "left out by name", raw("png", b"no picture"), None, left_out("unreadable")),
    Kind(
        "a pointer of Git LFS",
        "left out by name, with what to run",
        raw("png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        None,
        left_out("a pointer of Git LFS: run `git lfs pull`"),
    ),
    Kind("a pipe or a device named .png", "not opened; left out by name", fifo, None, left_out("not a regular file")),
    Kind(
        "a link that leads nowhere",
        "left out by name",
        lambda folder: (folder / "a.png").symlink_to("gone.png"),
        None,
        left_out("missing"),
    ),
    Kind(
        "a copy of another picture, in any format",
        "dropped; the two are one photograph",
        lambda folder: Image.open(folder / "z.png").save(folder / "zz.bmp"),
        None,
        ("copies of others, dropped",),
    ),
    Kind(
        "a picture of one constant value",
        "judged, and named",
        pillow("png", image(0 * RGB + 7)),
        wide(0 * RGB + 7) / 255,
        ("of one constant value",),
    ),
    Kind(
        "a picture smaller than the input",
        "enlarged by a cubic filter",
        pillow("png", image(np.tile(np.uint8([20, 80, 140, 200]), (8, 1)))),
        wide(np.tile(np.interp(np.arange(8) / 2 - 0.25, range(4), [20, 80, 140, 200]), (8, 1))) / 255,
        ("smaller than the input, enlarged to it",),
        within=LOSSY,
    ),
    Kind(
        "a picture with a side below a quarter of the input's",
        "left out by name",
        pillow("png", image(np.zeros((1, 3000), np.uint8))),
        None,
        (SMALL,),
    ),
    Kind(
        "a picture of more than 2^29 values",
        "left out by name, unread",
        lambda folder: tifffile.memmap(folder / "a.tif", shape=(30000, 30000), dtype=np.uint8),
        None,
        left_out("more than 536,870,912 values"),
    ),
    Kind(
        "hidden files and folders, @eaDir, Thumbs.db, __MACOSX",
        "skipped, and counted once",
        service,
        None,
        ("hidden or service files and folders skipped",),
    ),
]


def table():
    """The rows as the docs hold them."""
    rows = ["| file | what is done | what is said |", "| --- | --- | --- |"]
    rows += [f"| {kind.kind} | {kind.done} | {'; '.join(kind.notes)} |" for kind in KINDS]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(MARKS[0])
    DOCS.write_text(before + MARKS[0] + table() + MARKS[1] + rest.partition(MARKS[1])[2], encoding="utf-8")
