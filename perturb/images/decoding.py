"""A picture file becomes the numbers that it holds: PNG, JPEG and the like, TIFF, NPY and DICOM, told by content."""

import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from perturb.errors import InputError, UsageError
from perturb.files import check_regular
from perturb.images.account import CONVERTED, FURTHER, TURNED

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "AVIF", "PPM", "TIFF")  # none runs a program; JPEG includes MPO
LIMIT = 2**33  # bytes of a picture file, of which a page may be asked
PAGES = 2**16  # of a TIFF file
LARGEST = 2**29  # values of a picture: 2 GiB as float32, 179 megapixels in RGB, which is also Pillow's limit
GREY, RGB, PALETTE, CMYK, YCBCR, JPEG = (0, 1), 2, 3, 5, 6, 7  # photometric interpretations of TIFF; a compression
ALPHA = (1, 2)  # extra samples of TIFF: alpha that the colours are multiplied by, and alpha that they are not


class UnreadableError(ValueError):
    """Why a picture file is left out, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture as its file holds it."""

    values: np.ndarray  # row, column, channel; integers or floats
    white: float  # the largest value of its type; 1 for floats
    alpha: np.ndarray | None = None  # row, column: `opaque` where nothing shines through
    opaque: float = 1
    multiplied: bool = False  # the colours are multiplied by alpha already
    inverted: bool = False  # the smallest value is white


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The frames of a file that were asked for, and what was done to them."""

    frames: tuple[Frame, ...]
    left: int = 0  # further frames
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of a file."""

    channels: int  # of the model
    all_frames: bool = False
    window: bool = True  # of DICOM, its own


def decode(path: Path, asked: Asked) -> Decoded:
    """What lies in a file. Raises UnreadableError, which says why not."""
    try:
        with _quietly():
            read = _reader(path)
            return read(path, asked)
    except UnreadableError:
        raise
    except UsageError as error:
        raise UnreadableError("missing" if isinstance(error.__cause__, FileNotFoundError) else "unreadable") from error
    except InputError as error:
        raise UnreadableError("too large" if path.is_file() else "not a regular file") from error
    except Exception as error:  # of a damaged file every library has its own errors
        raise UnreadableError("unreadable") from error


def check_size(*lengths: int) -> None:
    """Raises UnreadableError for a picture that is empty, or of more than LARGEST values."""
    count = int(np.prod(lengths, dtype=object))
    if not 0 < count <= LARGEST:
        raise UnreadableError("empty" if count <= 0 else f"more than {LARGEST:,} values")


def turned(values: np.ndarray, orientation: object) -> np.ndarray:
    """Rows and columns as the EXIF tag Orientation (1 to 8; anything else is 1) says that they are to be seen."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values


@contextmanager
def _quietly() -> Iterator[None]:
    """No warning and no log of a library: the account says what matters."""
    loggers = [logging.getLogger(name) for name in ("tifffile", "pydicom", "PIL")]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was


def _reader(path: Path) -> Callable[[Path, Asked], Decoded]:
    """The reader for what the file begins with, whatever it is called."""
    check_regular(path, limit=LIMIT)
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        raise UnreadableError("empty")
    if head.startswith(b"version https://git-lfs"):
        raise UnreadableError("a pointer of Git LFS: run `git lfs pull`")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff
    if head.startswith(b"\x93NUMPY"):
        return _npy
    if head[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return _dicom
    if head.startswith(b"\x89PNG") and head[24:25] == b"\x10":  # bits of a sample
        return _png16
    return _pillow


def _pillow(path: Path, asked: Asked) -> Decoded:
    """8 bits in any mode, and what else Pillow reads as it is: grey of 16 bits and floats."""
    with Image.open(path, formats=FORMATS) as opened:
        check_size(opened.width, opened.height, len(opened.getbands()))
        count = getattr(opened, "n_frames", 1)
        orientation = 1 if opened.format == "TIFF" else _orientation(opened)  # Pillow turns TIFF itself
        opened.seek(0)
        if opened.format == "MPO":
            count = 1  # its further pictures are previews, depth or gain, and sometimes only announced
        chosen: Any = ImageSequence.Iterator(opened) if asked.all_frames and count > 1 else [opened]
        notes, frames = [], []
        for image in chosen:
            if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "F", "I;16", "I;16L", "I;16B"):
                notes.append(CONVERTED.format(image.mode))
            frames.append(_frame(image, orientation))
    if orientation in range(2, 9):
        notes.append(TURNED)
    return Decoded(frames=tuple(frames), left=count - len(frames), notes=tuple(notes))


def _orientation(opened: Image.Image) -> object:
    """1 where the EXIF data are damaged: they are no part of the picture."""
    try:
        return opened.getexif().get(0x0112, 1)
    except Exception:
        return 1


def _frame(image: Image.Image, orientation: object) -> Frame:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        white = 1 if image.mode == "F" else 2**16 - 1  # these formats keep at most 16 bits
        return Frame(values=turned(values, orientation)[..., None], white=white)
    if image.has_transparency_data:
        rgba = turned(np.asarray(image.convert("RGBA")), orientation)
        return Frame(values=rgba[..., :3], white=255, alpha=rgba[..., 3], opaque=255)
    wanted = "L" if image.mode in ("1", "L") else "RGB"
    values = np.asarray(image if image.mode == wanted else image.convert(wanted))
    return Frame(values=turned(np.atleast_3d(values), orientation), white=255)


def _png16(path: Path, asked: Asked) -> Decoded:
    """16 bits with any number of channels; Pillow cuts all but grey to 8 bits."""
    from imagecodecs import png_decode

    data = path.read_bytes()
    with Image.open(path, formats=["PNG"]) as opened:
        check_size(opened.width, opened.height, 4)
        orientation = _orientation(opened) if b"eXIf" in data else 1
        left = getattr(opened, "n_frames", 1) - 1
    values = np.atleast_3d(turned(png_decode(data), orientation))
    frame = Frame(values=values, white=2**16 - 1)
    if values.shape[2] in (2, 4):
        frame = replace(frame, values=values[..., :-1], alpha=values[..., -1], opaque=2**16 - 1)
    return Decoded(frames=(frame,), left=left, notes=(TURNED,) if orientation in range(2, 9) else ())


def _npy(path: Path, asked: Asked) -> Decoded:
    """An array of numbers: (row, column), or with channels first or last, told apart by the model's number of them."""
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    check_size(*values.shape)
    kinds = {asked.channels, *((1, 3) if asked.channels in (1, 3) else ())}
    if values.ndim == 2:
        values = values[..., None]
    elif values.ndim == 3:
        last, first = values.shape[2] in kinds, values.shape[0] in kinds
        if last == first:
            why = "could have its channels first or last" if last else "has no axis with the model's channels"
            raise UnreadableError(f"an array of {' x '.join(map(str, values.shape))} {why}")
        values = values if last else np.moveaxis(values, 0, 2)
    else:
        raise UnreadableError(f"an array of {values.ndim} axes")
    return Decoded(frames=(Frame(values=np.array(values), white=largest(values.dtype)),))


def largest(kind: np.dtype[Any], bits: int | None = None) -> float:
    """The largest value of a type of number, or of so many bits of it. Raises UnreadableError for what is none."""
    if kind.kind == "b":
        return 1
    if kind.kind == "f":
        return 1
    if kind.kind not in "ui":
        raise UnreadableError(f"numbers of type {kind.name}")
    return 2 ** ((bits or 8 * kind.itemsize) - (kind.kind == "i")) - 1


def _tiff(path: Path, asked: Asked) -> Decoded:
    """Grey, RGB, palettes and CMYK of any depth and compression by tifffile; other colour spaces by Pillow."""
    from tifffile import TiffFile

    _check_pages(path)
    with TiffFile(path) as tiff:
        series = tiff.series[0]
        page = series.keyframe
        photometric, orientation = int(page.photometric), page.tags.valueof(274, default=1)
        if photometric == YCBCR and page.compression == JPEG:
            photometric = RGB  # as which it is decoded
        elif photometric not in (*GREY, RGB, PALETTE, CMYK):
            if orientation != 1:
                raise UnreadableError("unreadable")
            return _pillow(path, asked)
        axes = _axes(series.axes, series.shape, asked.channels)
        lengths = dict(zip(axes, series.shape, strict=True))
        order = [*(axis for axis in axes if axis not in "YXC"), *"YXC"[: 2 + ("C" in axes)]]
        frames = int(np.prod([lengths[axis] for axis in order if axis not in "YXC"], dtype=object))
        whole = asked.all_frames or len(series.pages) != frames
        check_size(*(series.shape if whole else page.shape))
        if page.is_tiled:
            check_size(page.tilelength, page.tilewidth, page.samplesperpixel)
        values = series.asarray() if whole else tiff.asarray(key=0, series=0)
        values = values.reshape(series.shape if whole else [1 if axis not in "YXC" else lengths[axis] for axis in axes])
        others = sum(len(s.pages) for s in tiff.series[1:] if not s.keyframe.is_reduced)
        extras = tuple(int(extra) for extra in page.extrasamples)
        bits, colours = page.bitspersample if isinstance(page.bitspersample, int) else None, page.colormap
    stack = values.transpose([axes.index(axis) for axis in order])
    stack = stack.reshape(-1, lengths["Y"], lengths["X"], lengths.get("C", 1))[: None if asked.all_frames else 1]
    notes = [TURNED] if orientation in range(2, 9) else []
    frame = Frame(values=stack, white=largest(stack.dtype, bits), inverted=photometric == 0)
    if photometric == PALETTE:
        frame = Frame(values=(colours >> 8).astype(np.uint8).T[stack[..., 0]], white=255)
    elif photometric == CMYK:
        frame = Frame(values=np.stack([_from_cmyk(picture, frame.white) for picture in stack]), white=255)
        notes.append(CONVERTED.format("CMYK"))
    elif len(extras) == 1 and extras[0] in ALPHA and stack.shape[3] == (4 if photometric == RGB else 2):
        colour, alpha = stack[..., :-1], stack[..., -1]
        frame = replace(frame, values=colour, alpha=alpha, opaque=frame.white, multiplied=extras[0] == ALPHA[0])
    elif extras and photometric == RGB and asked.channels in (1, 3):
        frame = replace(frame, values=stack[..., :3])
        notes.append(FURTHER)
    made = tuple(
        replace(
            frame,
            values=turned(frame.values[i], orientation),
            alpha=None if frame.alpha is None else turned(frame.alpha[i], orientation),
        )
        for i in range(len(stack))
    )
    return Decoded(frames=made, left=frames - len(made) + others, notes=tuple(notes))


def _check_pages(path: Path) -> None:
    """Each page of a TIFF file says where the next one lies; tifffile follows a chain that leads back without end.

    Raises UnreadableError for such a chain. One that breaks off is tifffile's to judge.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order, big = "<" if head[:1] == b"I" else ">", b"+" in head[2:4]
        count, entry, where = ("Q", 20, "Q") if big else ("H", 12, "I")
        size, seen = struct.calcsize(where), set[int]()
        try:
            (at,) = struct.unpack_from(order + where, head, 8 if big else 4)
            while at:
                if at in seen or len(seen) > PAGES:
                    raise UnreadableError("unreadable")
                seen.add(at)
                file.seek(at)
                (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
                file.seek(entries * entry, 1)
                (at,) = struct.unpack(order + where, file.read(size))
        except (struct.error, OverflowError, OSError):
            return


def _from_cmyk(picture: np.ndarray, white: float) -> np.ndarray:
    """RGB as Pillow converts it, in 8 bits."""
    ink = (picture / (white / 255)).astype(np.uint8)
    return np.asarray(Image.frombytes("CMYK", ink.shape[1::-1], ink.tobytes()).convert("RGB"))


def _axes(axes: str, shape: tuple[int, ...], channels: int) -> str:
    """The letters of a series with `C` for its channels: samples, a channel axis, or as many pages as channels."""
    if axes.count("Y") != 1 or axes.count("X") != 1:
        raise UnreadableError(f"a TIFF file with the axes {axes}")
    if "S" in axes:
        return axes.replace("C", "q").replace("S", "C")
    pages = [axis for axis, n in zip(axes, shape, strict=True) if axis not in "YX" and n == channels]
    if "C" not in axes and channels not in (1, 3) and len(pages) == 1:
        return axes.replace(pages[0], "C")
    return axes


def _dicom(path: Path, asked: Asked) -> Decoded:
    try:
        from perturb.images.dicom import read_dicom
    except ImportError as error:
        raise UnreadableError('of DICOM: pip install "perturb-suite[dicom]" reads it') from error
    return read_dicom(path, asked)
