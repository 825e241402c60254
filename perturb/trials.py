"""The design: on every image the same number of pairs, a dead and a live place in one T x T cell."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from perturb.errors import InputError
from perturb.phases import take_turns
from perturb.records import Images, Locations, Objects, Trials
from perturb.streams import stream


@dataclass(frozen=True, slots=True)
class Scenes:
    """The picture moves, not the object. `apart`: all objects of an image share a scene, so many pixels apart."""

    apart: tuple[int, int] | None = None  # rows, columns


def design(
    images: Images,
    locations: Locations,
    *,
    size: int,
    pairs: int,
    seed: int,
    purpose: str,
    scenes: Scenes | None = None,
) -> Trials:
    """`pairs` trials an image: cells drawn evenly over the interior, phases in turn from a random order.

    Cells keep an eighth of the picture away from its border. An image's trials depend on the seed, the purpose and the
    image's identity alone, not on what lies beside it: a part of the images gets what the whole gives it. With `scenes`
    the picture moves and the object stays, at a place of any phase. Images with spots have their object there: it moves
    within the cell around its spot, or with the picture. Of a lattice without a whole period (`locations.pixels`) a
    pair's places are pixels of the two arms in one cell, and the object moves. Images with annotated objects are about
    these, in turn, and the picture moves. Where `locations.every`, dead places take the phases in turn (`take_turns`).
    Raises InputError where the picture is too small for one interior cell, or for so many objects in one scene, and
    where a spot lies too near the edge to move.
    """
    if images.objects is not None:
        found = _of_objects(images, images.objects, locations, pairs, seed, purpose)
        return take_turns(images, found, locations) if locations.every else found
    period, count, spots = locations.period, len(images.pixels), images.spots
    if locations.pixels and (scenes or spots is not None):
        raise InputError(
            f"the lattice has no whole period in the picture (about {period} pixels), so that only the object can "
            "move, and anywhere: use [design] kind = 'object' and pictures without places of their own."
        )
    cells = _cells(images, size, locations, pairs, scenes) if spots is None else spots
    members = [_by_cell(cells, arm, period) for arm in (locations.dead, locations.live)] if locations.pixels else []
    dead = np.empty((count, pairs, 2), dtype=np.int64)
    live, scene = np.empty_like(dead), np.empty_like(dead)
    for i in range(count):
        rng = stream(seed, f"trials/{purpose}/{identity(images, i)}")
        if spots is not None:
            cell, scene[i] = spots[i] // period * period, spots[i]
        else:
            drawn = rng.choice(len(cells), pairs, replace=pairs > len(cells))
            cell = cells[drawn]
            if members:
                for landed, arm in zip((dead, live), members, strict=True):
                    landed[i] = [arm[number][rng.integers(len(arm[number]))] for number in drawn]
                continue
            if scenes:
                scene[i] = cell + period - 1 + rng.integers(0, period, (pairs, 2))
        for landed, phases in ((dead, locations.dead), (live, locations.live)):
            landed[i] = landing(scene[i], phases, period, rng) if scenes else cell + _in_turn(phases, pairs, rng)
    if min(dead.min(), live.min()) < 0:
        raise InputError(f"an object lies less than a period ({period} pixels) from the edge: nothing can move there.")
    found = Trials(
        dead=dead,
        live=live,
        photograph=images.photograph,
        seed=seed,
        purpose=purpose,
        scene=scene if scenes else None,
        together=bool(scenes and scenes.apart and spots is None),
    )
    return take_turns(images, found, locations) if locations.every else found


def _of_objects(images: Images, objects: Objects, locations: Locations, pairs: int, seed: int, purpose: str) -> Trials:
    """Pairs about annotated objects. Where an image has fewer than pairs, they come again, at phases drawn anew.

    An object's phase is that of the pixel nearest to its top left.
    """
    period, room = locations.period, min(np.subtract(images.pixels.shape[2:], objects.window))
    if period > room + 1:
        raise InputError(
            f"the lattice repeats every {period} pixels, and the pictures can move by {room}: give [map] period."
        )
    asked = np.empty((len(images.pixels), pairs), dtype=np.int64)
    scene = np.empty((*asked.shape, 2), dtype=np.int64)
    dead, live = np.empty_like(scene), np.empty_like(scene)
    for i in range(len(asked)):
        rng = stream(seed, f"trials/{purpose}/{identity(images, i)}")
        asked[i] = np.resize(rng.permutation(np.flatnonzero(objects.asked[i])), pairs)
        scene[i] = objects.boxes[i, asked[i], :2].round()
        for landed, phases in ((dead, locations.dead), (live, locations.live)):
            landed[i] = landing(scene[i], phases, period, rng)
    return Trials(
        dead=dead,
        live=live,
        photograph=images.photograph,
        seed=seed,
        purpose=purpose,
        scene=scene,
        together=True,
        asked=asked,
    )


def only(images: Images, which: np.ndarray | slice) -> Images:
    """These images; photographs keep their numbers. All of them are not copied, and neither are those of a slice."""
    if not isinstance(which, slice) and which.dtype != bool and np.array_equal(which, np.arange(len(images.pixels))):
        return images
    return replace(
        images,
        pixels=images.pixels[which],
        photograph=images.photograph[which],
        crop=images.crop[which],
        spots=None if images.spots is None else images.spots[which],
        objects=_only_objects(images.objects, which),
        cut=None if images.cut is None else images.cut[which],
        region=None if images.region is None else images.region[which],
    )


def only_trials(trials: Trials, which: np.ndarray | slice) -> Trials:
    """The trials of these images."""
    return replace(
        trials,
        dead=trials.dead[which],
        live=trials.live[which],
        photograph=trials.photograph[which],
        scene=None if trials.scene is None else trials.scene[which],
        asked=None if trials.asked is None else trials.asked[which],
        phase=None if trials.phase is None else trials.phase[which],
    )


def _only_objects(objects: Objects | None, which: np.ndarray | slice) -> Objects | None:
    """Those of these images."""
    if objects is None:
        return None
    return replace(
        objects, boxes=objects.boxes[which], asked=objects.asked[which], photograph=objects.photograph[which]
    )


def _cells(
    images: Images, size: int, locations: Locations, pairs: int, scenes: Scenes | None
) -> Int[np.ndarray, "cell 2"]:
    """The cells that objects are put into; where they share a scene, such as keep them apart."""
    period = locations.period
    area = locations.area or (0, 0, *images.pixels.shape[2:])
    cells = interior_cells(area[2:], period, size + (period - 1 if scenes else 0), corner=area[:2])
    if locations.pixels:
        arms = (np.unique(arm // period * period, axis=0) for arm in (locations.dead, locations.live))
        usable = [set(map(tuple, arm.tolist())) for arm in arms]
        cells = np.array([c for c in cells if tuple(c.tolist()) in usable[0] & usable[1]]).reshape(-1, 2)
        if not len(cells):
            raise InputError(f"no cell of {period} pixels in the interior holds a dead and a live pixel.")
    return _apart(cells, scenes.apart, period, pairs) if scenes and scenes.apart else cells


def _apart(cells: Int[np.ndarray, "cell 2"], apart: tuple[int, int], period: int, pairs: int) -> np.ndarray:
    """Cells whose objects lie at least `apart` rows or columns from one another."""
    steps = [-(-n // period) * period + period for n in apart]  # an object lies up to a period from its cell's corner
    kept = cells[((cells - cells[0]) % steps == 0).all(1)]
    if len(kept) < pairs:
        raise InputError(f"a picture holds {len(kept)} such objects that do not disturb one another; pairs = {pairs}.")
    return kept


def landing(
    scene: Int[np.ndarray, "pair 2"], phases: Int[np.ndarray, "phase 2"], period: int, rng: np.random.Generator
) -> Int[np.ndarray, "pair 2"]:
    """Where objects of a scene land when the picture moves along as few directions as bring each to one of the phases.

    Of several such phases one is drawn, so a lattice of rows alone moves the picture down, and never to the right.
    """
    landed = np.empty_like(scene)
    for pair, place in enumerate(scene):
        moves = (place - phases) % period
        directions = (moves > 0).sum(1)
        least = moves[directions == directions.min()]
        landed[pair] = place - least[rng.integers(len(least))]
    return landed


def _by_cell(
    cells: Int[np.ndarray, "cell 2"], places: Int[np.ndarray, "place 2"], period: int
) -> list[Int[np.ndarray, "place 2"]]:
    """Of each cell the places that lie in it."""
    home = places // period
    number = home[:, 0] * (home.max() + 1) + home[:, 1]
    wanted = cells[:, 0] // period * (home.max() + 1) + cells[:, 1] // period
    order = np.argsort(number, kind="stable")
    first, last = (np.searchsorted(number[order], wanted, side) for side in ("left", "right"))
    return [places[order[a:b]] for a, b in zip(first, last, strict=True)]


def identity(images: Images, number: int) -> str:
    """What tells an image from every other: its photograph's digest and its crop's number."""
    return f"{images.digests[images.photograph[number]]}/{images.crop[number]}"


def _in_turn(phases: Int[np.ndarray, "phase 2"], pairs: int, rng: np.random.Generator) -> Int[np.ndarray, "pair 2"]:
    return phases[rng.permutation(len(phases))[np.arange(pairs) % len(phases)]]


def interior_cells(
    shape: tuple[int, ...], period: int, size: int, *, corner: tuple[int, int] = (0, 0)
) -> Int[np.ndarray, "cell 2"]:
    """(row, column) of the top left of each period x period cell in the interior, row by row.

    Of a part of the picture `corner` is its top left and `shape` its bottom right.
    """
    axes = []
    for begin, n in zip(corner, shape, strict=True):
        border = -(-((n - begin) // 8) // period) * period
        axes.append(np.arange(-(-(begin + border) // period) * period, n - border - period - size + 2, period))
    if min(len(axis) for axis in axes) == 0:
        raise InputError(f"a {shape[0]} x {shape[1]} picture has no interior cell of period {period}.")
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
