"""Finished blocks as files, so that a run that was killed goes on where it was.

A file is named by the digest of everything that its numbers depend on: the model, the question, the block's pictures
and trials, the code, the libraries, the machine. A different question has other names and never finds it. Any number of
processes may share a folder: two that compute the same block write the same bytes.
"""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perturb import files
from perturb.blocks import Executor, Lasting
from perturb.errors import InputError, PerturbError, PerturbWarning
from perturb.identity import Known, UntoldError, digest_of, surroundings
from perturb.npz import LIMIT, pack, unpack
from perturb.writing import explained, write


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a block's file says of its arrays."""

    block: str  # its name
    arrays: str  # SHA-256 of them


@dataclass(slots=True, kw_only=True)
class BlockFiles:
    """An executor that computes no finished block again; what it does compute, `executor` runs, and it is kept.

    It is of one run: a model that it has met must not change. Work that is not `Lasting` is run each time, and so is
    work that depends on what cannot be told, which is said once. Where nothing can be written, that is said once.
    """

    folder: Path
    executor: Executor = map
    asked: int = 0  # blocks so far
    found: int = 0  # of them, done before
    known: Known = field(default_factory=dict)  # the models that were met
    said: bool = False  # why blocks are not kept

    def __call__(self, work: Any, blocks: Iterable[Any]) -> Iterator[Any]:
        """The results in order, each kept as soon as it is there."""
        asked = list(blocks)
        names = self._names(work, asked)
        found = [name and self._found(name, work, block) for name, block in zip(names, asked, strict=True)]
        self.asked += sum(name is not None for name in names)
        self.found += sum(one is not None for one in found)
        fresh = iter(self.executor(work, [block for block, one in zip(asked, found, strict=True) if one is None]))
        for name, one in zip(names, found, strict=True):
            result = next(fresh) if one is None else one
            if name and one is None:
                self._keep(name, work.arrays(result))
            yield result

    def check_kept(self) -> None:
        """Raises InputError where some blocks could not be kept."""
        if self.said:
            raise InputError("blocks that are not kept cannot be shared: run it without --shard.")

    def _names(self, work: Any, blocks: Sequence[Any]) -> list[str | None]:
        """The names of the blocks' files; None where they are not kept."""
        if not isinstance(work, Lasting):
            return [None] * len(blocks)
        try:
            told = digest_of((work, surroundings()), self.known)
            return [digest_of((told, block)) for block in blocks]
        except UntoldError as error:
            self._say(f"finished blocks are not kept: this run depends on {error}")
            return [None] * len(blocks)

    def _found(self, name: str, work: Any, block: Any) -> Any:
        """The block's result, None where it was not kept. A damaged file is named, and its block computed again."""
        path = self._path(name)
        try:
            return work.result(block, _read(path, name)) if path.exists() else None
        except (PerturbError, OSError) as error:
            warnings.warn(f"a block is computed again: {error}", PerturbWarning, stacklevel=2)
            return None

    def _keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        try:
            with explained(self.folder):
                if not (ignored := self.folder / ".gitignore").exists():
                    write(ignored, "*\n")
                write(self._path(name), pack(arrays, Head(block=name, arrays=_digest(arrays))))
        except PerturbError as error:
            self._say(f"finished blocks are not kept: {error}")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _say(self, what: str) -> None:
        if not self.said:
            warnings.warn(what, PerturbWarning, stacklevel=2)
        self.said = True


def _read(path: Path, name: str) -> Mapping[str, np.ndarray]:
    """The arrays in a block's file. Raises InputError where they are not those that were kept under its name."""
    arrays, told = unpack(files.read_bytes(path, limit=LIMIT), str(path))
    head = files.decode(Head, told, path)
    if head != Head(block=name, arrays=_digest(arrays)):
        raise InputError(f"`{path}`: not the block that was kept under this name.")
    return arrays


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        found.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()
