"""Every phase of a lattice in turn: a claim about all of them shows each photograph all of them."""

from dataclasses import replace

import numpy as np

from perturb.errors import InputError, UsageError
from perturb.records import Images, Locations, Trials
from perturb.streams import stream

MOST = 256  # phases that are asked about one by one


def every_phase(period: int, area: tuple[int, int, int, int] | None = None) -> Locations:
    """All phases in both arms, to be taken in turn. Raises UsageError for more than 16 x 16."""
    if period**2 > MOST:
        raise UsageError(
            f"the lattice repeats every {period} pixels, and its {period**2:,} phases are too many to ask about each: "
            f"at most {MOST}. Give [map] period = 16 or 8, whose phases pool those of the lattice, or an [evaluator] "
            "layer of a smaller stride."
        )
    every = np.argwhere(np.ones((period, period), dtype=bool))
    return Locations(dead=every, live=every, period=period, balanced=False, area=area, every=True)


def pairs_for(images: Images, locations: Locations, pairs: int) -> int:
    """Pairs on each image, `pairs` or more, with which each photograph shows every phase equally often.

    The images of a photograph share its phases. Where their number does not divide, some phases come once more.
    """
    _, count = np.unique(images.photograph, return_counts=True)
    shared, phases = int(count.min()), len(locations.dead)
    rounds = -(-pairs * shared // phases)
    return -(-rounds * phases // shared)


def take_turns(images: Images, trials: Trials, locations: Locations) -> Trials:
    """The same trials with each dead place moved to the phase whose turn it is, and each live place to any phase.

    A photograph's images go through one random order of all phases, each a part of it, so that its dead places show
    every phase. The live places are what a user gets on average: an image's take all phases in a random order of its
    own. Places stay in their cell, or move with the picture.
    Raises InputError where the picture would have to move over its edge.
    """
    pairs, period, every = trials.dead.shape[1], locations.period, locations.dead
    turns = np.empty((2, *trials.dead.shape), dtype=np.int64)  # of the dead, of the live places
    for i, photograph in enumerate(images.photograph):
        name = f"phases/{trials.purpose}/{images.digests[photograph]}"
        order = stream(trials.seed, name).permutation(len(every))
        first = int(images.crop[i]) * pairs
        turns[0, i] = every[order[(first + np.arange(pairs)) % len(every)]]
        own = stream(trials.seed, f"{name}/{images.crop[i]}").permutation(len(every))
        turns[1, i] = every[own[np.arange(pairs) % len(every)]]
    if trials.scene is None:
        dead, live = trials.dead // period * period + turns
    else:
        dead, live = trials.scene - (trials.scene - turns) % period
    if min(dead.min(), live.min()) < 0:
        raise InputError(f"an object lies less than a period ({period} pixels) from the edge: nothing can move there.")
    return replace(trials, dead=dead, live=live, phase=turns[0])
