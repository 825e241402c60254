"""Hypothesis strategies for property tests of vision models: pictures, levels, perturbations, places, whole cases.

All that varies is drawn, so a failing example shrinks and replays: toward a flat grey picture, one pixel, the smallest
level, the first place of the first cell. Needs the extra `perturb-suite[hypothesis]`.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from perturb.counterexample import Case, Picture, eight_bits
from perturb.images import dead_leaves
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.protocols import Perturbation
from perturb.records import Locations, Phase
from perturb.streams import stream
from perturb.trials import interior_cells

GREY = 127  # the simplest picture: below the middle, where what is added is brighter


def flat_pictures(shape: tuple[int, int, int] = (3, 224, 224)) -> SearchStrategy[Picture]:
    """(channel, row, column), one grey all over; 127/255 is the simplest."""
    return st.integers(-GREY, 255 - GREY).map(lambda grey: np.full(shape, (GREY + grey) / 255, dtype=np.float32))


def pictures(
    shape: tuple[int, int, int] = (3, 224, 224), *, photographs: Sequence[Picture] = ()
) -> SearchStrategy[Picture]:
    """(channel, row, column) in [0, 1]: flat grey, dead leaves, or one of these photographs."""
    leaves = st.integers(0, 2**16).map(lambda seed: dead_leaves(shape, stream(seed, "strategies/pictures")))
    kinds = [flat_pictures(shape), leaves, *([st.sampled_from(list(photographs))] if len(photographs) else [])]
    return st.one_of(kinds).map(eight_bits)


def levels(least: float = 1 / 255, most: float = 1.0) -> SearchStrategy[float]:
    """Whole grey levels of 255, as fractions of the pixel range."""
    return st.integers(max(1, round(least * 255)), round(most * 255)).map(lambda grey: grey / 255)


def perturbations(largest: int = 4) -> SearchStrategy[Perturbation]:
    """One pixel, then boxes and patches of noise up to `largest` pixels a side."""
    sizes = st.integers(2, max(2, largest))
    patches = [sizes.map(lambda size: Box(size=size)), sizes.map(lambda size: Noise(size=size))]
    return st.one_of(st.just(Pixel()), *(patches if largest > 1 else []))


@st.composite
def places(
    draw: st.DrawFn, locations: Locations, shape: tuple[int, int, int] = (3, 224, 224), *, size: int = 1
) -> tuple[Phase, Phase]:
    """A dead and a live place, (row, column) each, in one cell away from the border."""
    if locations.pixels:
        raise ValueError(
            "the lattice has no whole period in the picture; draw places from `locations.dead` and `live`."
        )
    area = locations.area or (0, 0, *shape[1:])
    cells = interior_cells(area[2:], locations.period, size, corner=area[:2])
    cell = cells[draw(st.integers(0, len(cells) - 1))]
    phases = [arm[draw(st.integers(0, len(arm) - 1))] for arm in (locations.dead, locations.live)]
    (dead_row, dead_column), (live_row, live_column) = (cell + phase for phase in phases)
    return (int(dead_row), int(dead_column)), (int(live_row), int(live_column))


@st.composite
def cases(
    draw: st.DrawFn,
    locations: Locations,
    shape: tuple[int, int, int] = (3, 224, 224),
    *,
    picture: SearchStrategy[Picture] | None = None,
    perturbation: SearchStrategy[Perturbation] | None = None,
) -> Case:
    """A perturbation at a dead and at a live place of one picture."""
    drawn = draw(pictures(shape) if picture is None else picture)
    what = draw(perturbations() if perturbation is None else perturbation)
    level = draw(levels())
    dead, live = draw(places(locations, shape, size=what.size))
    return Case(picture=drawn, perturbation=what, level=level, dead=dead, live=live)
