"""Show the pictures of a block to a model, and let the evaluator read the outputs: Block -> Observation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from perturb.answers import Answers, take
from perturb.blocks import Block, arrays_of, observation_of
from perturb.errors import InputError
from perturb.flipping import flipping
from perturb.looking import Answer, Look
from perturb.protocols import Asked, Evaluator, Task, Tick, silent
from perturb.questions import Questions, questions_about
from perturb.records import ARMS, DEAD, OWN, Images, Observation, OperatingPoint, Trials
from perturb.sensor import sensor_of
from perturb.showing import PERTURBED, UNPERTURBED, Exposure, Shown, show, still_of
from perturb.stats.conformal import pin_threshold
from perturb.studies import Studies
from perturb.trials import identity

ALARMS = 64  # false alarms of a clean picture that are kept, the highest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Experimenter:
    """Everything that an observation needs beside its block."""

    look: Look  # the model
    evaluator: Evaluator
    task: Task
    levels: tuple[float, ...]
    point: OperatingPoint
    threshold: float | None  # None: pinned on each image's own shots
    pinned: float | None = None  # beside a given threshold, the one that the false-alarm rate asks for
    flips: bool = False  # also search each place's smallest flipping amplitude, up to the level
    studies: Studies = field(default_factory=Studies, repr=False, compare=False)  # of the run

    @property
    def exposure(self) -> Exposure:
        return Exposure(task=self.task, levels=self.levels, noise=self.evaluator.noise)


def observe(block: Block, by: Experimenter, tick: Tick = silent) -> Observation:
    """What the model gives for every trial of the block, read by the evaluator; one seed. `tick` counts images.

    Images are shown one by one, so that a block gives what the whole would give, bit for bit.
    """
    parts = []
    for image in range(len(block.images.pixels)):
        parts.append(_image(block, image, by))
        tick(1)
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    evidence, realised, threshold, truth = (stacked.pop(key) for key in ("evidence", "realised", "threshold", "truth"))
    alarms, clipped = stacked.pop("alarms", None), stacked.pop("clipped")
    return Observation(
        evidence=np.moveaxis(evidence, 0, 1)[None],
        realised=np.moveaxis(realised, 0, 1)[None],
        threshold=threshold[None],
        measures={name: np.moveaxis(values, 0, 1)[None] for name, values in stacked.items()},
        levels=by.levels,
        photograph=block.trials.photograph,
        point=by.point,
        truth=truth.astype(int)[None],
        alarms=None if alarms is None else alarms[None],
        clipped=np.moveaxis(clipped, 0, 1)[None],
        phase=None if block.trials.phase is None else block.trials.phase[None],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """`observe` as a value that executors can tell from any other: see blocks.Lasting."""

    by: Experimenter
    tick: Tick = silent

    def __call__(self, block: Block) -> Observation:
        return observe(block, self.by, self.tick)

    def identity_parts(self) -> Any:
        return self.by

    def unwatched(self) -> "Observing":
        return replace(self, tick=silent)

    def arrays(self, result: Observation) -> Mapping[str, np.ndarray]:
        return arrays_of(result)

    def result(self, block: Block, arrays: Mapping[str, np.ndarray]) -> Observation:
        self.tick(len(block.images.pixels))
        return Observation(
            **observation_of(arrays),
            levels=self.by.levels,
            point=self.by.point,
            photograph=block.trials.photograph,
            phase=None if block.trials.phase is None else block.trials.phase[None],
        )


def _studied(images: Images, trials: Trials, image: int, by: Experimenter) -> tuple[Any, float | None]:
    """What the evaluator knows of one image from its clean shots, and the threshold, given or pinned on them."""
    if not by.evaluator.shots:
        return None, by.threshold
    still = still_of(images, image, by.task)
    study = by.studies.of(by.look, by.evaluator, still, name=identity(images, image), seed=trials.seed)
    if by.threshold is not None:
        return study.known, by.threshold
    assert by.point.false_alarms is not None
    return study.known, float(pin_threshold(_numbers(study.evidence), by.point.false_alarms))


def _image(block: Block, image: int, by: Experimenter) -> dict[str, np.ndarray]:
    """Evidence, realised change and measures by level, pair and arm; the threshold; the truth by pair; the alarms."""
    images, trials = block.images, block.trials
    known, threshold = _studied(images, trials, image, by)
    shown = show(images, trials, image, by.exposure)
    clean = torch.from_numpy(shown.clean)
    answer = by.look.at(clean)
    outputs = answer(torch.cat([clean, torch.from_numpy(shown.changed)]), shown.twin)
    questions = questions_about(images, trials, image, by.task, sensor_of(by.look.model))
    read = _read(by.evaluator, outputs, questions, shown, known)
    truth = read.pop("truth")[0, :, DEAD] if "truth" in read else questions.truth
    if by.flips:
        read |= _amplitudes(answer, shown, questions, by)
    if by.pinned is not None:
        read["pinned"] = (read["evidence"] > by.pinned).astype(float)
    if by.point.clean in ("none", "unmatched"):
        for values in read.values():
            values[..., UNPERTURBED] = np.nan
    change = {"realised": shown.realised, "clipped": shown.clipped}
    found = {**read, **change, "threshold": np.array(threshold), "truth": truth}
    reported = by.evaluator.alarms(take(outputs, [0]), questions.of_first())
    return found if reported is None else found | {"alarms": _best(np.asarray(reported[0], dtype=float))}


def _read(
    evaluator: Evaluator, outputs: Answers, questions: Questions, shown: Shown, known: Any
) -> dict[str, Float[np.ndarray, "level pair arm"]]:
    """The evaluator's evidence and measures. One that reads places is asked pair by pair, others picture by picture."""

    def read(outputs: Answers, asked: Asked) -> dict[str, np.ndarray]:
        measures = {name: _numbers(values) for name, values in evaluator.measures(outputs, asked).items()}
        return {"evidence": evidence_of(evaluator, outputs, asked, known), **measures}

    number = shown.number
    if not evaluator.local:
        found = read(outputs, questions.of_pictures(number, shown.twin))
        return {name: values[number] for name, values in found.items()}
    levels, pairs, arms = number.shape
    parts = [read(take(outputs, number[:, pair].ravel()), questions.of_pair(pair, levels)) for pair in range(pairs)]
    return {name: np.stack([part[name].reshape(levels, arms) for part in parts], 1) for name in parts[0]}


def evidence_of(evaluator: Evaluator, outputs: Answers, asked: Asked, known: Any) -> Float[np.ndarray, " picture"]:
    """One float64 number a picture. Raises InputError for numbers that are not finite, or of another shape."""
    found = _numbers(evaluator.evidence(outputs, asked, known))
    if not np.isfinite(found).all():
        raise InputError("the evaluator gives evidence that is not finite (NaN or infinity) for some pictures.")
    return found


def _best(scores: np.ndarray) -> Float[np.ndarray, " rank"]:
    """The highest ALARMS scores, best first; -inf where there are fewer."""
    best = np.full(ALARMS, -np.inf)
    found = np.sort(scores)[::-1][:ALARMS]
    best[: len(found)] = found
    return best


def _amplitudes(answer: Answer, shown: Shown, questions: Questions, by: Experimenter) -> dict[str, np.ndarray]:
    """The smallest amplitude that changes the answer, and where none up to the level does.

    A place that withstands counts as the level itself: its mean is the restricted mean of survival analysis, which
    underrates alike in both arms.
    """

    def flips(changed: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(np.concatenate([shown.clean[:1], changed]))
        twin = np.zeros(len(pictures), dtype=int)
        own = Asked(
            place=np.zeros((len(pictures), 2), dtype=int),
            extent=questions.extent,
            shape=questions.shape,
            truth=twin + OWN,
            twin=twin,
        )
        evidence = _numbers(by.evaluator.evidence(answer(pictures, twin), own, None))
        return np.asarray((evidence[1:] > by.threshold) != (evidence[0] > by.threshold))

    (bound,) = by.levels
    places = questions.place[:, PERTURBED].reshape(-1, 2)
    amplitude = np.full((1, len(questions.place), len(ARMS)), np.nan)
    amplitude[..., PERTURBED] = flipping(flips, shown.clean[0], places, by.task.size, bound).reshape(-1, 2)
    return {
        "flipping-amplitude": np.minimum(amplitude, bound),
        "unflipped": np.where(np.isnan(amplitude), np.nan, amplitude == np.inf),
    }


def _numbers(values: Any) -> Float[np.ndarray, " picture"]:
    """One float64 number a picture, from a tensor or whatever NumPy takes. Raises InputError for another shape."""
    found = values.double().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=float)
    if found.ndim != 1:
        raise InputError(f"the evaluator gives numbers of shape {found.shape[1:]} a picture, wanted one number.")
    return np.asarray(found)
