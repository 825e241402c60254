"""A few judged trials as pictures: the pair that shows the loss best, the least and the most visible perturbations."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from perturb.figures import Specimen
from perturb.records import ARMS, DEAD, LIVE, Images, Miss
from perturb.showing import show
from perturb.stories.experiment import Measured

SHOWN = 3  # least visible, and as many most visible
WINDOW = 24  # pixels around a place, at least
Role = Literal["pair", "least", "most"]
PERTURBED: tuple[Literal["dead", "live"], ...] = ("dead", "live")
Trial = tuple[Literal["dead", "live"], int, int]  # arm, crop, pair


def specimens(found: Measured, worst: Miss | None) -> tuple[Specimen, ...]:
    """The worst pair, and the trials with the least and the most evidence above the threshold, of the first seed.

    Both arms are ranked together, and a photograph is shown once among the least, and once among the most. Nothing is
    shown where pictures have neither 1 nor 3 channels.
    """
    judged, seen = found.judged, found.measurement.seen
    if judged.pixels.shape[1] not in (1, 3):
        return ()
    above = np.moveaxis(seen.evidence[0, 0][..., [DEAD, LIVE]], -1, 0) - seen.threshold[0][:, None]
    ranked = np.stack(np.unravel_index(np.argsort(above, axis=None, kind="stable"), above.shape), -1)
    roles: tuple[tuple[Role, list[Trial]], ...] = (
        ("pair", list(_worst_pair(found, worst))),
        ("least", _of_distinct_photographs(ranked, judged)),
        ("most", _of_distinct_photographs(ranked[::-1], judged)),
    )
    return tuple(_specimen(role, trial, found, judged) for role, trials in roles for trial in trials)


def _worst_pair(found: Measured, worst: Miss | None) -> Iterator[Trial]:
    if worst is None:
        return
    trials = found.measurement.trials[0]
    dead, live = trials.dead[worst.crop], trials.live[worst.crop]
    (pair, *_) = np.flatnonzero((dead == worst.dead).all(1) & (live == worst.live).all(1))
    for arm in PERTURBED:
        yield arm, worst.crop, int(pair)


def _of_distinct_photographs(ranked: np.ndarray, judged: Images) -> list[Trial]:
    chosen: dict[int, Trial] = {}
    for arm, crop, pair in ranked:
        chosen.setdefault(int(judged.photograph[crop]), (PERTURBED[arm], int(crop), int(pair)))
        if len(chosen) == SHOWN:
            break
    return list(chosen.values())


def _specimen(role: Role, trial: Trial, found: Measured, judged: Images) -> Specimen:
    arm, crop, pair = trial
    trials, seen = found.measurement.trials[0], found.measurement.seen
    exposure = found.experimenter.exposure
    shown = show(judged, trials, crop, replace(exposure, levels=exposure.levels[:1], noise=0))
    number = shown.number[0, pair, ARMS.index(arm)]
    pictures = np.concatenate([shown.clean, shown.changed])
    picture, changed = pictures[shown.twin[number]], pictures[number]
    size = max(found.plan.task.extent)
    if judged.objects is not None and trials.asked is not None:
        size = int(judged.objects.boxes[crop, trials.asked[crop, pair], 2:].max())
    row, column = (int(at) for at in getattr(trials, arm)[crop, pair])
    side = min(max(WINDOW, 2 * size), *picture.shape[1:])
    top, left = (
        min(max(0, at + size // 2 - side // 2), n - side)
        for at, n in zip((row, column), picture.shape[1:], strict=True)
    )
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    return Specimen(
        role=role,
        experiment=found.plan.name,
        photograph=judged.names[judged.photograph[crop]],
        crop=crop,
        arm=arm,
        place=(row, column),
        evidence=float(seen.evidence[0, 0, crop, pair, ARMS.index(arm)]),
        threshold=float(seen.threshold[0, crop]),
        scale=getattr(found.plan.evaluator, "scale", ""),  # a class of the user's own may say none
        whole=_pixels(picture),
        corner=(top, left),
        clean=_pixels(picture[window]),
        perturbed=_pixels(changed[window]),
    )


def _pixels(picture: np.ndarray) -> np.ndarray:
    return np.asarray((255 * picture).round().astype(np.uint8).transpose(1, 2, 0))
