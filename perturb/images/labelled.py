"""Labelled picture sets on disk: one folder per class, Caltech-101, CUB-200-2011, Oxford-IIIT Pet."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from perturb.errors import InputError, UsageError
from perturb.files import read_text
from perturb.images.account import Ledger
from perturb.images.content import gathered
from perturb.images.folder import in_folder, name_in
from perturb.images.photograph import Box, fitted
from perturb.images.reading import Reading, note_constant, note_enlarged, opened_in_turn
from perturb.images.spool import Spool
from perturb.records import Images
from perturb.visible import plain

Listing = list[tuple[Path, str]]  # pairs of a picture and its class


def load_labelled(kind: str, root: Path, shape: tuple[int, int, int], reading: Reading) -> Images:
    """Every picture of a labelled set, resized and centre-cropped to `shape`; each is its own cluster.

    Classes are sorted by name. Of several frames the first is taken. Raises UsageError if the files of the set are not
    at `root`, and InputError for fewer than two classes or if no picture can be read.
    """
    if not root.is_dir():
        raise UsageError(f"`images`: folder `{plain(root)}` does not exist; check the path.")
    ledger = Ledger()
    source = plain(f"{kind}:{root}")
    listing = dict(LAYOUTS[kind](root, ledger))
    if not listing:
        raise InputError(f"`images`: `{source}` has 0 classes with pictures, expected two or more.")
    every = tuple(sorted(set(listing.values())))
    pixels, cuts, files = Spool(), list[Box](), list[Path]()
    paths = {path: name_in(root, path) for path in listing}
    for photograph in opened_in_turn(paths, shape[0], replace(reading, frames="first"), ledger):
        picture, cut = fitted(photograph.stored, shape)
        pixels.add(picture)
        cuts.append(cut)
        note_constant(photograph, ledger)
        note_enlarged(photograph, shape, ledger)
        files.append(photograph.path)
    if not files:
        raise InputError(f"`images`: `{source}` has no readable picture among {ledger.close(len(listing)).words}.")
    images = gathered(
        pixels.stack(),
        tuple(paths[path] for path in files),
        source,
        labels=np.array([every.index(listing[path]) for path in files]),
        classes=every,
        cut=np.stack(cuts),
        files=tuple(files),
        ledger=ledger,
        looked_at=len(listing),
    )
    assert images.labels is not None
    present, labels = np.unique(images.labels, return_inverse=True)
    if len(present) < 2:
        said = f" ({images.account.words})" if images.account else ""
        raise InputError(f"`images`: `{source}` has {len(present)} classes with pictures, expected two or more{said}.")
    return replace(images, labels=labels, classes=tuple(every[i] for i in present))


def _folders(root: Path, ledger: Ledger) -> Listing:
    """root/class/picture, at any depth below the class."""
    return [(path, plain(path.relative_to(root).parts[0])) for path in in_folder(root, ledger) if path.parent != root]


def _caltech101(root: Path, ledger: Ledger) -> Listing:
    """101_ObjectCategories/class/image_0001.jpg; BACKGROUND_Google is clutter, not a class."""
    folder = _found(root, ("101_ObjectCategories", "caltech101/101_ObjectCategories"), "Caltech-101")
    return [(path, name) for path, name in _folders(folder, ledger) if name != "BACKGROUND_Google"]


def _cub200(root: Path, ledger: Ledger) -> Listing:
    """CUB_200_2011: images.txt (number, path), image_class_labels.txt (number, class), classes.txt (class, name)."""
    folder = _found(root, ("images.txt", "CUB_200_2011/images.txt"), "CUB-200-2011").parent
    paths, owner, names = (dict(_rows(folder / f"{name}.txt")) for name in ("images", "image_class_labels", "classes"))
    try:
        return [(folder / "images" / path, names[owner[number]]) for number, path in paths.items()]
    except KeyError as error:
        raise InputError(
            f"`images`: the text files in `{folder}` give no class for number {error}; download the set again."
        ) from error


def _pets(root: Path, ledger: Ledger) -> Listing:
    """annotations/trainval.txt and test.txt: `Abyssinian_100 1 1 1`, that is picture, breed, species, number."""
    folder = _found(root, ("annotations", "oxford-iiit-pet/annotations"), "Oxford-IIIT Pet")
    pictures = [name for part in ("trainval", "test") for name, _ in _rows(folder / f"{part}.txt")]
    return [(folder.parent / "images" / f"{name}.jpg", name.rpartition("_")[0]) for name in pictures]


def _rows(path: Path) -> Iterable[tuple[str, str]]:
    """The first two words of each line; comments (#) are skipped."""
    if not path.exists():
        raise UsageError(f"`images`: the file `{path}` is missing; copy it there or download the set again.")
    lines = read_text(path).splitlines()
    return [(words[0], words[1]) for line in lines if len(words := line.split()) > 1 and not line.startswith("#")]


def _found(root: Path, places: tuple[str, ...], what: str) -> Path:
    for place in places:
        if (root / place).exists():
            return root / place
    raise UsageError(f"`images`: no {what} in `{root}`, expected {' or '.join(places)} in it.")


LAYOUTS: dict[str, Callable[[Path, Ledger], Listing]] = {
    "labelled": _folders,
    "caltech101": _caltech101,
    "cub200": _cub200,
    "pets": _pets,
}
