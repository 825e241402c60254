"""Where pictures come from: built-in photographs, a folder, labelled sets, digits, dead leaves, noise."""

from importlib import resources
from pathlib import Path

import numpy as np

from perturb.code import load_object
from perturb.errors import InputError, UsageError
from perturb.images.content import gathered
from perturb.images.digits import mnist, scikit_digits
from perturb.images.generated import GENERATED, Draw, dead_leaves
from perturb.images.labelled import LAYOUTS, load_labelled
from perturb.images.photograph import random_crop
from perturb.images.reading import in_folder, opened_in_turn
from perturb.kinds import is_custom
from perturb.records import Images
from perturb.streams import stream

__all__ = ["dead_leaves", "load_images", "split"]

SOURCES = (
    *(
        "built-in",
        "folder:PATH",
        "dead-leaves",
        "noise",
        "paper",
        "number-lines",
        "surface",
        "retina",
        "file.py:NAME",
        "digits",
        "mnist:PATH",
    ),
    *(f"{k}:PATH" for k in LAYOUTS),
)

# Photographs and micrographs inside the wheels of scikit-image and scikit-learn; no drawings.
BUILT_IN = {
    "skimage.data": """
        astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png grass.png
        gravel.png hubble_deep_field.jpg ihc.png microaneurysms.png moon.png motorcycle_left.png page.png retina.jpg
        rocket.jpg
        """.split(),
    "sklearn.datasets.images": ["china.jpg", "flower.jpg"],
}


def load_images(
    source: str,
    *,
    shape: tuple[int, int, int],
    crops: int = 4,
    count: int = 64,
    seed: int = 0,
    beside: Path | None = None,
) -> Images:
    """Crops of `shape` (channel, row, column) from `source`, the same for the same seed.

    `built-in` and `folder:PATH` give `crops` random crops at native resolution of every photograph (one smaller than
    the crop is enlarged to it). `digits` (scikit-learn's) and `mnist:PATH` (torchvision's files) give `count` labelled
    images, and the other names without a colon `count` drawn ones, independent of one another, each its own cluster.
    The labelled sets of `labelled.LAYOUTS` give all their pictures, fitted to `shape`. `file.py:NAME` is a function of
    the user's, looked for in the folder `beside` first: (shape, random generator) -> a picture in [0, 1], or (the
    picture, the (row, column) where alone an object belongs).
    Raises UsageError for an unknown source, InputError where no picture can be read.
    """
    kind, _, rest = source.partition(":")
    if kind in LAYOUTS and rest:
        return load_labelled(kind, Path(rest), shape)
    if source == "digits":
        return scikit_digits(shape, count=count, seed=seed)
    if kind == "mnist" and rest:
        return mnist(Path(rest), shape, count=count, seed=seed)
    if source in GENERATED:
        return _drawn(GENERATED[source], source, shape, count, seed)
    if ".py:" in source and is_custom(source):
        return _drawn(load_object(source, beside), source, shape, count, seed)
    if source == "built-in":
        paths = {
            Path(str(resources.files(package) / name)): Path(name).stem
            for package, names in BUILT_IN.items()
            for name in names
        }
    elif kind == "folder" and rest:
        paths = {path: str(path.relative_to(rest)) for path in in_folder(Path(rest))}
    else:
        raise UsageError(f"images `{source}` are unknown, expected one of {', '.join(SOURCES)}.")
    return _crops(paths, shape, crops, seed, source)


def split(images: Images, *, share: float, seed: int) -> tuple[Images, Images]:
    """Two sets with no photograph in common; the first gets `share` of the photographs, both at least two.

    Raises InputError with fewer than four photographs.
    """
    n = len(images.names)
    if n < 4:
        raise InputError(f"{n} photographs are too few: 2 to calibrate and 2 to judge are the least, 20 a good start.")
    order = stream(seed, "images/split").permutation(n)
    first = min(max(2, round(share * n)), n - 2)
    return _subset(images, order[:first]), _subset(images, order[first:])


def _drawn(draw: Draw, source: str, shape: tuple[int, int, int], count: int, seed: int) -> Images:
    """Pictures that a function draws."""
    made = [draw(shape, stream(seed, f"images/{source}/{i}")) for i in range(count)]
    with_spots = [one if isinstance(one, tuple) else (one, None) for one in made]
    pictures = [np.asarray(picture, dtype=np.float32) for picture, _ in with_spots]
    for picture in pictures:
        if picture.shape != shape or not (picture.min() >= 0 and picture.max() <= 1):
            raise InputError(f"images `{source}`: a picture is {picture.shape}, wanted {shape} with values in [0, 1].")
    spots = [spot for _, spot in with_spots if spot is not None]
    if spots and len(spots) < len(made):
        raise InputError(f"images `{source}`: some pictures have a place for the object, and others have none.")
    names = tuple(f"{source}-{i}" for i in range(count))
    return gathered(np.stack(pictures), names, source, spots=np.array(spots) if spots else None)


def _crops(paths: dict[Path, str], shape: tuple[int, int, int], crops: int, seed: int, source: str) -> Images:
    """Random crops of photographs with these names."""
    pixels, cuts, found = [], [], []
    for photograph in opened_in_turn(paths, shape):
        rng = stream(seed, f"images/{photograph.name}")
        for _ in range(crops):
            crop, cut = random_crop(photograph.stored, shape, rng)
            pixels.append(crop)
            cuts.append(cut)
        found.append((photograph.name, photograph.digest, photograph.path))
    if not found:
        raise InputError(f"images `{source}`: no readable picture among {len(paths)} files.")
    names, digests, files = zip(*found, strict=True)
    return Images(
        pixels=np.stack(pixels),
        photograph=np.arange(len(names)).repeat(crops),
        crop=np.tile(np.arange(crops), len(names)),
        names=names,
        digests=digests,
        source=source,
        cut=np.stack(cuts),
        files=files,
    )


def _subset(images: Images, photographs: np.ndarray) -> Images:
    chosen = np.sort(photographs)
    keep = np.isin(images.photograph, chosen)
    return Images(
        pixels=images.pixels[keep],
        photograph=np.searchsorted(chosen, images.photograph[keep]),
        crop=images.crop[keep],
        names=tuple(images.names[i] for i in chosen),
        digests=tuple(images.digests[i] for i in chosen),
        source=images.source,
        labels=None if images.labels is None else images.labels[chosen],
        classes=images.classes,
        spots=None if images.spots is None else images.spots[keep],
        cut=None if images.cut is None else images.cut[keep],
        files=tuple(images.files[i] for i in chosen) if images.files else (),
    )
