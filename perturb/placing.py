"""The design within a region: the whole object lies where the user lets it lie."""

import warnings

import numpy as np
from jaxtyping import Bool, Int

from perturb.errors import InputError, PerturbWarning
from perturb.files import listed
from perturb.records import Images, Locations, Trials
from perturb.streams import stream
from perturb.trials import Scenes, design, identity, landing

Places = Int[np.ndarray, "place 2"]
Free = Bool[np.ndarray, "row column"]  # whether the whole object lies in the region, by the place of its top left


def placed(
    images: Images,
    locations: Locations,
    *,
    extent: tuple[int, int],
    size: int,
    pairs: int,
    seed: int,
    purpose: str,
    scenes: Scenes | None = None,
) -> tuple[Int[np.ndarray, " image"], Trials]:
    """The numbers of the images that have room for their pairs, and these images' trials.

    Without a region that is all of them, by `design`. With one, the whole object, of this extent, lies in the region at
    its dead and at its live place, or where the picture moves at its place in the scene. Cells then reach the border,
    and each that holds a dead and a live place serves alike; of a cell's places the least used phases are taken.
    Objects that share a scene are drawn one after another, apart from those before.
    One warning names the photographs that have no room. Raises InputError where fewer than two have.
    """
    if images.region is None:
        every = np.arange(len(images.pixels))
        return every, design(images, locations, size=size, pairs=pairs, seed=seed, purpose=purpose, scenes=scenes)
    if locations.pixels:
        raise InputError("the lattice has no whole period in the picture, so a [region] cannot be used beside it.")
    found: dict[int, tuple[Places, Places, Places]] = {}
    for image, region in enumerate(images.region):
        rng = stream(seed, f"trials/{purpose}/{identity(images, image)}")
        free = fits(region, extent)
        drawn = _scene(free, locations, pairs, rng, scenes) if scenes else _cell_by_cell(free, locations, pairs, rng)
        if drawn:
            found[image] = drawn
    which = np.array([*found], dtype=np.int64)
    owners = images.photograph[which]
    many = pairs if scenes and scenes.apart else 1
    objects = f"{many} object{'s' * (many > 1)} of {extent[0]} x {extent[1]} pixels at period {locations.period}"
    if (count := len(np.unique(owners))) < 2:
        raise InputError(f"[region] has room for {objects} in {count} photographs; two are the least.")
    if without := [images.names[i] for i in np.setdiff1d(images.photograph, owners)]:
        warnings.warn(f"[region] left out {listed(without)}: no room for {objects}.", PerturbWarning, stacklevel=2)
    dead, live, scene = (np.stack(part) for part in zip(*found.values(), strict=True))
    return which, Trials(
        dead=dead,
        live=live,
        photograph=owners,
        seed=seed,
        purpose=purpose,
        scene=scene if scenes else None,
        together=bool(scenes and scenes.apart),
    )


def fits(region: Free, extent: tuple[int, int]) -> Free:
    """Whether an object of this extent lies wholly in the region with its top left here; False where it leaves it."""
    rows, columns = extent
    sums = np.pad((~region).cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # of what lies outside it, above and to the left
    outside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    free = np.zeros_like(region)
    free[: len(outside), : outside.shape[1]] = outside == 0
    return free


def _cell_by_cell(
    free: Free, locations: Locations, pairs: int, rng: np.random.Generator
) -> tuple[Places, Places, Places] | None:
    """A dead and a live place in each of `pairs` cells that hold both; None where there is no such cell."""
    period = locations.period
    cells = [-(-n // period) for n in free.shape]
    whole = np.zeros([n * period for n in cells], dtype=bool)
    whole[: free.shape[0], : free.shape[1]] = free
    lattice = whole.reshape(cells[0], period, cells[1], period)
    arms = [lattice[:, p[:, 0], :, p[:, 1]].reshape(len(p), -1).T for p in (locations.dead, locations.live)]
    usable = np.flatnonzero(arms[0].any(1) & arms[1].any(1))
    if not len(usable):
        return None
    chosen = usable[rng.choice(len(usable), pairs, replace=pairs > len(usable))]
    corner = np.stack(np.unravel_index(chosen, cells), 1) * period
    dead, live = (
        corner + phases[_least_used(open_[chosen], rng)]
        for phases, open_ in zip((locations.dead, locations.live), arms, strict=True)
    )
    return dead, live, corner


def _least_used(open_: Bool[np.ndarray, "pair phase"], rng: np.random.Generator) -> Int[np.ndarray, " pair"]:
    """For each pair an open phase, that which earlier pairs have used least; ties in a random order."""
    rank = rng.permutation(open_.shape[1])
    used = np.zeros(open_.shape[1], dtype=np.int64)
    taken = []
    for phases in open_:
        least = np.where(phases, used * len(rank) + rank, np.iinfo(np.int64).max).argmin()
        used[least] += 1
        taken.append(least)
    return np.array(taken)


def _scene(
    free: Free, locations: Locations, pairs: int, rng: np.random.Generator, scenes: Scenes
) -> tuple[Places, Places, Places] | None:
    """Where objects land, at dead and at live phases, and where they lie in the scene; None without room for all."""
    period = locations.period
    rest = np.argwhere(free)
    rest = rest[(rest >= period - 1).all(1)]  # nearer to the edge nothing can move
    lie = []
    for _ in range(pairs):
        if not len(rest):
            return None
        lie.append(rest[rng.integers(len(rest))])
        if scenes.apart:
            rest = rest[(np.abs(rest - lie[-1]) >= scenes.apart).any(1)]
    scene = np.array(lie)
    dead, live = (landing(scene, phases, period, rng) for phases in (locations.dead, locations.live))
    return dead, live, scene


def nearest(
    free: Free, place: Int[np.ndarray, "2"], phases: Int[np.ndarray, "phase 2"], periods: tuple[int, int]
) -> Places:
    """For each phase the free place nearest to `place`; those found are repeated for phases without one."""
    places = np.argwhere(free)
    places = places[np.argsort(((places - place) ** 2).sum(1), kind="stable")]
    number = places % periods @ [periods[1], 1]
    there, first = np.unique(number, return_index=True)
    wanted = phases @ [periods[1], 1]
    found = places[first[np.searchsorted(there, wanted[np.isin(wanted, there)])]]
    return np.resize(found, (len(phases), 2))
