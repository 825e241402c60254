"""The cause of a FAIL, named by the evidence of the run: what the architecture reads, and where the loss lies."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from perturb.quantities.detection import ByCause
from perturb.records import Cause, CauseKind
from perturb.stats.betting import betting_interval
from perturb.stats.clusters import cluster_means

CONFIDENCE = 0.95
MOST_OF_IT = 0.5  # of the loss: more of it lies where nothing reads
WEAKER = 0.8  # dead places are read at most so much, of live ones: the structure says so
ALIKE = 0.95  # at least so much: the structure does not
NEAREST = 1 / 3  # of the places are near the edge

ByTrial = Float[np.ndarray, "seed image pair"]
HELP = {
    "structural": (
        "Padded kernels should help; a trained network needs fine-tuning too. `perturb remedy --suite NAME` measures it"
    ),
    "learned": "It is these weights, and padded kernels do not help by themselves",
    "border": "Pad the pictures, or let tiles overlap, so that objects lie further inside",
    "blind area": "No training helps there: the resizing, the crop or the strides have to change",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run tells of the cause, by trial."""

    seen: ByCause
    photograph: Int[np.ndarray, " image"]
    edge: ByTrial  # pixels from the object, at its dead place, to the nearest edge of the picture
    read: tuple[ByTrial, ByTrial] | None  # how strongly the architecture reads the object at its dead, its live place
    unknown: str = ""  # why `read` is not known, in words that end a sentence


def cause_of(evidence: Evidence, claimed: float) -> Cause:
    """The first of these that the evidence shows; "shown" is by the lower end of a betting interval of 95 %.

    - blind area: more than half of the loss lies at dead places at which nothing reads the object.
    - border: among the third of the places that are nearest to the edge the loss is shown to be above the claim, among
      the others it is not above it, and the difference is shown to be above 0.
    - structural: more is detected at live places (shown), and the architecture reads objects at dead places at most 0.8
      times as strongly.
    - learned: more is detected at live places (shown), and the architecture reads dead places at least 0.95 times as
      strongly.
    - not known: none of these, with the reason.
    """
    found = _blind(evidence) or _border(evidence, claimed)
    if found:
        return found
    low, high = _interval(evidence.seen.paired, evidence.photograph, (-1, 1))
    more = f"{low:.2f} to {high:.2f} more is detected at live places"
    if low <= 0:
        return _unknown(f"it is not shown that phases matter ({more})")
    if evidence.read is None:
        return _unknown(f"{more}, but {evidence.unknown}")
    here = ~np.isnan(evidence.seen.lost)
    ratio = float(evidence.read[0][here].mean() / evidence.read[1].mean())
    reads = f"the architecture reads objects at dead places {ratio:.2f} times as strongly as at live ones"
    if ratio <= WEAKER:
        return _named("structural", f"{reads}, and {more}")
    if ratio >= ALIKE:
        return _named("learned", f"{more}, though {reads}")
    return _unknown(f"{reads}: too little for a structural cause, too much to rule it out")


def _blind(evidence: Evidence) -> Cause | None:
    lost = np.nan_to_num(evidence.seen.lost)
    if evidence.read is None or lost.sum() <= 0:  # a claim below 0 can FAIL where nothing is lost
        return None
    unread = evidence.read[0] == 0
    share = float(lost[unread].sum() / lost.sum())
    if share <= MOST_OF_IT:
        return None
    here = ~np.isnan(evidence.seen.lost)
    return _named(
        "blind area",
        f"nothing reads the object at {unread[here].mean():.0%} of the dead places, where {share:.0%} of the loss lies",
    )


def _border(evidence: Evidence, claimed: float) -> Cause | None:
    lost, bounds = evidence.seen.lost, evidence.seen.bounds
    here = ~np.isnan(lost)
    limit = float(np.quantile(evidence.edge[here], NEAREST, method="lower"))
    near = evidence.edge <= limit
    if not (here & near).any() or not (here & ~near).any():
        return None
    width = bounds[1] - bounds[0]
    parts = [_by_photograph(np.where(part, lost, np.nan), evidence.photograph) for part in (near, ~near)]
    difference = parts[0] - parts[1]
    difference = difference[~np.isnan(difference)]
    outer, inner = (part[~np.isnan(part)] for part in parts)
    if not len(difference) or inner.mean() > claimed:
        return None
    outer_low = betting_interval(outer, bounds, CONFIDENCE)[0]
    apart_low = betting_interval(difference, (-width, width), CONFIDENCE)[0]
    if outer_low <= claimed or apart_low <= 0:
        return None
    return _named(
        "border",
        f"{outer.mean():.2f} is lost up to {limit:.0f} pixels from the edge and {inner.mean():.2f} further inside, "
        f"which is at least {apart_low:.2f} less",
    )


def _named(kind: CauseKind, words: str) -> Cause:
    return Cause(kind=kind, words=f"{words[0].upper()}{words[1:]}. {HELP[kind]}.")


def _unknown(words: str) -> Cause:
    return Cause(kind="not known", words=f"{words[0].upper()}{words[1:]}.")


def _interval(
    values: ByTrial, photograph: Int[np.ndarray, " image"], bounds: tuple[float, float]
) -> tuple[float, float]:
    means = _by_photograph(values, photograph)
    return betting_interval(means[~np.isnan(means)], bounds, CONFIDENCE)


def _by_photograph(values: ByTrial, photograph: Int[np.ndarray, " image"]) -> Float[np.ndarray, " cluster"]:
    """The mean of each photograph over seeds, images and pairs; NaN where it has no trial."""
    owner = np.broadcast_to(photograph[:, None], values.shape).ravel()
    there = ~np.isnan(values).ravel()
    count = cluster_means(there.astype(float), owner)
    with np.errstate(invalid="ignore"):
        return np.asarray(cluster_means(np.nan_to_num(values).ravel(), owner) / np.where(count > 0, count, np.nan))
