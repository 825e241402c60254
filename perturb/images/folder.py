"""The picture files of a folder and its subfolders."""

import os
from pathlib import Path

from perturb.errors import InputError, UsageError
from perturb.images.account import HIDDEN, LEFT_OUT, OTHER, Ledger
from perturb.visible import plain

READABLE = frozenset(
    """
    .png .apng .jpg .jpeg .jpe .jfif .jif .mpo .bmp .dib .gif .webp .avif .avifs .ppm .pgm .pbm .pnm .pfm
    .tif .tiff .btf .npy .dcm .dicom .ima
    """.split()
)
OTHER_PICTURES = frozenset(
    """
    .heic .heif .hif .jp2 .j2k .jpx .jxl .jxr .cr2 .cr3 .nef .arw .dng .raf .orf .rw2 .pef .srw .3fr .iiq .raw
    .psd .psb .xcf .kra .svg .svgz .eps .ai .pdf .exr .hdr .tga .pcx .ico .icns .dds .fits .fit .mat .nii .mha .mhd
    .nrrd .czi .lif .nd2 .svs .ndpi .scn .mrxs .vsi .lsm .npz .h5 .hdf5 .mp4 .mov .avi .mkv .webm
    """.split()
)
SERVICE = frozenset(
    ["@eadir", "__macosx", "#recycle", "$recycle.bin", "lost+found", "system volume information", "thumbs.db"]
)


def in_folder(folder: Path, ledger: Ledger) -> list[Path]:
    """The picture files in a folder and its subfolders, in sorted order.

    Hidden and service files and folders are skipped, and pictures of other kinds are left out; the ledger has both. A
    folder that is met twice, by links, is read once, where it really lies if that is inside.
    """
    if not folder.is_dir():
        raise UsageError(f"`images`: folder `{plain(folder)}` does not exist; check the path.")
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting, linked = [folder], list[Path]()
    while waiting or linked:
        here = waiting.pop() if waiting else linked.pop(0)
        try:
            about = here.stat()
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            ledger.note(LEFT_OUT.format(f"a folder that cannot be read ({error.strerror})"), name_in(folder, here))
            continue
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for entry in entries:
            path = Path(entry.path)
            suffix = path.suffix.lower()
            if entry.name.startswith(".") or entry.name.lower() in SERVICE:
                if entry.is_dir() or suffix in READABLE or entry.name.lower() in SERVICE:
                    ledger.note(HIDDEN, name_in(folder, path))
            elif entry.is_dir():
                (linked if entry.is_symlink() else waiting).append(path)
            elif suffix in READABLE or _is_dicom(path):
                found.append(path)
            elif suffix in OTHER_PICTURES:
                ledger.note(OTHER, name_in(folder, path))
    if not found:
        said = f" ({words})" if ";" in (words := ledger.close(0).words) else ""
        raise InputError(
            f"`images`: no pictures in folder `{plain(folder)}`, expected {', '.join(sorted(READABLE))}.{said}"
        )
    return sorted(found)


def _is_dicom(path: Path) -> bool:
    """Whether a file without a suffix, or with a number for one, is what a scanner exports: IM0001, 1.2.840.10008."""
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def name_in(folder: Path, path: Path) -> str:
    """The name below the folder, in characters that can be printed."""
    return plain(path.relative_to(folder))
