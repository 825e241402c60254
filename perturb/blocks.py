"""Blocks: some images with their trials, which are measured separately, and whose results are joined."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from perturb.records import Images, Observation, Trials
from perturb.trials import identity, only, only_trials

Result = TypeVar("Result")
Executor = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Runs work over blocks and gives the results in their order. The built-in `map` is one: it runs here, in turn."""

PHOTOGRAPHS = 8  # in a block
OF_THE_SET = {"photograph", "crop", "names", "digests", "source", "labels", "classes", "files", "account"}
ARRAYS = ("evidence", "realised", "threshold", "truth", "alarms", "clipped")  # of an Observation, found by looking


@runtime_checkable
class Lasting(Protocol):
    """Work whose results can be kept as arrays: `identity_parts` is what they depend on beside the block."""

    def __call__(self, block: Any) -> Any: ...

    def identity_parts(self) -> Any: ...

    def unwatched(self) -> Any:
        """The same work for another process, without what hears of its progress here."""

    def arrays(self, result: Any) -> Mapping[str, np.ndarray]: ...

    def result(self, block: Any, arrays: Mapping[str, np.ndarray]) -> Any:
        """What `arrays` was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some photographs' images with their trials."""

    images: Images
    trials: Trials

    def identity_parts(self) -> Any:
        """Its images and trials, whatever their photographs' numbers and names are in the whole."""
        images, trials = self.images, self.trials
        count = range(len(images.pixels))
        return (
            [identity(images, image) for image in count],
            None if images.labels is None else images.labels[images.photograph],
            {f.name: getattr(images, f.name) for f in fields(images) if f.name not in OF_THE_SET},
            {f.name: getattr(trials, f.name) for f in fields(trials) if f.name != "photograph"},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of `count` processes that share the blocks of a run; `number` counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """Every `count`-th of them."""
        return blocks[self.number - 1 :: self.count]


def cut(images: Images, trials: Trials, *, photographs: int = PHOTOGRAPHS) -> list[Block]:
    """Blocks of so many photographs, in the images' order; the crops of a photograph stay together."""
    _, rank = np.unique(images.photograph, return_inverse=True)
    parts = (np.flatnonzero(rank // photographs == number) for number in range(rank.max() // photographs + 1))
    return [Block(images=only(images, part), trials=only_trials(trials, part)) for part in parts]


def arrays_of(seen: Observation) -> dict[str, np.ndarray]:
    """What a block's observation holds that its block and its experimenter do not."""
    found = {name: getattr(seen, name) for name in ARRAYS if getattr(seen, name) is not None}
    return found | {f"measures/{name}": values for name, values in seen.measures.items()}


def observation_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields of an Observation that `arrays_of` put there."""
    measures = {key.removeprefix("measures/"): values for key, values in arrays.items() if key.startswith("measures/")}
    return {name: arrays.get(name) for name in ARRAYS} | {"measures": measures}


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
