"""Show the pictures of a block to a model, and let the evaluator read the outputs: Block -> Observation."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from perturb.blocks import Block
from perturb.errors import InputError
from perturb.flipping import flipping
from perturb.looking import Answer, Look
from perturb.protocols import Asked, Evaluator, Task, Tick, silent
from perturb.records import ARMS, Images, Observation, OperatingPoint, Trials
from perturb.stats.conformal import pin_threshold
from perturb.streams import stream
from perturb.tasks.labels import OWN
from perturb.trials import identity

Picture = Float[np.ndarray, "channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How the pictures of a trial are taken."""

    task: Task
    levels: tuple[float, ...]
    noise: float  # standard deviation of the sensor noise, a fraction of the pixel range
    shots: int  # clean pictures beside the trials'


@dataclass(frozen=True, slots=True, kw_only=True)
class Experimenter:
    """Everything that an observation needs beside its block."""

    look: Look  # the model
    evaluator: Evaluator
    task: Task
    levels: tuple[float, ...]
    point: OperatingPoint
    threshold: float | None  # None: pinned on each image's own shots
    flips: bool = False  # also search each place's smallest flipping amplitude, up to the level

    @property
    def exposure(self) -> Exposure:
        evaluator = self.evaluator
        return Exposure(task=self.task, levels=self.levels, noise=evaluator.noise, shots=evaluator.shots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The pictures of one image. `number` says which picture stands at each level, pair and arm."""

    shots: Float[np.ndarray, "shot channel row column"]
    clean: Float[np.ndarray, "clean channel row column"]
    changed: Float[np.ndarray, "changed channel row column"]
    twin: Int[np.ndarray, " picture"]  # the number of each picture's clean twin, clean ones first
    number: Int[np.ndarray, "level pair arm"]  # among the clean ones, then the changed ones
    realised: Float[np.ndarray, "level pair arm"]


def observe(block: Block, by: Experimenter, tick: Tick = silent) -> Observation:
    """What the model gives for every trial of the block, read by the evaluator; one seed. `tick` counts images.

    Images are shown one by one, so that a block gives what the whole would give, bit for bit.
    """
    parts = []
    for image in range(len(block.images.pixels)):
        parts.append(_image(block.images, block.trials, image, by))
        tick(1)
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    evidence, realised, threshold = (stacked.pop(name) for name in ("evidence", "realised", "threshold"))
    return Observation(
        evidence=np.moveaxis(evidence, 0, 1)[None],
        realised=np.moveaxis(realised, 0, 1)[None],
        threshold=threshold[None],
        measures={name: np.moveaxis(values, 0, 1)[None] for name, values in stacked.items()},
        levels=by.levels,
        photograph=block.trials.photograph,
        point=by.point,
    )


def show(images: Images, trials: Trials, image: int, exposure: Exposure) -> Shown:
    """The pictures of one image: shots, a clean one for each pair, a dead and a live one for each level and pair.

    The pictures of a pair share one draw of sensor noise, whatever the level: they differ by the perturbation alone.
    Without noise all pairs share one clean picture.
    """
    picture, label, noise = images.pixels[image], _label(images, image), exposure.noise
    name, pairs = f"{trials.purpose}/{identity(images, image)}", trials.dead.shape[1]
    tasks = [replace(exposure.task, level=level) for level in exposure.levels]  # type: ignore[type-var]
    still = exposure.task.show(picture, 0, None, np.random.default_rng(0))
    grains = [_grain(still.shape, noise, stream(trials.seed, f"noise/{name}/{pair}")) for pair in range(pairs)]
    clean = np.stack([np.clip(still + grain, 0, 1) for grain in (grains if noise else grains[:1])])
    number = np.zeros((len(tasks), pairs, len(ARMS)), dtype=int)
    number[:, :, 0] = np.arange(pairs) if noise else 0
    realised, twin = np.zeros(number.shape), list(range(len(clean)))
    changed: list[Picture] = []
    for level, task in enumerate(tasks):
        for pair in range(pairs):
            for arm, places in ((1, trials.dead), (2, trials.live)):
                texture = stream(trials.seed, f"texture/{name}/{pair}")  # the same for every level and arm
                row, column = (int(v) for v in places[image, pair])
                put = task.show(picture, task.asked(label, pair), (row, column), texture)
                realised[level, pair, arm] = np.abs(put - still).sum() / (len(still) * task.size**2)
                number[level, pair, arm] = len(clean) + len(changed)
                changed.append(np.clip(put + grains[pair], 0, 1))
                twin.append(number[level, pair, 0])
    shots = [
        np.clip(still + _grain(still.shape, noise, stream(trials.seed, f"shot/{name}/{shot}")), 0, 1)
        for shot in range(exposure.shots)
    ]
    return Shown(
        shots=np.array(shots),
        clean=clean,
        changed=np.stack(changed),
        twin=np.array(twin),
        number=number,
        realised=realised,
    )


def _image(images: Images, trials: Trials, image: int, by: Experimenter) -> dict[str, np.ndarray]:
    """Evidence, realised change and measures by level, pair and arm; and the threshold."""
    shown = show(images, trials, image, by.exposure)
    known, threshold = None, by.threshold
    if by.evaluator.shots:
        known, shots = by.evaluator.study(by.look.plain(torch.from_numpy(shown.shots)))
        if threshold is None:
            assert by.point.false_alarms is not None
            threshold = float(pin_threshold(_numbers(shots), by.point.false_alarms))
    clean = torch.from_numpy(shown.clean)
    answer = by.look.at(clean)
    asked = _asked(images, trials, image, shown, by.task)
    outputs = answer(torch.cat([clean, torch.from_numpy(shown.changed)]), asked.twin)
    found = {"evidence": by.evaluator.evidence(outputs, asked, known), **by.evaluator.measures(outputs, asked)}
    read = {name: _numbers(values)[shown.number] for name, values in found.items()}
    if not np.isfinite(read["evidence"]).all():
        raise InputError("the evaluator gives evidence that is not finite (NaN or infinity) for some pictures.")
    if by.flips:
        read |= _amplitudes(answer, shown, asked, by)
    if by.point.clean == "none":
        for values in read.values():
            values[..., 0] = np.nan
    return {**read, "realised": shown.realised, "threshold": np.array(threshold)}


def _asked(images: Images, trials: Trials, image: int, shown: Shown, task: Task) -> Asked:
    """Each picture's place, right class and clean twin."""
    count, pairs = shown.number.max() + 1, trials.dead.shape[1]
    place, truth = np.zeros((count, 2), dtype=int), np.zeros(count, dtype=int)
    labelled = images.labels is not None or not task.needs_labels
    label = _label(images, image)
    right = np.array([task.asked(label, pair) if labelled else OWN for pair in range(pairs)])
    places = np.stack([trials.dead[image], trials.dead[image], trials.live[image]], 1)
    place[shown.number] = places
    truth[shown.number] = right[:, None]
    return Asked(place=place, size=task.size, truth=truth, twin=shown.twin)


def _label(images: Images, image: int) -> int:
    return 0 if images.labels is None else int(images.labels[images.photograph[image]])


def _amplitudes(answer: Answer, shown: Shown, asked: Asked, by: Experimenter) -> dict[str, np.ndarray]:
    """The smallest amplitude that changes the answer, and where none up to the level does.

    A place that withstands counts as the level itself: its mean is the restricted mean of survival analysis, which
    underrates alike in both arms.
    """

    def flips(changed: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(np.concatenate([shown.clean[:1], changed]))
        twin = np.zeros(len(pictures), dtype=int)
        own = Asked(place=np.zeros((len(pictures), 2), dtype=int), size=asked.size, truth=twin + OWN, twin=twin)
        evidence = _numbers(by.evaluator.evidence(answer(pictures, twin), own, None))
        return np.asarray((evidence[1:] > by.threshold) != (evidence[0] > by.threshold))

    (bound,) = by.levels
    number = shown.number[0, :, 1:]
    found = flipping(flips, shown.clean[0], asked.place[number].reshape(-1, 2), asked.size, bound)
    amplitude = np.pad(found.reshape(1, *number.shape), ((0, 0), (0, 0), (1, 0)), constant_values=np.nan)
    return {
        "flipping-amplitude": np.minimum(amplitude, bound),
        "unflipped": np.where(np.isnan(amplitude), np.nan, amplitude == np.inf),
    }


def _grain(shape: tuple[int, ...], noise: float, rng: np.random.Generator) -> Picture | np.float32:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(noise) if noise else np.float32(0)


def _numbers(values: Any) -> Float[np.ndarray, " picture"]:
    """One float64 number a picture, from a tensor or whatever NumPy takes. Raises InputError for another shape."""
    found = values.double().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=float)
    if found.ndim != 1:
        raise InputError(f"the evaluator gives numbers of shape {found.shape[1:]} a picture, wanted one number.")
    return np.asarray(found)
