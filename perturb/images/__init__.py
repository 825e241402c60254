"""Where pictures come from: built-in photographs, a folder, labelled sets, digits, dead leaves, noise."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np

from perturb.code import load_object
from perturb.errors import InputError, UsageError
from perturb.images.account import COPY, LEFT_OUT, Ledger, said
from perturb.images.content import gathered
from perturb.images.decoding import LARGEST
from perturb.images.digits import mnist, scikit_digits
from perturb.images.folder import in_folder, name_in
from perturb.images.generated import GENERATED, Draw, dead_leaves
from perturb.images.labelled import LAYOUTS, load_labelled
from perturb.images.photograph import Photograph, cut_like, enlarged_size
from perturb.images.reading import Reading, note_constant, note_enlarged, opened_in_turn
from perturb.images.region import Region, crop_at
from perturb.images.spool import Spool, spooled
from perturb.kinds import is_custom
from perturb.records import Images
from perturb.streams import stream
from perturb.trials import only
from perturb.visible import plain

__all__ = ["Reading", "Region", "dead_leaves", "is_drawn", "load_images", "of_photographs", "split", "split_sizes"]

AS_IT_IS = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cropping:
    """How photographs are cropped."""

    shape: tuple[int, int, int]
    crops: int  # of each frame
    seed: int
    least: float = 1 / 4  # of the crop's side: a photograph below that would be more interpolation than picture
    region: Region | None = None


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
    reading: Reading = AS_IT_IS,
    region: Region | None = None,
) -> Images:
    """Crops of `shape` (channel, row, column) from `source`, the same for the same seed.

    `built-in` and `folder:PATH` give `crops` random crops at native resolution of every photograph, or of each frame of
    it that `reading` asks for. One smaller than the crop is enlarged to it; of the user's own, one with a side below a
    quarter of the crop's is left out. Copies are dropped, in every source. One warning says what was done to the
    pictures, and so does the result's account. `digits` (scikit-learn's) and `mnist:PATH` (torchvision's files) give
    `count` labelled images, and the other names without a colon `count` drawn ones, independent of one another, each
    its own cluster. The labelled sets of `labelled.LAYOUTS` give all their pictures, fitted to `shape`. `file.py:NAME`
    is a function of the user's: (shape, random generator) -> a picture in [0, 1], or (the picture, the (row, column)
    where alone an object belongs). Every path is looked for in the folder `beside` first, then in the current one. With
    a `region` each crop of a photograph holds a part of it, and photographs without one are left out.
    Raises UsageError for an unknown source, InputError where no picture can be read.
    """
    kind, _, rest = source.partition(":")
    if region and kind not in ("built-in", "folder"):
        return _within(load_images(source, shape=shape, count=count, seed=seed, beside=beside), region)
    if kind in LAYOUTS and rest:
        return said(load_labelled(kind, _found(rest, beside), shape, reading))
    if source == "digits":
        return said(scikit_digits(shape, count=count, seed=seed))
    if kind == "mnist" and rest:
        return said(mnist(_found(rest, beside), shape, count=count, seed=seed))
    if is_drawn(source):
        draw = GENERATED[source] if source in GENERATED else load_object(source, beside)
        return said(_drawn(draw, source, shape, count, seed))
    if source == "built-in":
        names = {
            Path(str(resources.files(package) / name)): Path(name).stem
            for package, names in BUILT_IN.items()
            for name in names
        }
        how = Cropping(shape=shape, crops=crops, seed=seed, least=0, region=region)
        found = _crops(names, source, how, AS_IT_IS, Ledger())
        return said(found) if region else replace(found, account=None)
    if kind == "folder" and rest:
        ledger, folder = Ledger(), _found(rest, beside)
        names = {path: name_in(folder, path) for path in in_folder(folder, ledger)}
        how = Cropping(shape=shape, crops=crops, seed=seed, region=region)
        return said(_crops(names, plain(source), how, reading, ledger))
    raise UsageError(f"images `{source}` are unknown, expected one of {', '.join(SOURCES)}.")


def _found(path: str, beside: Path | None) -> Path:
    return beside / path if beside is not None and (beside / path).exists() else Path(path)


def is_drawn(source: str) -> bool:
    """Whether a function draws these pictures, as many as are asked for."""
    return source in GENERATED or (".py:" in source and is_custom(source))


def split(images: Images, *, share: float, seed: int) -> tuple[Images, Images]:
    """Two sets with no photograph in common; the first gets `share` of the photographs, both at least two.

    The photographs of the second lie in a random order, so that the first n of them are a random sample of it.
    Raises InputError with fewer than four photographs.
    """
    n = len(images.names)
    if n < 4:
        said = f" Pictures: {images.account.words}." if images.account else ""
        raise InputError(
            f"{n} photographs are too few: 2 to calibrate and 2 to judge are the least, 20 a good start.{said}"
        )
    order = stream(seed, "images/split").permutation(n)
    first, _ = split_sizes(n, share)
    return of_photographs(images, np.sort(order[:first])), of_photographs(images, order[first:])


def split_sizes(photographs: int, share: float) -> tuple[int, int]:
    """How many of the photographs `split` puts into each set."""
    first = min(max(2, round(share * photographs)), photographs - 2)
    return first, photographs - first


def _drawn(draw: Draw, source: str, shape: tuple[int, int, int], count: int, seed: int) -> Images:
    """Pictures that a function draws."""
    pixels, spots = Spool(), []
    for i in range(count):
        made = draw(shape, stream(seed, f"images/{source}/{i}"))
        drawn, spot = made if isinstance(made, tuple) else (made, None)
        picture = np.asarray(drawn, dtype=np.float32)
        if picture.shape != shape or not (picture.min() >= 0 and picture.max() <= 1):
            raise InputError(f"images `{source}`: a picture is {picture.shape}, wanted {shape} with values in [0, 1].")
        pixels.add(picture)
        spots += [] if spot is None else [spot]
    if spots and len(spots) < count:
        raise InputError(f"images `{source}`: some pictures have a place for the object, and others have none.")
    names = tuple(f"{source}-{i}" for i in range(count))
    return gathered(pixels.stack(), names, source, spots=np.array(spots) if spots else None)


def _within(images: Images, region: Region) -> Images:
    """Drawn pictures, each a whole photograph of its own, with the region in them."""
    if images.files or images.spots is not None or images.labels is not None or region.masks:
        raise UsageError(
            f"[region] does not go with images `{images.source}`; masks go with built-in and folder:PATH alone."
        )
    names = zip(images.pixels, images.names, strict=True)
    return replace(images, region=spooled(region.allowed(picture, name) for picture, name in names))


def _crops(paths: dict[Path, str], source: str, how: Cropping, reading: Reading, ledger: Ledger) -> Images:
    """Random crops of photographs with these names."""
    pixels, regions, cuts, photographs, counts = Spool(), Spool(), [], {}, []
    for photograph in opened_in_turn(paths, how.shape[0], reading, ledger):
        if why := _unfit(photograph, how.shape, how.least):
            ledger.note(LEFT_OUT.format(why), photograph.name)
            continue
        if photograph.digest in photographs:
            ledger.note(COPY, photograph.name)
            continue
        where = how.region.allowed(photograph.values, photograph.name) if how.region else None
        if where is not None and not where.any():
            ledger.note(LEFT_OUT.format("nothing of them in the region"), photograph.name)
            continue
        note_constant(photograph, ledger)
        note_enlarged(photograph, how.shape, ledger)
        photographs[photograph.digest] = photograph.name, photograph.path
        rng = stream(how.seed, f"images/{photograph.name}")
        frames = [frame for frame in (photograph.stored, *photograph.more) for _ in range(how.crops)]
        for frame in frames:
            crop, cut = crop_at(frame, where, how.shape, rng)
            pixels.add(crop)
            cuts.append(cut)
            if where is not None:
                regions.add(cut_like(where[None].astype(np.uint8), cut, how.shape)[0] > 0)
        counts.append(len(frames))
    account = ledger.close(len(paths))
    if not photographs:
        raise InputError(f"images `{source}`: no readable picture among {account.words}.")
    names, files = zip(*photographs.values(), strict=True)
    return Images(
        pixels=pixels.stack(),
        photograph=np.arange(len(names)).repeat(counts),
        crop=np.concatenate([np.arange(count) for count in counts]),
        names=names,
        digests=tuple(photographs),
        source=source,
        cut=np.stack(cuts),
        files=files,
        account=account if account.notes else None,
        region=regions.stack() if how.region else None,
    )


def _unfit(photograph: Photograph, shape: tuple[int, int, int], least: float) -> str:
    """Why no crop of this photograph is worth judging, or ever larger than memory; empty where one is."""
    rows, columns = photograph.size
    enlarged = enlarged_size(photograph.size, shape)
    small = rows < least * shape[1] or columns < least * shape[2]
    if small or len(photograph.stored) * enlarged[0] * enlarged[1] > LARGEST:
        return f"a side below a quarter of the input's {shape[1]} x {shape[2]}" if small else "too large once enlarged"
    return ""


def of_photographs(images: Images, chosen: np.ndarray) -> Images:
    """The images of these photographs, in this order."""
    rank = np.full(len(images.names), len(chosen))
    rank[chosen] = np.arange(len(chosen))
    order = np.argsort(rank[images.photograph], kind="stable")
    kept = only(images, order[: np.isin(images.photograph, chosen).sum()])
    return replace(
        kept,
        photograph=rank[kept.photograph],
        names=tuple(images.names[i] for i in chosen),
        digests=tuple(images.digests[i] for i in chosen),
        labels=None if images.labels is None else images.labels[chosen],
        files=tuple(images.files[i] for i in chosen) if images.files else (),
    )
