"""Recall of annotated objects by what they are: their size, their distance from the border of the model's window."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from perturb.quantities.detection import detected
from perturb.quantities.measures import CONFIDENCE
from perturb.quantities.statistics import by_photograph, mean_effect, rate
from perturb.records import Bin, Breakdown, Images, Observation, Rate, Recall, Trials

BINS = 3  # of about as many questions each


@dataclass(frozen=True, slots=True, kw_only=True)
class _Questions:
    """The questions of a run, one after another."""

    dead: Float[np.ndarray, " question"]  # 1 where the object was reported
    live: Float[np.ndarray, " question"]
    photograph: Int[np.ndarray, " question"]
    object: Int[np.ndarray, " question"]  # a number for each object of each photograph's image


def recall(seen: Observation, trials: Trials, judged: Images, *, seed: int) -> Recall | None:
    """Of the first seed; None where the objects were not annotated."""
    if judged.objects is None or trials.asked is None:
        return None
    boxes = np.take_along_axis(judged.objects.boxes, trials.asked[..., None], 1)
    most = judged.objects.boxes.shape[1]
    asked = _Questions(
        dead=detected(seen, "dead")[0, 0].ravel(),
        live=detected(seen, "live")[0, 0].ravel(),
        photograph=np.repeat(seen.photograph, trials.asked.shape[1]),
        object=(np.arange(len(trials.asked))[:, None] * most + trials.asked).ravel(),
    )
    by = {
        "size: the root of the box's area in pixels": np.sqrt(boxes[..., 2:].prod(-1)),
        "distance in pixels from the border of the model's window": _from_border(trials, boxes, judged.objects.window),
    }
    return Recall(
        objects=int(judged.objects.asked.sum()),
        alarms=_alarms(seen),
        breakdowns=tuple(Breakdown(by=name, bins=_bins(values.ravel(), asked, seed)) for name, values in by.items()),
    )


def _from_border(trials: Trials, boxes: np.ndarray, window: tuple[int, int]) -> Float[np.ndarray, "image pair"]:
    """Between an object's box and the nearest border, mean of its dead and its live place."""
    mean = (trials.dead + trials.live) / 2
    return np.minimum(mean, window - (mean + boxes[..., 2:])).min(-1)


def _alarms(seen: Observation) -> Rate | None:
    """How many reports above the threshold match no object, a picture; each photograph's pictures are one cluster."""
    if seen.alarms is None:
        return None
    count = (seen.alarms[0] > seen.threshold[0][:, None]).sum(1).astype(float)
    found = rate(count[None, :, None], seen.photograph, share=False)
    return replace(found, low=max(0.0, found.low))


def _bins(values: Float[np.ndarray, " question"], asked: _Questions, seed: int) -> tuple[Bin, ...]:
    """Terciles of the questions; equal values stay together, so there may be fewer."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="lower"))
    number = np.searchsorted(edges, values, side="left")
    return tuple(_bin(number == one, values, asked, seed) for one in np.unique(number))


def _bin(here: np.ndarray, values: np.ndarray, asked: _Questions, seed: int) -> Bin:
    dead, live = (arm[here][None, :, None] for arm in (asked.dead, asked.live))
    owner = asked.photograph[here]
    several = len(np.unique(owner)) > 1
    return Bin(
        low=float(values[here].min()),
        high=float(values[here].max()),
        objects=len(np.unique(asked.object[here])),
        dead=rate(dead, owner),
        live=rate(live, owner),
        loss=mean_effect(by_photograph(live - dead, owner), confidence=CONFIDENCE, seed=seed, limit=1)
        if several
        else None,
    )
