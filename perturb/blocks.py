"""Blocks: some images with their trials, which are measured separately, and whose results are joined."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from perturb.records import Images, Observation, Trials
from perturb.trials import only, only_trials

Result = TypeVar("Result")
Executor = Callable[[Callable[["Block"], Any], Iterable["Block"]], Iterator[Any]]
"""Runs work over blocks and gives the results in their order. The built-in `map` is one: it runs here, in turn."""

PHOTOGRAPHS = 8  # in a block


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some photographs' images with their trials."""

    images: Images
    trials: Trials


def cut(images: Images, trials: Trials, *, photographs: int = PHOTOGRAPHS) -> list[Block]:
    """Blocks of so many photographs, in the images' order; the crops of a photograph stay together."""
    _, rank = np.unique(images.photograph, return_inverse=True)
    parts = (np.flatnonzero(rank // photographs == number) for number in range(rank.max() // photographs + 1))
    return [Block(images=only(images, part), trials=only_trials(trials, part)) for part in parts]


def joined(parts: Sequence[Observation]) -> Observation:
    """Observations of blocks of images, one after another."""
    return _concatenated(parts, 2, 1, np.concatenate([part.photograph for part in parts]))


def stacked(parts: Sequence[Observation]) -> Observation:
    """Observations of the same images with several seeds, one after another on the axis of seeds."""
    return _concatenated(parts, 0, 0, parts[0].photograph)


def _concatenated(parts: Sequence[Observation], axis: int, threshold_axis: int, photograph: np.ndarray) -> Observation:
    return replace(
        parts[0],
        evidence=np.concatenate([part.evidence for part in parts], axis),
        realised=np.concatenate([part.realised for part in parts], axis),
        threshold=np.concatenate([part.threshold for part in parts], threshold_axis),
        measures={name: np.concatenate([part.measures[name] for part in parts], axis) for name in parts[0].measures},
        photograph=photograph,
        truth=np.concatenate([part.truth for part in parts], threshold_axis),
        alarms=_where_kept([part.alarms for part in parts], threshold_axis),
        clipped=_where_kept([part.clipped for part in parts], axis),
        phase=_where_kept([part.phase for part in parts], threshold_axis),
    )


def _where_kept(parts: Sequence[np.ndarray | None], axis: int) -> np.ndarray | None:
    kept = [part for part in parts if part is not None]
    return np.concatenate(kept, axis) if kept else None
