"""Run the design: show the pictures to a detector, batch by batch, and note its evidence."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from perturb.incremental import ChangedBatch, Incremental
from perturb.protocols import Detector, Model, Tick, silent
from perturb.records import Images, Outcomes, Trials
from perturb.tasks.presence import Arm, Presence, Shown

PICTURES_AT_ONCE = 128  # composed before the network runs; the model makes its own batches of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a detector gave to everything that it was shown."""

    shots: Float[np.ndarray, "image shot"]  # clean
    retakes: Float[np.ndarray, "level arm image pair"]
    realised: Float[np.ndarray, "level arm image pair"]


def fit(model: Model, detector: Detector, task: Presence, images: Images, trials: Trials) -> Detector:
    """Let a detector that needs examples learn from these trials; its `live` arm stands for "perturbed"."""
    if not detector.needs_examples:
        return detector
    shown = list(task.show(images, trials, ("clean", "live"), shots=1))
    retakes = torch.from_numpy(np.stack([s.retakes[0] for s in shown]))
    return detector.fit(model, retakes[:, 0], retakes[:, 1])


def collect(
    model: Model,
    detector: Detector,
    task: Presence,
    images: Images,
    trials: Trials,
    arms: tuple[Arm, ...],
    *,
    engine: Incremental | None = None,
    tick: Tick = silent,
) -> Evidence:
    """Evidence for each arm at each level; independent of batch size and engine to rounding. `tick` counts images done.

    With an `engine` a re-take is computed as what differs from its clean twin.
    """
    shown_arms: tuple[Arm, ...] = arms if engine is None or "clean" in arms else (*arms, "clean")
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    waiting: list[Shown] = []
    at_once = max(1, PICTURES_AT_ONCE // (detector.shots + len(task.levels) * len(shown_arms) * trials.dead.shape[1]))

    def look() -> None:
        shots = torch.from_numpy(np.stack([s.shots for s in waiting]))
        retakes = torch.from_numpy(np.stack([s.retakes for s in waiting]))
        known, clean = detector.study(model, shots)
        seen_by: Model = model
        if engine is not None:
            seen_by = ChangedBatch(engine, _twins(retakes.shape[:4], shown_arms.index("clean")))
        found = detector.evidence(seen_by, known, retakes.flatten(1, 3)).unflatten(1, retakes.shape[1:4])
        realised = np.stack([s.realised for s in waiting])
        parts.append((clean.double().cpu().numpy(), found.double().cpu().numpy(), realised))
        tick(len(waiting))
        waiting.clear()

    for shown in task.show(images, trials, shown_arms, shots=detector.shots):
        waiting.append(shown)
        if len(waiting) == at_once:
            look()
    if waiting:
        look()
    shots, found, realised = (np.concatenate(part) for part in zip(*parts, strict=True))
    found, realised = (np.moveaxis(part, 0, 2)[:, : len(arms)] for part in (found, realised))
    return Evidence(shots=shots, retakes=found, realised=realised)


def _twins(shape: tuple[int, ...], clean: int) -> Int[np.ndarray, " picture"]:
    """For each re-take (image, level, arm, pair) the number of its pair's clean one; levels share it."""
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return np.broadcast_to(numbers[:, :1, clean : clean + 1], shape).ravel()


def pin_threshold(clean: Float[np.ndarray, "... shot"], false_alarms: float) -> Float[np.ndarray, "..."]:
    """The evidence that one further clean picture exceeds with probability `false_alarms` at most.

    The ceil((n + 1)(1 - a))-th smallest of n: exact for exchangeable pictures (split conformal prediction), as are
    shots of one picture. Shots of several photographs are not exchangeable with those of another: pinned on 8
    photographs, 5 % may come out at 8, which is why the rate is measured on the judged ones. With n below 1/a - 1 it is
    the largest, and the rate is 1/(n + 1).
    """
    n = clean.shape[-1]
    rank = min(math.ceil((n + 1) * (1 - false_alarms)), n)
    return np.asarray(np.sort(clean, -1)[..., rank - 1])


def observe(
    model: Model,
    detector: Detector,
    task: Presence,
    images: Images,
    trials: Trials,
    *,
    false_alarms: float,
    threshold: float | None,
    engine: Incremental | None = None,
    tick: Tick = silent,
) -> Outcomes:
    """All three arms of every trial, at the task's one level. `threshold` None: each image's own shots pin it."""
    found = collect(model, detector, task, images, trials, ("clean", "dead", "live"), engine=engine, tick=tick)
    (clean, dead, live), (_, moved_dead, moved_live) = found.retakes[0], found.realised[0]
    pinned = pin_threshold(found.shots, false_alarms) if threshold is None else np.full(len(clean), threshold)
    return Outcomes(
        clean=clean,
        dead=dead,
        live=live,
        realised_dead=moved_dead,
        realised_live=moved_live,
        threshold=pinned,
        photograph=trials.photograph,
    )
