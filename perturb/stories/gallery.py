"""A few judged trials as pictures: the pair that shows the loss best, the least and the most visible perturbations."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from perturb.exhibits import Specimen
from perturb.records import Images
from perturb.stories.experiment import Measured, Protocol, task_at

SHOWN = 3  # least visible, and as many most visible
WINDOW = 24  # pixels around a place, at least
Role = Literal["pair", "least", "most"]
Arm = Literal["dead", "live"]
ARMS: tuple[Arm, Arm] = ("dead", "live")
Trial = tuple[Arm, int, int]  # arm, crop, pair


def hang(protocol: Protocol, measured: Measured, judged: Images) -> tuple[Specimen, ...]:
    """Ranked by evidence above the threshold, both arms together; a photograph once among the least, and the most.

    Nothing where pictures have neither 1 nor 3 channels.
    """
    if judged.pixels.shape[1] not in (1, 3):
        return ()
    outcomes = measured.measurement.outcomes
    above = np.stack([outcomes.dead, outcomes.live]) - outcomes.threshold[:, None]
    ranked = np.stack(np.unravel_index(np.argsort(above, axis=None, kind="stable"), above.shape), -1)
    roles: tuple[tuple[Role, list[Trial]], ...] = (
        ("pair", list(_worst_pair(measured))),
        ("least", _of_distinct_photographs(ranked, judged)),
        ("most", _of_distinct_photographs(ranked[::-1], judged)),
    )
    return tuple(_specimen(role, trial, protocol, measured, judged) for role, trials in roles for trial in trials)


def _worst_pair(measured: Measured) -> Iterator[Trial]:
    worst = measured.account.worst
    if worst is None:
        return
    dead, live = measured.measurement.trials.dead[worst.crop], measured.measurement.trials.live[worst.crop]
    (pair, *_) = np.flatnonzero((dead == worst.dead).all(1) & (live == worst.live).all(1))
    for arm in ARMS:
        yield arm, worst.crop, int(pair)


def _of_distinct_photographs(ranked: np.ndarray, judged: Images) -> list[Trial]:
    chosen: dict[int, Trial] = {}
    for arm, crop, pair in ranked:
        chosen.setdefault(int(judged.photograph[crop]), (ARMS[arm], int(crop), int(pair)))
        if len(chosen) == SHOWN:
            break
    return list(chosen.values())


def _specimen(role: Role, trial: Trial, protocol: Protocol, measured: Measured, judged: Images) -> Specimen:
    (arm, crop, pair), size = trial, protocol.perturbation.size
    picture, level = judged.pixels[crop], measured.account.level
    changed = task_at(protocol, (level,)).perturbed(picture, measured.measurement.trials, arm, (crop, pair), level)
    row, column = (int(at) for at in getattr(measured.measurement.trials, arm)[crop, pair])
    side = min(max(WINDOW, 2 * size), *picture.shape[1:])
    top, left = (
        min(max(0, at + size // 2 - side // 2), n - side)
        for at, n in zip((row, column), picture.shape[1:], strict=True)
    )
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    return Specimen(
        role=role,
        experiment=protocol.name,
        photograph=judged.names[judged.photograph[crop]],
        crop=crop,
        arm=arm,
        place=(row, column),
        evidence=float(getattr(measured.measurement.outcomes, arm)[crop, pair]),
        threshold=float(measured.measurement.outcomes.threshold[crop]),
        whole=_pixels(picture),
        corner=(top, left),
        clean=_pixels(picture[window]),
        perturbed=_pixels(changed[window]),
    )


def _pixels(picture: np.ndarray) -> np.ndarray:
    return np.asarray((255 * picture).round().astype(np.uint8).transpose(1, 2, 0))
