"""What evaluators learn from clean shots of images, kept for one run so that nothing is learnt twice."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from perturb.looking import Look
from perturb.protocols import Evaluator
from perturb.scratch import Scratch
from perturb.showing import Picture, shots_of

ROOM = 1 << 29  # bytes of a file; a study that comes when they are full is not kept


@dataclass(frozen=True, slots=True)
class Study:
    """What an evaluator learnt from the clean shots of one image."""

    known: Any
    evidence: Any  # of each shot


class Studies:
    """The studies of one run. An image's shots depend on the seed and the image alone, so all checks share them.

    Evaluators of `asked`, those of the run's checks, study an image's shots together where they want the same shots: in
    one pass, which ends at the last of their layers.
    """

    def __init__(self, asked: Sequence[Evaluator] = (), *, room: int = ROOM) -> None:
        self._asked = asked
        self._room = room
        self._known: list[Evaluator] = []  # an evaluator's number is its place; equal ones are one
        self._file = Scratch()  # in memory they would keep what was freed around them from being used again
        self._kept: dict[tuple[object, ...], tuple[int, int]] = {}  # where in the file, how many bytes

    def identity_parts(self) -> None:
        """No result depends on what is kept: see perturb.identity."""

    def __reduce__(self) -> Any:
        """A copy in another process keeps studies of its own."""
        return type(self), (self._asked,)

    def of(self, look: Look, evaluator: Evaluator, still: Picture, *, name: str, seed: int) -> Study:
        """What the evaluator learns of the image `name`, which is `still` without object and noise."""
        image = look.model.digest, look.double, name, seed, blake2b(np.ascontiguousarray(still).data).digest()
        key = (*image, look.layer, self._number(evaluator))
        if key in self._kept:
            return pickle.loads(self._file.read(*self._kept[key]))
        together = [(look.layer, evaluator), *((other.layer, other) for other in self._beside(evaluator))]
        shots = shots_of(still, name, seed=seed, noise=evaluator.noise, count=evaluator.shots)
        outputs = look.along(torch.from_numpy(shots), [layer for layer, _ in together])
        studies = [Study(*each.study(output)) for (_, each), output in zip(together, outputs, strict=True)]
        for (layer, each), study in zip(together, studies, strict=True):
            self._keep((*image, layer, self._number(each)), study)
        return studies[0]

    def _beside(self, evaluator: Evaluator) -> list[Evaluator]:
        """The other evaluators that want the same shots."""
        if evaluator not in self._asked:
            return []
        wanted = evaluator.noise, evaluator.shots
        return [other for other in self._asked if other != evaluator and (other.noise, other.shots) == wanted]

    def _number(self, evaluator: Evaluator) -> int:
        if evaluator not in self._known:
            self._known.append(evaluator)
        return self._known.index(evaluator)

    def _keep(self, key: tuple[object, ...], study: Study) -> None:
        try:
            data = pickle.dumps(study)
        except Exception:  # of a user's own evaluator some things cannot be written: they are learnt again
            return
        if self._file.size + len(data) <= self._room:
            self._kept[key] = self._file.add(data), len(data)
