"""Where pictures come from: built-in photographs, a folder, dead leaves, noise."""

import warnings
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.records import Images
from perturb.streams import stream

Picture = Float[np.ndarray, "channel row column"]

# Photographs and micrographs inside the wheels of scikit-image and scikit-learn; no drawings.
BUILT_IN = {
    "skimage.data": """
        astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png grass.png
        gravel.png hubble_deep_field.jpg ihc.png microaneurysms.png moon.png motorcycle_left.png page.png retina.jpg
        rocket.jpg
        """.split(),
    "sklearn.datasets.images": ["china.jpg", "flower.jpg"],
}
READABLE = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})


def load_images(source: str, *, shape: tuple[int, int, int], crops: int = 4, count: int = 64, seed: int = 0) -> Images:
    """Crops of `shape` (channel, row, column) from `source`, the same for the same seed.

    `built-in` and `folder:PATH` give `crops` random crops at native resolution of every photograph (one smaller than
    the crop is enlarged to it); `dead-leaves` and `noise` give `count` independent images, each its own cluster.
    Raises UsageError for an unknown source, InputError where no picture can be read.
    """
    kind, _, rest = source.partition(":")
    if kind in MADE and not rest:
        draw = MADE[kind]
        made = [draw(shape, stream(seed, f"images/{kind}/{i}")) for i in range(count)]
        return _images(made, range(count), tuple(f"{kind}-{i}" for i in range(count)), source)
    if source == "built-in":
        paths = [Path(str(files(package) / name)) for package, names in BUILT_IN.items() for name in names]
    elif kind == "folder" and rest:
        paths = _in_folder(Path(rest))
    else:
        raise UsageError(f"images `{source}` are unknown, expected built-in, folder:PATH, dead-leaves or noise.")
    root = Path(rest) if rest else None
    cut: list[Picture] = []
    owner: list[int] = []
    names: list[str] = []
    for path, photograph in _opened(paths, shape):
        name = str(path.relative_to(root)) if root else path.stem
        rng = stream(seed, f"images/{name}")
        cut += [_crop(photograph, shape, rng) for _ in range(crops)]
        owner += [len(names)] * crops
        names.append(name)
    if not names:
        raise InputError(f"images `{source}`: no readable picture among {len(paths)} files.")
    return _images(cut, owner, tuple(names), source)


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


def _subset(images: Images, photographs: np.ndarray) -> Images:
    chosen = np.sort(photographs)
    keep = np.isin(images.photograph, chosen)
    return Images(
        pixels=images.pixels[keep],
        photograph=np.searchsorted(chosen, images.photograph[keep]),
        names=tuple(images.names[i] for i in chosen),
        source=images.source,
    )


def _images(pictures: list[Picture], owner: Iterable[int], names: tuple[str, ...], source: str) -> Images:
    return Images(pixels=np.stack(pictures), photograph=np.array(list(owner)), names=names, source=source)


def _in_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"images: there is no folder `{folder}`.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
    if not paths:
        raise InputError(f"images: `{folder}` holds no pictures ({', '.join(sorted(READABLE))}).")
    return paths


def _opened(paths: list[Path], shape: tuple[int, int, int]) -> Iterable[tuple[Path, Image.Image]]:
    """Those that can be read; the others are named in one warning at the end."""
    unreadable: list[str] = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                yield path, _as_colour(opened, shape[0])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow's ways to refuse a file
            unreadable.append(path.name)
    if unreadable:
        more = f" and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        names = ", ".join(unreadable[:5])
        warnings.warn(f"{len(unreadable)} unreadable pictures left out: {names}{more}", PerturbWarning, stacklevel=3)


def _as_colour(opened: Image.Image, channels: int) -> Image.Image:
    if channels not in (1, 3):
        raise InputError(f"pictures have 1 or 3 channels, the network wants {channels}.")
    if opened.mode.startswith(("I", "F")):  # 16-bit and float files: scaled by their own range
        values = np.asarray(opened, dtype=np.float64)
        span = np.ptp(values) or 1.0
        opened = Image.fromarray(np.uint8(255 * (values - values.min()) / span))
    return opened.convert("L" if channels == 1 else "RGB")


def _crop(photograph: Image.Image, shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    rows, columns = shape[1:]
    scale = max(rows / photograph.height, columns / photograph.width)
    if scale > 1:
        size = (max(columns, round(photograph.width * scale)), max(rows, round(photograph.height * scale)))
        photograph = photograph.resize(size, Image.Resampling.BICUBIC)
    top = int(rng.integers(photograph.height - rows + 1))
    left = int(rng.integers(photograph.width - columns + 1))
    values = np.asarray(photograph.crop((left, top, left + columns, top + rows)), dtype=np.float32) / 255
    return np.ascontiguousarray(values.reshape(rows, columns, shape[0]).transpose(2, 0, 1))


def dead_leaves(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """Opaque discs of random grey and colour, radii with density ~ r^-3, laid until the plane is full.

    Lee, Mumford and Huang (2001), "Occlusion models for natural images": its statistics are scale invariant, as those
    of photographs are. Radii between 2 pixels and a third of the shorter side.
    """
    channels, rows, columns = shape
    smallest, largest = 2.0, max(4.0, min(rows, columns) / 3)
    picture = np.zeros(shape, dtype=np.float32)
    bare = np.ones((rows, columns), dtype=bool)
    row, column = np.ogrid[:rows, :columns]
    for _ in range(20_000):  # far more than full cover takes; the few bare pixels left stay black
        radius = (smallest**-2 - rng.random() * (smallest**-2 - largest**-2)) ** -0.5
        y, x = rng.uniform(-radius, rows + radius), rng.uniform(-radius, columns + radius)
        colour = rng.random((channels, 1)).astype(np.float32) * 0.5 + np.float32(rng.random() * 0.5)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = (slice(top, max(top, int(y + radius) + 2)), slice(left, max(left, int(x + radius) + 2)))
        if not bare[box].any():
            continue
        seen = bare[box] & ((row[box[0]] - y) ** 2 + (column[:, box[1]] - x) ** 2 <= radius**2)
        if seen.any():
            picture[(slice(None), *box)][:, seen] = colour
            bare[box] &= ~seen
            if not bare.any():
                break
    return picture


def noise(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """Independent uniform pixels."""
    return rng.random(shape, dtype=np.float32)


MADE: dict[str, Callable[[tuple[int, int, int], np.random.Generator], Picture]] = {
    "dead-leaves": dead_leaves,
    "noise": noise,
}
