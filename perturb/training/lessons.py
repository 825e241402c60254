"""Training examples: every picture once for each class that the task can show it as, in batches."""

import hashlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from perturb.protocols import Task
from perturb.records import Images
from perturb.streams import stream


class Lessons:
    """The examples (picture, class) of a task. An epoch depends on its seed and name alone, not on earlier epochs."""

    def __init__(self, images: Images, task: Task) -> None:
        self.images, self.task = images, task
        labels = np.zeros(len(images.names), dtype=int) if images.labels is None else images.labels
        self.shown = [
            (i, truth) for i, owner in enumerate(images.photograph) for truth in task.truths(int(labels[owner]))
        ]
        digest = hashlib.sha256(f"{images.pixels.shape} {self.shown} {task!r}".encode())
        for picture in images.pixels:
            digest.update(np.ascontiguousarray(picture).data)
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.shown)

    def batches(self, size: int) -> int:
        """Batches in an epoch, for batches of at most `size` examples."""
        return math.ceil(len(self.shown) / size)

    def epoch(self, size: int, *, seed: int, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (pictures, classes) in random order; their sizes differ by at most one."""
        order = stream(seed, f"lessons/{name}").permutation(len(self.shown))
        for part in np.array_split(order, self.batches(size)):
            pictures = np.stack([self._picture(int(i), seed, name) for i in part])
            yield torch.from_numpy(pictures), torch.tensor([self.shown[i][1] for i in part])

    def _picture(self, number: int, seed: int, name: str) -> np.ndarray:
        image, truth = self.shown[number]
        return self.task.lesson(self.images.pixels[image], truth, stream(seed, f"lessons/{name}/{number}"))
