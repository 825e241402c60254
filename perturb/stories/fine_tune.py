"""A remedied network learns from some photographs; on others its answers are compared with those before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perturb.comparisons import FineTuned
from perturb.errors import UsageError
from perturb.images import split
from perturb.model import Network
from perturb.protocols import Progress, quiet
from perturb.quantities.statistics import by_photograph, mean_effect, share_effect
from perturb.records import Claim, Effect, Images
from perturb.remedies import apply_remedy
from perturb.training.distil import Tuning, distil
from perturb.verdict import decide

LEARNT = 0.7  # share of the photographs to learn from; the rest is held out
CONFIDENCE = 0.95
LOST, CHANGED = "share of right answers lost", "share of answers changed"


def fine_tune(
    built: Network,
    remedy: str,
    images: Images,
    tuning: Tuning,
    *,
    margin: float,
    keep: Path | None = None,
    progress: Progress = quiet,
) -> tuple[Network, FineTuned]:
    """The network under a remedy with kept weights, fine-tuned (see `distil`), and what that did to its answers.

    The answer is the largest output. With labels the share of right answers lost is estimated, without them the share
    of answers that changed, which bounds it. PASS: the whole interval over held-out photographs lies within `margin`.
    Raises UsageError for labels of another number of classes than outputs, InputError below four photographs.
    """
    kind, _, weights = remedy.partition(":")
    if weights == "fresh":
        raise UsageError(f"--fine-tune keeps the weights: expected --with {kind} or {kind}:kept.")
    outputs = built.measure(torch.full((1, *built.input_shape), 0.5))
    scores = outputs.shape[1] if isinstance(outputs, Tensor) and outputs.ndim == 2 else 0
    if images.labels is not None and scores != len(images.classes):
        classes = f"`{images.source}` has {len(images.classes)} classes"
        raise UsageError(f"{built.name} has {scores or 'no'} outputs with scores of classes, and {classes}.")
    learnt, held_out = split(images, share=LEARNT, seed=tuning.seed)
    module, done = apply_remedy(built, f"{kind}:kept", seed=tuning.seed)
    tick = progress(f"{kind}: fine-tuning", tuning.steps)
    loss = distil(module, built, learnt, tuning, keep=keep, tick=tick)
    network = built.with_module(module)
    cost = _cost(built, network, held_out) if scores > 1 else None
    claim = Claim(quantity="answers", at_most=margin, confidence=CONFIDENCE)
    verdict, reason = decide(claim, cost) if cost else (None, "")
    return network, FineTuned(
        done=done,
        steps=tuning.steps,
        loss=loss,
        learnt=len(learnt.names),
        held_out=len(held_out.names),
        cost=cost,
        margin=margin,
        verdict=verdict,
        reason=reason,
    )


def _cost(built: Network, network: Network, images: Images) -> Effect:
    """What the answers to these pictures lost, with its interval over photographs."""
    pixels = torch.from_numpy(np.stack(list(images.pixels)))
    before, after = (_answers(each, pixels) for each in (built, network))
    if images.labels is None:
        changed = (before != after).astype(float)[None, :, None]
        return replace(share_effect(changed, images.photograph, confidence=CONFIDENCE), words=CHANGED)
    truth = images.labels[images.photograph]
    lost = ((before == truth).astype(float) - (after == truth))[None, :, None]
    table = by_photograph(lost, images.photograph)
    return replace(mean_effect(table, confidence=CONFIDENCE, seed=0, limit=1), words=LOST)


def _answers(network: Network, pixels: Tensor) -> np.ndarray:
    found = network.measure(pixels)
    assert isinstance(found, Tensor)
    return found.argmax(1).numpy(force=True)
