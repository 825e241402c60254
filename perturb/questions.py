"""What is asked of the model's outputs for one image: where, how large, and which class is right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from perturb.protocols import Asked, Task
from perturb.records import ARMS, CLEAN, CLEAN_LIVE, OWN, Images, Trials
from perturb.showing import label_of

if TYPE_CHECKING:
    from perturb.sensor import Sensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Places by pair and arm, right classes by pair."""

    place: Int[np.ndarray, "pair arm 2"]
    truth: Int[np.ndarray, " pair"]
    extent: tuple[int, int]  # rows, columns of the object
    shape: tuple[int, int]  # rows, columns of the picture
    sensor: "Sensor | None" = None  # the steps ahead of the model

    def of_pair(self, pair: int, levels: int) -> Asked:
        """Of one pair at each level and arm, in turn; the clean twin of an arm is asked at the arm's own place."""
        own = np.array([CLEAN, CLEAN, CLEAN_LIVE, CLEAN_LIVE])
        return Asked(
            place=np.tile(self.place[pair], (levels, 1)),
            extent=self.extent,
            shape=self.shape,
            truth=np.repeat(self.truth[pair], levels * len(ARMS)),
            twin=(np.arange(levels)[:, None] * len(ARMS) + own).ravel(),
            sensor=self.sensor,
        )

    def of_pictures(self, number: Int[np.ndarray, "level pair arm"], twin: Int[np.ndarray, " picture"]) -> Asked:
        """Of each picture once, for evaluators that do not read the place; `number` says which picture stands where."""
        place, truth = np.zeros((len(twin), 2), dtype=int), np.zeros(len(twin), dtype=int)
        place[number] = self.place
        truth[number] = self.truth[:, None]
        return Asked(place=place, extent=self.extent, shape=self.shape, truth=truth, twin=twin, sensor=self.sensor)

    def of_first(self) -> Asked:
        """Of the first clean picture, wherever something is reported in it."""
        still = np.zeros(1, dtype=int)
        return Asked(
            place=self.place[:1, 0],
            extent=self.extent,
            shape=self.shape,
            truth=self.truth[:1],
            twin=still,
            sensor=self.sensor,
        )


def questions_about(
    images: Images, trials: Trials, image: int, task: Task, sensor: "Sensor | None" = None
) -> Questions:
    """The questions of one image's trials; a picture without a label is asked for the model's own answer."""
    labelled = images.labels is not None or not task.needs_labels
    label, pairs = label_of(images, image), trials.dead.shape[1]
    dead, live = trials.dead[image], trials.live[image]
    rows, columns = images.pixels.shape[2:]
    return Questions(
        place=np.stack([dead, dead, live, live], 1),
        truth=np.array([task.asked(label, pair) if labelled else OWN for pair in range(pairs)]),
        extent=task.extent,
        shape=(rows, columns),
        sensor=sensor,
    )
