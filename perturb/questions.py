"""What is asked of the model's outputs for one image: where, how large, and which class is right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

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
    boxes: Float[np.ndarray, "pair arm object 4"] | None = None  # of annotated objects, see Asked
    sensor: "Sensor | None" = None  # the steps ahead of the model
    photograph: Float[np.ndarray, " 4"] | None = None  # in the window of the first pair's dead place, see Asked

    def of_pair(self, pair: int, levels: int) -> Asked:
        """Of one pair at each level and arm, in turn; the clean twin of an arm is asked at the arm's own place."""
        own = np.array([CLEAN, CLEAN, CLEAN_LIVE, CLEAN_LIVE])
        return Asked(
            place=np.tile(self.place[pair], (levels, 1)),
            extent=self.extent,
            shape=self.shape,
            truth=np.repeat(self.truth[pair], levels * len(ARMS)),
            twin=(np.arange(levels)[:, None] * len(ARMS) + own).ravel(),
            boxes=None if self.boxes is None else np.tile(self.boxes[pair], (levels, 1, 1)),
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
            boxes=None if self.boxes is None else self.boxes[:1, 0],
            sensor=self.sensor,
            photograph=None if self.photograph is None else self.photograph[None],
        )


def questions_about(
    images: Images, trials: Trials, image: int, task: Task, sensor: "Sensor | None" = None
) -> Questions:
    """The questions of one image's trials; a picture without a label is asked for the model's own answer."""
    labelled = images.labels is not None or not task.needs_labels
    label, pairs = label_of(images, image), trials.dead.shape[1]
    dead, live = trials.dead[image], trials.live[image]
    rows, columns = images.objects.window if images.objects else images.pixels.shape[2:]
    return Questions(
        place=np.stack([dead, dead, live, live], 1),
        truth=np.array([task.asked(label, pair) if labelled else OWN for pair in range(pairs)]),
        extent=task.extent,
        shape=(rows, columns),
        boxes=_boxes(images, trials, image),
        sensor=sensor,
        photograph=_photograph(images, trials, image),
    )


def _boxes(images: Images, trials: Trials, image: int) -> Float[np.ndarray, "pair arm object 4"] | None:
    """Annotated objects as they lie in the window, by pair and arm: first the one that the pair is about."""
    if images.objects is None or trials.asked is None or trials.scene is None:
        return None
    boxes = images.objects.boxes[image]
    boxes = boxes[~np.isnan(boxes[:, 0])]
    asked = trials.asked[image]
    others = np.array([np.delete(np.arange(len(boxes)), one) for one in asked]).reshape(len(asked), -1)
    ordered = boxes[np.concatenate([asked[:, None], others], 1)]
    moves = np.stack([trials.scene[image] - landed[image] for landed in (trials.dead, trials.live)], 1)
    by_arm = moves[:, [0, 0, 1, 1]]  # clean, dead, live, clean at the live place
    zeros = np.zeros_like(by_arm)
    return np.asarray(ordered[:, None] - np.concatenate([by_arm, zeros], -1)[:, :, None])


def _photograph(images: Images, trials: Trials, image: int) -> Float[np.ndarray, " 4"] | None:
    if images.objects is None or trials.scene is None:
        return None
    move = trials.scene[image, 0] - trials.dead[image, 0]
    return images.objects.photograph[image] - np.array([*move, 0, 0])
