"""Photographs with annotated objects: windows of the model's input around them, with room to move."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float

from perturb.errors import InputError, UsageError
from perturb.images.account import COPY, Ledger, said
from perturb.images.annotation_files import Annotated, Entry, read_annotations
from perturb.images.folder import READABLE, in_folder, name_in
from perturb.images.photograph import Photograph
from perturb.images.reading import Reading, opened_in_turn
from perturb.images.spool import Spool
from perturb.kinds import near
from perturb.records import Images, Objects
from perturb.streams import stream
from perturb.visible import plain

AS_IT_IS = Reading()
Boxes = Float[np.ndarray, "object 4"]  # top, left, rows, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How windows are cut."""

    shape: tuple[int, int, int]  # channel, row, column of the model's input
    room: int  # pixels by which the window moves down and right, at most
    windows: int  # of one photograph, at most
    each: int  # objects that are asked about in one window, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A part of a photograph: what the window moves over."""

    size: tuple[int, int]  # of the photograph
    top_left: np.ndarray  # row, column in the photograph
    boxes: Boxes
    asked: Bool[np.ndarray, " object"]


def load_annotated(
    folder: Path,
    file: Path,
    cutting: Cutting,
    *,
    classes: tuple[str, ...] = (),
    seed: int,
    reading: Reading = AS_IT_IS,
) -> Images:
    """Windows around the objects that `file` names in the pictures of `folder`; with `classes` of these alone.

    Annotations are of the picture as it is shown, its EXIF orientation applied, and of its first frame. Pictures keep
    their resolution. Beyond the photograph its edge is repeated. A photograph with more objects than `each` gives
    several windows. What was done to pictures, and the objects that were left out, are said in one warning and are in
    the result's account. Raises UsageError and InputError where file and pictures do not go together.
    """
    ledger = Ledger()
    told, pictures = read_annotations(file), in_folder(folder, ledger)
    where = f"annotations `{plain(file)}`"
    _check_classes(told, classes, where)
    entries = _matched(told, pictures, folder, where)
    matched = {name for name, _ in entries.values()}
    lost = sum(len(entry.boxes) for name, entry in told.entries.items() if name not in matched)
    _note(ledger, told.left_out + Counter({"in pictures that are not in the folder": lost}), plain(file.name))
    scenes: list[list[_Scene]] = []
    pixels, used = Spool(), dict[str, tuple[str, Path]]()
    side = np.array(cutting.shape[1:]) + cutting.room
    names = {path: name_in(folder, path) for path in entries}
    for photograph in opened_in_turn(names, cutting.shape[0], reading, ledger):
        name, entry = entries[photograph.path]
        left_out: Counter[str] = Counter()
        boxes = _boxes(entry, photograph.size, f"{where}: `{plain(name)}`", classes, left_out)
        if photograph.digest in used:
            ledger.note(COPY, photograph.name)
        elif cut := _scenes(photograph, boxes, cutting, left_out, seed):
            values = photograph.values
            for scene in cut:
                pixels.add(_part(values, scene.top_left, side))
            scenes.append(cut)
            used[photograph.digest] = photograph.name, photograph.path
        _note(ledger, left_out, photograph.name)
    account = ledger.close(len(pictures))
    if not scenes:
        raise InputError(f"{where}: no object to ask about lies in the pictures that match it: {account.words}.")
    counts = [len(cut) for cut in scenes]
    every = [scene for cut in scenes for scene in cut]
    most = max(len(scene.boxes) for scene in every)
    names_used, files = zip(*used.values(), strict=True)
    images = Images(
        pixels=pixels.stack(),
        photograph=np.arange(len(used)).repeat(counts),
        crop=np.concatenate([np.arange(count) for count in counts]),
        names=names_used,
        digests=tuple(used),
        files=files,
        cut=np.array([[*scene.top_left, *side] for scene in every], dtype=float),
        source=f"folder:{plain(folder)} as annotated in {plain(file.name)}",
        account=account if account.notes else None,
        objects=Objects(
            boxes=np.stack([_padded(scene.boxes, most, np.nan) for scene in every]),
            asked=np.stack([_padded(scene.asked, most, False) for scene in every]),
            window=cutting.shape[1:],
            photograph=np.array([[*-scene.top_left, *scene.size] for scene in every], dtype=float),
        ),
    )
    return said(images)


def _padded(values: np.ndarray, most: int, blank: float) -> np.ndarray:
    return np.concatenate([values, np.full((most - len(values), *values.shape[1:]), blank, dtype=values.dtype)])


def _check_classes(told: Annotated, classes: tuple[str, ...], where: str) -> None:
    known = sorted({name for entry in told.entries.values() for name in entry.classes})
    for name in classes:
        if name not in known:
            some = ", ".join(map(plain, known[:8])) + (", ..." if len(known) > 8 else "")
            raise UsageError(f"classes: {name!r} is none of {where}, which has {some or 'none'}.{near(name, known)}")


def _matched(told: Annotated, pictures: list[Path], folder: Path, where: str) -> dict[Path, tuple[str, Entry]]:
    """For each picture that the file names its entry: of equal file names the one whose folders fit longest.

    Folders called labels stand for images, so that both halves of a data set find each other. Raises InputError where
    two pictures fit a name alike, two names one picture, and where no name fits any.
    """
    by_name: dict[str, list[tuple[tuple[str, ...], Path]]] = defaultdict(list)
    for path in pictures:
        parts = _parts(path.relative_to(folder).as_posix(), told.stems)
        by_name[parts[-1]].append((parts, path))
    found: dict[Path, tuple[str, Entry]] = {}
    for name, entry in told.entries.items():
        parts = _parts(name, told.stems)
        fits = [(_tail(parts, own), path) for own, path in by_name.get(parts[-1], [])]
        best = [path for length, path in fits if length == max(fits)[0]]
        if len(best) > 1:
            two = " or ".join(f"`{plain(path.relative_to(folder))}`" for path in best[:2])
            raise InputError(f"{where}: `{plain(name)}` may be {two}: name its folder, or rename the pictures.")
        if best and best[0] in found:
            raise InputError(f"{where}: `{plain(name)}` and `{plain(found[best[0]][0])}` are of one picture.")
        if best:
            found[best[0]] = (name, entry)
    if not told.entries:
        raise InputError(f"{where}: says nothing of any picture; expected at least one object.")
    if not found:
        named, there = (plain(next(iter(some), "nothing")) for some in (told.entries, [p.name for p in pictures]))
        raise InputError(f"{where}: names no picture of `{plain(folder)}`: it has `{named}`, the folder `{there}`.")
    return found


def _parts(name: str, stem: bool) -> tuple[str, ...]:
    """The folders and the file of a name, as Windows or others write it."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = ["images" if part == "labels" else part for part in path.parts if part not in ("/", "..", ".")] or [name]
    if stem and path.suffix.lower() in READABLE:  # other dots are part of a name: frame.0001
        parts[-1] = path.stem
    return tuple(parts)


def _tail(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts agree, from the end."""
    length = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        length += 1
    return length


def _boxes(entry: Entry, size: tuple[int, int], where: str, classes: tuple[str, ...], left_out: Counter[str]) -> Boxes:
    """The boxes in pixels of the picture, cut to it."""
    if entry.size not in (None, size):
        assert entry.size is not None
        raise InputError(
            f"{where} is annotated as {entry.size[0]} x {entry.size[1]} (rows x columns) and is shown as {size[0]} x "
            f"{size[1]}: were other pictures annotated, or ones without their EXIF orientation?"
        )
    boxes = np.array(entry.boxes, dtype=float).reshape(-1, 4) * ([*size, *size] if entry.relative else 1)
    if classes:
        boxes = boxes[np.isin(np.array(entry.classes, dtype=str), classes)]
    sound = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
    left_out["of no size"] += int((~sound).sum())
    boxes = boxes[sound]
    ends = np.clip(boxes[:, :2] + boxes[:, 2:], 0, size)
    starts = np.clip(boxes[:, :2], 0, size)
    inside = (ends > starts).all(1)
    left_out["outside their picture"] += int((~inside).sum())
    return np.concatenate([starts, ends - starts], 1)[inside]


def _scenes(photograph: Photograph, boxes: Boxes, cutting: Cutting, left_out: Counter[str], seed: int) -> list[_Scene]:
    """Parts of a photograph around its objects, those first that have had no turn yet."""
    window, room = np.array(cutting.shape[1:]), cutting.room
    small = (boxes[:, 2:] <= window - room - 1).all(1)
    left_out["too large for the model's input"] += int((~small).sum())
    rng = stream(seed, f"annotated/{photograph.digest}")
    turns = np.zeros(len(boxes), dtype=int)
    size = np.array(photograph.size)
    scenes: list[_Scene] = []
    for _ in range(cutting.windows):
        waiting = np.flatnonzero(small & (turns == 0))
        if not len(waiting):
            break
        top_left = _placed(boxes[rng.choice(waiting)], size, window, room, rng)
        moved = boxes - [*top_left, 0, 0]
        whole = small & (moved[:, :2] >= room).all(1) & (moved[:, :2] + moved[:, 2:] <= window).all(1)
        order = rng.permutation(np.flatnonzero(whole))
        chosen = order[np.argsort(turns[order], kind="stable")][: cutting.each]
        turns[chosen] += 1
        in_view = (moved[:, :2] < window + room).all(1) & (moved[:, :2] + moved[:, 2:] > 0).all(1)
        scenes.append(
            _Scene(
                size=photograph.size,
                top_left=top_left,
                boxes=moved[in_view],
                asked=np.isin(np.arange(len(boxes)), chosen)[in_view],
            )
        )
    left_out["beyond the windows of their photograph"] += int((small & (turns == 0)).sum()) if scenes else 0
    return scenes


def _placed(
    box: Float[np.ndarray, " 4"], size: np.ndarray, window: np.ndarray, room: int, rng: np.random.Generator
) -> np.ndarray:
    """The scene's top left in the photograph. The object stays in the window, the scene in the photograph if it can.

    Drawn evenly from all such places, so that objects lie at any distance from the border.
    """
    lowest, highest = np.ceil(box[:2] + box[2:] - window), np.floor(box[:2] - room)
    spare = size - (window + room)
    low, high = np.maximum(lowest, np.minimum(0, spare)), np.minimum(highest, np.maximum(0, spare))
    nearest = np.clip(np.clip(low, np.minimum(0, spare), np.maximum(0, spare)), lowest, highest)
    drawn = rng.integers(np.minimum(low, high), np.maximum(low, high) + 1)
    return np.asarray(np.where(low <= high, drawn, nearest)).astype(int)


def _part(pixels: np.ndarray, top_left: np.ndarray, shape: np.ndarray) -> Float[np.ndarray, "channel row column"]:
    """A part of a picture; beyond its border the edge is repeated."""
    rows, columns = (
        np.clip(np.arange(start, start + long), 0, n - 1)
        for start, long, n in zip(top_left, shape, pixels.shape[1:], strict=True)
    )
    return np.ascontiguousarray(pixels[:, rows[:, None], columns])


def _note(ledger: Ledger, left_out: Counter[str], name: str) -> None:
    for fault, count in left_out.items():
        if count:
            ledger.note(f"annotated objects left out, {fault}", name, count)
