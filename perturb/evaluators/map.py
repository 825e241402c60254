"""The model's map: mask logits, probabilities, an anomaly map, a heat map."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from perturb.answers import Answers, tensor_of
from perturb.errors import UsageError
from perturb.evaluators.objects import in_photograph, largest_at, near_to, objects_in, positions
from perturb.evaluators.reading import OwnAnswer, check_number
from perturb.protocols import Asked

Maps = Float[Tensor, "picture row column"]
SQUASHED = 16  # times as many pixels to a row of a map as to a column, or the reverse: the numbers are something else


@dataclass(frozen=True, kw_only=True)
class Map(OwnAnswer):
    """Evidence = the largest value of the map within `radius` pixels of the object's centre, in the picture's pixels.

    The map may be coarser or finer than the picture; its position nearest to the centre counts in any case. Of a map
    with several channels it is the lead of channel `target` over the largest other one, so that a threshold of 0 is the
    model's own choice of class. Of whole numbers (a mask of labels) it is 1 where the label is `target` (without one,
    where it is not 0), else 0. A false alarm is a peak: a position that no neighbour and no other within
    `radius` exceeds; equal neighbours are one peak.

    An annotated object has an extent: the largest value within `radius` pixels of its box counts, where no other
    annotated object is nearer. A peak that reaches into these places of any object is no false alarm.
    """

    words: ClassVar[str] = "the largest value of the model's own map (mask, anomaly map, heat map) near the place"
    scale: ClassVar[str] = "the values of the model's own map"
    verb: ClassVar[str] = "marked"
    local: ClassVar[bool] = True

    target: int | None = None
    radius: float = 8.0

    def __post_init__(self) -> None:
        if not self.radius >= 0:
            raise ValueError(f"`radius` (={self.radius}) must be at least 0 pixels.")
        check_number(self.target)

    def evidence(self, outputs: Answers, asked: Asked, known: Any) -> Float[Tensor, " picture"]:
        found = [
            largest_at(values, _centres(values.shape, asked), objects_in(asked, number), self.radius)
            for number, values in enumerate(self._maps(outputs, asked.seen).cpu().numpy())
        ]
        return torch.tensor(found, dtype=torch.float64)

    def alarms(self, outputs: Answers, asked: Asked) -> list[np.ndarray]:
        from scipy.ndimage import label, maximum, maximum_filter

        found = []
        for number, values in enumerate(self._maps(outputs, asked.seen).cpu().numpy()):
            steps = [_step(n, asked, axis) for axis, n in enumerate(values.shape)]
            reach = [2 * max(1, int(self.radius / step)) + 1 for step in steps]
            numbers, _ = label(values == maximum_filter(values, reach, mode="nearest"), np.ones((3, 3)))
            inside = in_photograph(positions(_centres(values.shape, asked)), asked, number)
            peaks = np.setdiff1d(numbers[inside & (numbers > 0)], self._matched(numbers, asked, number))
            found.append(np.asarray(maximum(values, numbers, peaks)))
        return found

    def _matched(self, numbers: np.ndarray, asked: Asked, picture: int) -> np.ndarray:
        """The peaks, of a map of their numbers, that reach any annotated object."""
        if asked.boxes is None:
            return np.zeros(0, dtype=int)
        reached = (near_to(one, _centres(numbers.shape, asked), self.radius) for one in objects_in(asked, picture))
        return np.unique(np.concatenate([numbers[rows, columns][near] for rows, columns, near in reached]))

    def _maps(self, outputs: Answers, shape: tuple[int, int]) -> Maps:
        maps = tensor_of(outputs, "a map")
        if maps.ndim == 4 and maps.shape[1] == 1:
            maps = maps[:, 0]
        if not (maps.ndim == 4 or (maps.ndim == 3 and min(maps.shape[1:]) > 1)):
            other = "kind = 'score'" if maps.ndim < 4 else "`output` to choose one of them"
            raise UsageError(f"the model gives {tuple(maps.shape[1:])} a picture, which is no map: use {other}.")
        rows, columns = (size / n for size, n in zip(shape, maps.shape[-2:], strict=True))
        if not 1 / SQUASHED <= rows / columns <= SQUASHED:
            raise UsageError(
                f"the model gives {tuple(maps.shape[-2:])} for a picture of {shape}, which is no map of it: "
                "choose another `output`, or use kind = 'score' or 'boxes'."
            )
        if not maps.is_floating_point():
            return self._masks(maps)
        if maps.ndim == 3:
            return maps.double()
        if self.target is None or not 0 <= self.target < maps.shape[1]:
            raise UsageError(f"the map has channels 0 to {maps.shape[1] - 1}: give `target`, one of them.")
        others = maps.double()
        chosen = others[:, self.target].clone()
        return chosen - others.index_fill(1, torch.tensor(self.target, device=maps.device), -torch.inf).amax(1)

    def _masks(self, labels: Tensor) -> Maps:
        """1 where the label is the target."""
        chosen = labels != 0 if self.target is None else labels == self.target
        return (chosen.any(1) if chosen.ndim == 4 else chosen).double()


def _centres(shape: tuple[int, ...], asked: Asked) -> list[Float[np.ndarray, " position"]]:
    """Of a map's rows and columns, in pixels of the picture."""
    return [asked.positions(n, axis) for axis, n in enumerate(shape)]


def _step(positions: int, asked: Asked, axis: int) -> float:
    """Pixels of the picture from one position to the next."""
    first, second = asked.to_picture(np.array([0.0, asked.seen[axis] / positions]), axis)
    return float(second - first)
