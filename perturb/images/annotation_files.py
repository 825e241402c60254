"""Annotation files, each read as it was written: COCO JSON, YOLO text, CSV of points or boxes, masks.

A reader gives the objects of each picture by the name that the file has for it. It opens no picture but masks.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perturb.errors import InputError, UsageError
from perturb.files import read_text
from perturb.images.folder import READABLE
from perturb.visible import plain

LIMIT = 512 * 2**20  # bytes of one file: the largest of COCO has 470 MB
MOST = 10_000  # objects of one mask: more are noise, or a picture
Box = tuple[float, float, float, float]  # top, left, rows, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The objects of one picture."""

    boxes: list[Box] = field(default_factory=list)  # pixels, or shares of the picture where `relative`
    classes: list[str] = field(default_factory=list)
    relative: bool = False
    size: tuple[int, int] | None = None  # rows, columns of the picture, where the file tells them

    def add(self, box: Box, name: str) -> None:
        self.boxes.append(box)
        self.classes.append(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """What an annotation file says: by the name of a picture, without its suffix where `stems`."""

    entries: dict[str, Entry]
    left_out: Counter[str]  # how many boxes of which fault
    stems: bool = False


def read_annotations(path: Path) -> Annotated:
    """What lies at `path`: a .json, a .csv, a data.yaml, or a folder of YOLO texts or of masks.

    Raises UsageError for anything else, InputError for a file that is damaged.
    """
    if path.is_dir():
        return _read_folder(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None or not path.exists():
        hint = ADVICE.get(path.suffix.lower(), "")
        what = "is not read" if path.exists() else "does not exist"
        raise UsageError(f"annotations `{plain(path)}`: {what}, expected {EXPECTED}.{hint}")
    return reader(path)


EXPECTED = "a COCO .json, a .csv, a data.yaml, or a folder of YOLO .txt files or of masks"
ADVICE = {
    ".xml": " Export Pascal VOC files as COCO or YOLO.",
    ".zip": " Unpack it.",
    ".txt": " Give the folder of the labels.",
}


def _read_folder(folder: Path) -> Annotated:
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    if any(p.suffix.lower() == ".txt" and p.name not in NO_LABELS for p in found):
        return _read_yolo(folder)
    masks = [p for p in found if p.suffix.lower() in READABLE]
    if not masks:
        raise InputError(f"annotations `{plain(folder)}`: neither labels (.txt) nor masks in this folder.")
    return _read_masks(folder, masks)


def _read_coco(path: Path) -> Annotated:
    """`images` with `id` and `file_name`, `annotations` with `image_id` and `bbox` [x, y, width, height] in pixels.

    Ids may be numbers or text. A missing box is taken from the polygons; area, id and iscrowd may be missing.
    """
    data = _parsed(path)
    if not (isinstance(data, dict) and isinstance(data.get("images"), list)) or not isinstance(
        data.get("annotations"), list
    ):
        raise InputError(f"annotations `{plain(path)}`: expected COCO, with images and annotations.{_other(data)}")
    images: dict[str, str] = {}
    entries: dict[str, Entry] = {}
    for number, image in enumerate(data["images"]):
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            raise InputError(f"annotations `{plain(path)}`: images.{number}: expected an id and a file_name.")
        key = _key(image["id"])
        if key in images:
            raise InputError(f"annotations `{plain(path)}`: images.{number}: id {plain(key)} is given twice.")
        images[key] = image["file_name"]
        entries.setdefault(image["file_name"], Entry(size=_size(image.get("height"), image.get("width"))))
    categories = data.get("categories") or []
    if not isinstance(categories, list):
        raise InputError(f"annotations `{plain(path)}`: categories: expected a list.")
    names = {_key(one.get("id")): str(one.get("name")) for one in categories if isinstance(one, dict)}
    left_out: Counter[str] = Counter()
    for one in data["annotations"]:
        box = _coco_box(one) if isinstance(one, dict) else None
        if box is None:
            left_out["without a box"] += 1
        elif str(one.get("iscrowd")) in ("1", "True"):
            left_out["of crowds"] += 1
        elif (key := _key(one.get("image_id"))) not in images:
            left_out["of no image in the file"] += 1
        else:
            category = _key(one.get("category_id"))
            entries[images[key]].add(box, names.get(category, category))
    return Annotated(entries=entries, left_out=left_out)


def _coco_box(one: Mapping[str, Any]) -> Box | None:
    """From `bbox`, or from the polygons of `segmentation`; None where neither is one."""
    try:
        if one.get("bbox"):
            x, y, width, height = (float(value) for value in one["bbox"])
            return y, x, height, width
        points = np.concatenate([np.asarray(part, dtype=float).reshape(-1, 2) for part in one["segmentation"]])
        return _around(points)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _around(points: np.ndarray) -> Box:
    """The box of (x, y) points."""
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    return top, left, bottom - top, right - left


def _parsed(path: Path) -> Any:
    try:
        return json.loads(read_text(path, limit=LIMIT).removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"annotations `{plain(path)}`: not JSON: {plain(error)}.") from error


def _other(data: Any) -> str:
    """Which other file this is, in words."""
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict):
        return ""
    if "shapes" in first:
        return " This is LabelMe's: convert it to COCO."
    if isinstance(data, list) and "score" in first:
        return " These are detections, not annotations."
    return " Is this Label Studio's own JSON? Export it as COCO." if isinstance(data, list) else ""


def _key(value: Any) -> str:
    """An id as text; 3, 3.0 and "3" are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _size(rows: Any, columns: Any) -> tuple[int, int] | None:
    try:
        return (int(rows), int(columns)) if int(rows) > 0 and int(columns) > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


NO_LABELS = frozenset(
    {"classes.txt", "train.txt", "valid.txt", "val.txt", "test.txt", "README.dataset.txt", "README.roboflow.txt"}
)


def _read_yolo(folder: Path) -> Annotated:
    """A .txt for each picture: lines of `class cx cy width height`, or `class x1 y1 x2 y2 x3 y3 ...`, all shares."""
    names = _yolo_names(folder)
    labels = [p for p in sorted(folder.rglob("*.txt")) if p.name not in NO_LABELS and not p.name.startswith(".")]
    entries: dict[str, Entry] = {}
    for path in labels:
        entry = Entry(relative=True)
        for number, line in enumerate(read_text(path, limit=LIMIT).splitlines(), 1):
            if line.strip():
                entry.add(*_yolo_line(line.split(), names, f"annotations `{plain(path)}`: line {number}"))
        entries[path.relative_to(folder).with_suffix("").as_posix()] = entry
    return Annotated(entries=entries, left_out=Counter(), stems=True)


def _yolo_line(parts: list[str], names: list[str], where: str) -> tuple[Box, str]:
    try:
        kind, values = float(parts[0]), [float(part) for part in parts[1:]]
    except ValueError as error:
        got = plain(" ".join(parts))[:40]
        raise InputError(f"{where}: expected `class cx cy width height`, got {got!r}.") from error
    if len(values) >= 6 and len(values) % 2 == 0:
        box = _around(np.array(values).reshape(-1, 2))
    elif len(values) in (4, 5):  # a fifth number is a track, or a score
        x, y, width, height = values[:4]
        box = y - height / 2, x - width / 2, height, width
    else:
        raise InputError(f"{where}: expected `class cx cy width height`, got {len(parts)} numbers.")
    if any(not -1 <= value <= 2 for value in values[: 4 if len(values) < 6 else None]):
        raise InputError(f"{where}: expected shares of the picture, 0 to 1, got {max(values, key=abs):g}.")
    if not (kind.is_integer() and kind >= 0):
        raise InputError(f"{where}: expected the number of a class, got {plain(parts[0])[:40]!r}.")
    if names and kind >= len(names):
        raise InputError(f"{where}: class {kind:g}, but there are names for 0 to {len(names) - 1} alone.")
    return box, names[int(kind)] if names else str(int(kind))


def _yolo_names(folder: Path) -> list[str]:
    """Names of the classes, in or beside the folder; numbers where there are none."""
    for where in (folder, folder.parent):
        for name in ("classes.txt", "obj.names"):
            if (where / name).is_file():
                lines = read_text(where / name, limit=LIMIT).splitlines()
                return [line.strip() for line in lines if line.strip()]
        for name in ("data.yaml", "data.yml", "dataset.yaml"):
            if (where / name).is_file():
                return _yaml_names(where / name)
    return []


def _yaml_names(path: Path) -> list[str]:
    try:
        import yaml
    except ImportError as error:
        raise UsageError(f"`{plain(path)}` needs `pip install pyyaml`, or write the names to a classes.txt.") from error
    try:
        data = yaml.safe_load(read_text(path, limit=2**20))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"`{plain(path)}`: not YAML: {plain(error)[:100]}.") from error
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, dict) and names.keys() == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        raise InputError(f"`{plain(path)}`: names: expected a list of classes.")
    return [str(name) for name in names]


COLUMNS = {
    "file": ("file", "filename", "file_name", "image", "path"),
    "x": ("x",),
    "y": ("y",),
    "width": ("width", "w"),
    "height": ("height", "h"),
    "class": ("class", "label", "name", "category"),
    **{name: (name,) for name in ("xmin", "ymin", "xmax", "ymax")},
}


def _read_csv(path: Path) -> Annotated:
    """A header, then a line for each object: file, x, y[, width, height][, class]; or file, xmin, ymin, xmax, ymax.

    x and y are those of a box's top left, or of a point. A point is the pixel in which it lies. Beside xmin, width and
    height are the picture's.
    """
    text = read_text(path, limit=LIMIT).removeprefix("\ufeff")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in next(rows, [])]
    at = {key: names.index(found) for key, known in COLUMNS.items() for found in known if found in names}
    corners = {"xmin", "ymin", "xmax", "ymax"} <= set(at)
    if "file" not in at or not (corners or {"x", "y"} <= set(at)):
        raise InputError(
            f"annotations `{plain(path)}`: line 1: expected a header with file, x, y[, width, height][, class], "
            f"got {plain(header)[:60]!r}."
        )
    entries: dict[str, Entry] = {}
    try:
        for number, row in enumerate(rows, 2):
            if any(cell.strip() for cell in row):
                _csv_line(row, at, corners, entries, f"annotations `{plain(path)}`: line {number}")
    except csv.Error as error:
        raise InputError(f"annotations `{plain(path)}`: not CSV: {error}.") from error
    return Annotated(entries=entries, left_out=Counter())


def _csv_line(row: list[str], at: Mapping[str, int], corners: bool, entries: dict[str, Entry], where: str) -> None:
    def number(key: str) -> float:
        try:
            value = float(row[at[key]])
        except (IndexError, ValueError) as error:
            got = plain(row[at[key]])[:40] if at[key] < len(row) else "nothing"
            raise InputError(f"{where}: {key}: expected a number, got {got!r}.") from error
        if not math.isfinite(value):
            raise InputError(f"{where}: {key}: expected a finite number, got {value}.")
        return value

    if corners:
        left, top = number("xmin"), number("ymin")
        box = top, left, number("ymax") - top, number("xmax") - left
    elif {"width", "height"} <= set(at):
        box = number("y"), number("x"), number("height"), number("width")
    else:
        box = math.floor(number("y")), math.floor(number("x")), 1.0, 1.0
    size = _size(number("height"), number("width")) if corners and {"width", "height"} <= set(at) else None
    name = row[at["class"]].strip() if at.get("class", len(row)) < len(row) else ""
    entries.setdefault(row[at["file"]].strip(), Entry(size=size)).add(box, name)


def _read_masks(folder: Path, paths: Iterable[Path]) -> Annotated:
    """Connected parts (of 8 neighbours) of each label that is not 0. The class of an object is its label."""
    from PIL import Image
    from scipy.ndimage import find_objects, label

    entries: dict[str, Entry] = {}
    for path in paths:
        where = f"annotations `{plain(path)}`"
        try:
            with Image.open(path) as opened:
                values = np.asarray(opened)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{where}: no readable mask: {plain(error)[:80]}.") from error
        if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():
            values = values[..., 0]
        if values.ndim != 2 or path.suffix.lower() in (".jpg", ".jpeg"):
            raise InputError(f"{where}: expected one channel of labels, and no JPEG, which blurs them.")
        entry = Entry(size=(values.shape[0], values.shape[1]))
        for value in np.unique(values[values != 0]):
            for rows, columns in find_objects(label(values == value, np.ones((3, 3)))[0]):
                box = rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start
                entry.add(tuple(map(float, box)), str(value))  # type: ignore[arg-type]
            if len(entry.boxes) > MOST:
                raise InputError(f"{where}: more than {MOST} objects; is this a picture, or an anti-aliased mask?")
        name = path.relative_to(folder).with_suffix("").as_posix()
        entries[name.removesuffix("_mask")] = entry
    return Annotated(entries=entries, left_out=Counter(), stems=True)


def _read_yaml(path: Path) -> Annotated:
    return _read_yolo(path.parent)


READERS: Mapping[str, Callable[[Path], Annotated]] = {
    ".json": _read_coco,
    ".csv": _read_csv,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
