"""Observations and experiments without a suite, as a test wants them."""

from dataclasses import replace

import numpy as np
from toys import network

from perturb.images import split
from perturb.quantities.detection import ACCURACY_LOSS
from perturb.records import Observation, OperatingPoint, Pictures
from perturb.stories.controls import pixel_plan
from perturb.stories.experiment import Wanted, measure

PINNED = OperatingPoint(false_alarms=0.05, clean="absent", chance=0.5)


def observed(dead, live, clean=None, *, point=PINNED, threshold=0.5, photograph=None, **measures):
    """Evidence by [image, pair], or by [seed, image, pair], at one level; measures as [..., arm]."""
    dead, live = (np.asarray(arm, dtype=float) for arm in (dead, live))
    clean = np.zeros_like(dead) if clean is None else np.broadcast_to(np.asarray(clean, dtype=float), dead.shape)
    evidence = np.stack([clean, dead, live, clean], -1)
    evidence = evidence[None] if evidence.ndim == 3 else evidence
    images = evidence.shape[1]
    return Observation(
        evidence=evidence[:, None],
        realised=np.ones_like(evidence[:, None]),
        threshold=np.full((len(evidence), images), threshold),
        measures={name.replace("_", "-"): np.asarray(v, dtype=float) for name, v in measures.items()},
        levels=(0.5,),
        photograph=np.arange(images) if photograph is None else np.asarray(photograph),
        point=point,
        truth=np.broadcast_to(np.arange(images)[:, None], evidence.shape[:3]),
    )


def a_plan(**changes):
    """ChangeDetector detection of one pixel in layer "0", at the level that calibration finds."""
    return replace(pixel_plan("toy", seed=0, pairs=6), **changes)


def experiment(module, images, *, share=0.3, seed=0, wanted=None, **changes):
    """One experiment on a module, and its accuracy loss."""
    calibration, judged = split(images, share=share, seed=seed)
    pictures = Pictures(calibration=calibration, judged=judged)
    shape = images.pixels.shape[1:]
    found = measure(network(module, shape=shape), a_plan(seed=seed, **changes), pictures, wanted or Wanted(), {})
    effect = ACCURACY_LOSS.effect(found.measurement.seen, found.contribution, confidence=0.95, seed=seed)
    return found, effect
