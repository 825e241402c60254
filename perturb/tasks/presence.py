"""Presence of a micro object: is something there that was not there before?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from perturb.protocols import Perturbation
from perturb.records import Images, Trials
from perturb.streams import stream

Arm = Literal["clean", "dead", "live"]
Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One image's pictures."""

    shots: Float[np.ndarray, "shot channel row column"]  # clean, for the detector to study
    retakes: Float[np.ndarray, "level arm pair channel row column"]
    realised: Float[np.ndarray, "level arm pair"]  # mean absolute change over the patch, after clipping; 0 for clean


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Re-takes of a picture, without and with a perturbation, under sensor noise.

    `noise` is the standard deviation of independent Gaussian noise on every picture, a fraction of the pixel range.
    The re-takes of a pair share one draw of it, whatever the level: they differ by the perturbation alone.
    """

    perturbation: Perturbation
    levels: tuple[float, ...]
    noise: float

    def show(self, images: Images, trials: Trials, arms: tuple[Arm, ...], *, shots: int) -> Iterator[Shown]:
        """Image by image. A picture depends on its trial alone, not on what is shown beside it."""
        pairs, values = trials.dead.shape[1], images.pixels.shape[1] * self.perturbation.size**2
        for i, picture in enumerate(images.pixels):
            name = f"presence/{trials.purpose}/{i}"
            retakes = np.empty((len(self.levels), len(arms), pairs, *picture.shape), dtype=np.float32)
            realised = np.zeros(retakes.shape[:3])
            for pair in range(pairs):
                grain = self._grain(picture, stream(trials.seed, f"{name}/{pair}/noise"))
                for v, level in enumerate(self.levels):
                    for a, arm in enumerate(arms):
                        changed = self.perturbed(picture, trials, arm, (i, pair), level)
                        realised[v, a, pair] = np.abs(changed - picture).sum() / values
                        np.clip(changed + grain, 0, 1, out=retakes[v, a, pair])
            grains = (self._grain(picture, stream(trials.seed, f"{name}/shot/{shot}")) for shot in range(shots))
            clean = [np.clip(picture + grain, 0, 1) for grain in grains]
            yield Shown(shots=np.stack(clean), retakes=retakes, realised=realised)

    def perturbed(self, picture: Picture, trials: Trials, arm: Arm, trial: tuple[int, int], level: float) -> Picture:
        """The picture of one trial (image, pair) ahead of sensor noise."""
        if arm == "clean":
            return picture
        name = f"presence/{trials.purpose}/{trial[0]}/{trial[1]}"
        texture = stream(trials.seed, f"{name}/texture")  # the same for every level and arm
        row, column = (int(v) for v in (trials.dead if arm == "dead" else trials.live)[trial])
        return self.perturbation.apply(picture, (row, column), level, texture)

    def _grain(self, picture: Picture, rng: np.random.Generator) -> Picture | np.float32:
        if not self.noise:
            return np.float32(0)
        return rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(self.noise)
