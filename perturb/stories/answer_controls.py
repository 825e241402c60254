"""Controls of the model's own answer: known functions that answer in the user's kind, read by the user's evaluator."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from perturb.evaluators.boxes import BoxScores
from perturb.evaluators.map import Map
from perturb.evaluators.score import Score
from perturb.evaluators.text import Text
from perturb.images import load_images, split
from perturb.model import BlackBox, Preprocessing
from perturb.plan import ExperimentPlan
from perturb.quantities.detection import ACCURACY_LOSS
from perturb.records import Control, Effect, Pictures
from perturb.stories.controls import ALONE, STRICT, no_loss, pixel_plan
from perturb.stories.experiment import Wanted, measure
from perturb.suite import MapTable

SHAPE = (1, 32, 32)
PAGES = 24  # blank ones, half of them judged
FOUND = "found"  # what the function that answers in text says
READ_FROM = 0.5  # level from which it does

Seen = Callable[[Tensor], Tensor]  # a picture's rows and columns -> how much each pixel stands out, as it is seen


def prove_answers(plans: Sequence[ExperimentPlan], *, seed: int) -> tuple[Control, ...]:
    """For each evaluator of the model's own answer: a planted loss is found, and none where nothing is lost.

    The function marks what is darker than its page. It sees every second row and column alone (strictly dead pixels),
    or all. Its places are chosen by a map of its own answers, as the user's are. The evaluator is the user's with its
    options, but that its threshold is pinned, that it reads the whole answer, and that text holds the word FOUND. Code
    of the user's that reads answers cannot be imitated, and has no such control; reports say so.
    """
    asked = {plan.evaluator: plan for plan in plans if type(plan.evaluator) in ANSWERS}
    return tuple(control for evaluator in asked for control in _proven(evaluator, seed))


def _proven(evaluator: Any, seed: int) -> tuple[Control, Control]:
    read = replace(evaluator, threshold="common", output="")
    if isinstance(read, Text):
        read = replace(read, pattern=FOUND)
    kind, _ = ANSWERS[type(evaluator)]
    lost = _loss(read, _every_second, pixel_plan("planted", seed=seed, pairs=4, level=1.0))  # never missed where seen
    none = _loss(read, _all, pixel_plan("none", seed=seed, pairs=4))
    return (
        Control(
            name=f"a planted loss is found in {kind}",
            expected=f"every second row and column seen alone: a loss above 0.25; {ALONE}",
            observed=f"loss {lost.value:.2f}",
            passed=lost.value > 0.25,
        ),
        no_loss(f"in {kind} where all is seen", none),
    )


def _loss(evaluator: Any, seen: Seen, plan: ExperimentPlan) -> Effect:
    def answers(pictures: Tensor) -> Any:
        _, answer = ANSWERS[type(evaluator)]
        return answer(evaluator, seen(1 - pictures[:, 0]))

    how = Preprocessing(input_shape=SHAPE)
    model = BlackBox(answers, name="control-answers", preprocessing=how, identity=seen.__name__)
    calibration, judged = split(
        load_images("paper", shape=SHAPE, count=PAGES, seed=plan.seed), share=0.5, seed=plan.seed
    )
    plan = replace(
        plan,
        evaluator=evaluator,
        evaluator_name="control",
        map=MapTable(kind="response", period=2),
        map_layer="output",
    )
    found = measure(model, plan, Pictures(calibration=calibration, judged=judged), Wanted(engine="dense"), {})
    return ACCURACY_LOSS.effect(found.measurement.seen, found.contribution, confidence=STRICT, seed=plan.seed)


def _all(dark: Tensor) -> Tensor:
    return dark


def _every_second(dark: Tensor) -> Tensor:
    seen = torch.zeros_like(dark)
    seen[:, ::2, ::2] = dark[:, ::2, ::2]
    return seen


def _score(by: Score, seen: Tensor) -> Tensor:
    """Number `target` of as many as it takes."""
    return pad(seen.amax((1, 2))[:, None], (by.target or 0, 0))


def _map(by: Map, seen: Tensor) -> Tensor:
    """Channel `target`; others are 0."""
    if by.target is None:
        return seen
    channels = seen.new_zeros(len(seen), max(2, by.target + 1), *seen.shape[1:])
    channels[:, by.target] = seen
    return channels


def _boxes(by: BoxScores, seen: Tensor) -> list[dict[str, Any]]:
    """One box around the darkest pixel, of a side that `max_area` allows."""
    half = 0.5 if by.iou is not None else min(0.5, 0.49 * by.max_area**0.5)
    answers = []
    for picture in seen:
        row, column = np.unravel_index(int(picture.argmax()), tuple(picture.shape))
        middle = np.array([column, row]) + 0.5
        answers.append(
            {
                "boxes": np.concatenate([middle - half, middle + half])[None],
                "scores": np.array([float(picture.max())]),
                "labels": [by.target if by.target is not None else 0],
            }
        )
    return answers


def _text(by: Text, seen: Tensor) -> list[str]:
    return [FOUND if picture.max() > READ_FROM else "" for picture in seen]


ANSWERS: dict[type, tuple[str, Callable[[Any, Tensor], Any]]] = {
    Score: ("a score", _score),
    Map: ("a map", _map),
    BoxScores: ("boxes", _boxes),
    Text: ("text", _text),
}
