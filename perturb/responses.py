"""Show a classifier its pictures without the perturbation, at dead and at live places, and note its scores."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from perturb.protocols import Task, Tick
from perturb.records import Images, Responses, Trials
from perturb.streams import stream

Classifier = Callable[[Tensor], Tensor]  # pictures -> scores
Look = Callable[[Tensor], Classifier]  # at a clean picture: the classifier of copies of it with small changes
Picture = Float[np.ndarray, "channel row column"]
RUNGS = 12  # of the geometric ladder of amplitudes, from one grey level to the bound
HALVINGS = 4  # of the rung below the first amplitude that flips


def respond(
    look: Look,
    task: Task,
    images: Images,
    labels: Int[np.ndarray, " image"] | None,
    trials: Trials,
    *,
    bound: float | None,
    tick: Tick,
) -> Responses:
    """The scores of one classifier on every trial; the axis of seeds has length one.

    `look` gives the classifier at each clean picture. `labels` None: its own answer to the clean picture is the class.
    `bound`: search each place for the smallest amplitude up to it that flips the label. `tick` counts images.
    """
    parts = []
    for i, picture in enumerate(images.pixels):
        first = task.trial(picture, 0, None, np.random.default_rng(0))
        classifier = look(torch.from_numpy(first[None]))
        label = None if labels is None else int(labels[i])
        parts.append(_image(classifier, task, picture, first, label, trials, i))
        if bound is not None:
            flips = flipping(classifier, first, np.concatenate([trials.dead[i], trials.live[i]]), task.size, bound)
            parts[-1] |= dict(zip(("flipped_dead", "flipped_live"), np.split(flips, 2), strict=True))
        tick(1)
    stacked = {name: np.stack([part[name] for part in parts])[None] for name in parts[0]}
    clean_truth = stacked.pop("clean_truth")
    return Responses(
        **stacked,
        clean_truth=None if (clean_truth < 0).any() else clean_truth,
        photograph=trials.photograph,
        bound=bound or 1.0,
    )


def together(parts: Sequence[Responses]) -> Responses:
    """Several classifiers' responses to the same images, one after another on the axis of seeds."""
    shared = ("photograph", "bound")
    joined: dict[str, Any] = {name: getattr(parts[0], name) for name in shared}
    for name in (f.name for f in fields(Responses) if f.name not in shared):
        arrays = [getattr(part, name) for part in parts]
        joined[name] = None if arrays[0] is None else np.concatenate(arrays)
    return Responses(**joined)


def flipping(
    classifier: Classifier, picture: Picture, places: Int[np.ndarray, "pair 2"], size: int, bound: float
) -> Float[np.ndarray, " pair"]:
    """The smallest amplitude up to `bound` that changes the answer when added to, or taken from, a patch at each place.

    One number for all channels and pixels of the patch, clipped to the pixel range. A geometric ladder from 1/255 is
    climbed until a rung flips in either direction, and the step below is halved. Infinity: none up to the bound did.
    """
    answer = int(_scores(classifier, [picture])[0].argmax())
    found = np.full(len(places), np.inf)
    below, sign = np.zeros(len(places)), np.ones(len(places))
    for rung in np.geomspace(min(1 / 255, bound), bound, RUNGS):
        open_ = np.flatnonzero(np.isinf(found))
        if not len(open_):
            break
        ways = np.repeat([rung, -rung], len(open_))
        up, down = np.split(_flips(classifier, picture, answer, np.tile(places[open_], (2, 1)), size, ways), 2)
        found[open_[up | down]] = rung
        sign[open_[down & ~up]] = -1
        below[np.isinf(found)] = rung
    hit = np.flatnonzero(np.isfinite(found))
    for _ in range(HALVINGS if len(hit) else 0):
        middle = (below[hit] + found[hit]) / 2
        flips = _flips(classifier, picture, answer, places[hit], size, sign[hit] * middle)
        found[hit], below[hit] = np.where(flips, middle, found[hit]), np.where(flips, below[hit], middle)
    return found


def _image(
    classifier: Classifier, task: Task, picture: Picture, first: Picture, label: int | None, trials: Trials, i: int
) -> dict[str, np.ndarray]:
    """One image: without the perturbation, then each pair's dead and live picture, in one batch."""
    pairs = trials.dead.shape[1]
    asked = [task.asked(label or 0, pair) for pair in range(pairs)]
    shown = [first]
    for places in (trials.dead, trials.live):
        for pair in range(pairs):
            texture = stream(trials.seed, f"responses/{trials.purpose}/{i}/{pair}")  # the same in both arms
            row, column = (int(v) for v in places[i, pair])
            shown.append(task.trial(picture, asked[pair], (row, column), texture))
    scores = _scores(classifier, shown)
    own = int(scores[0].argmax())
    without = own if label is None else task.unperturbed(label)
    moved = np.array([np.abs(s - shown[0]).sum() for s in shown[1:]]) / (len(shown[0]) * task.size**2)
    return {
        "clean": scores[0],
        "dead": scores[1 : 1 + pairs],
        "live": scores[1 + pairs :],
        "truth": np.array([own] * pairs if label is None else asked),
        "clean_truth": np.array(-1 if without is None else without),
        "realised_dead": moved[:pairs],
        "realised_live": moved[pairs:],
    }


def _flips(
    classifier: Classifier,
    picture: Picture,
    answer: int,
    places: Int[np.ndarray, "pair 2"],
    size: int,
    amplitudes: Float[np.ndarray, " pair"],
) -> np.ndarray:
    changed = np.repeat(picture[None], len(places), 0)
    for one, (row, column), amplitude in zip(changed, places, amplitudes, strict=True):
        patch = one[:, row : row + size, column : column + size]
        np.clip(patch + np.float32(amplitude), 0, 1, out=patch)
    return np.asarray(_scores(classifier, list(changed)).argmax(1) != answer)


def _scores(classifier: Classifier, pictures: list[Picture]) -> Float[np.ndarray, "picture output"]:
    return classifier(torch.from_numpy(np.stack(pictures))).flatten(1).double().cpu().numpy()
