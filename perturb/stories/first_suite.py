"""`perturb init`: a suite to begin with, from a model and the pictures that it is to be judged on."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from perturb.comparisons import FirstSuite, Outlook
from perturb.contribution.period import place
from perturb.errors import InputError, UsageError
from perturb.images import load_images, split, split_sizes
from perturb.locations import anywhere
from perturb.operations import Pair
from perturb.placing import placed
from perturb.plan import CheckPlan, ExperimentPlan, plan
from perturb.protocols import Differentiable, Sees, Taps
from perturb.records import Images
from perturb.stories.answer_kind import AnswerKind, answer_kind
from perturb.stories.operating import Supply, outlooks
from perturb.stories.report_parts import preprocessing_of
from perturb.stories.suite_text import LOOKED_FOR, Survey, decides, facts, suite_text, too_few
from perturb.suite import parse_suite

SHOWN = 8  # pictures, whose answers tell the kind


def first_suite(
    model: Sees, source: str, *, name: str, table: Mapping[str, object], sensor: Mapping[str, object]
) -> FirstSuite:
    """A suite called `name` for this model on pictures from `source`.

    `table` is the model's in [models], `sensor` that of the camera that is ahead of it.
    Raises InputError for fewer than four photographs, UsageError for answers that no first suite is known for.
    """
    images = load_images(source, shape=model.input_shape)
    split(images, share=0.5, seed=0)
    survey = Survey(
        name=name,
        model=table,
        sensor=sensor,
        shape=model.input_shape,
        answer=_answer(model, torch.from_numpy(np.stack([*images.pixels[:SHOWN]]))),
        network=isinstance(model, Taps),
        period=_period(model),
        untrained=model.untrained,
        pixels=preprocessing_of(model),
        source=source,
        photographs=len(images.names),
    )
    survey, check = _with_room(survey, model, images)
    outlook = _outlook(check, images, survey)
    return FirstSuite(
        text=suite_text(survey, outlook),
        facts=facts(survey),
        decides=decides(survey, outlook),
        too_few=too_few(outlook),
    )


def _answer(model: Sees, pictures: torch.Tensor) -> AnswerKind:
    if model.untrained and isinstance(model, Differentiable):
        model.settle(pictures)
    return answer_kind(model.measure(pictures), (model.input_shape[1], model.input_shape[2]))


def _period(model: Sees) -> Pair | None:
    """In pixels of the picture; None where neither layers nor a graph tell it."""
    try:
        found = place(model, "output")
    except UsageError:
        return None
    return found["periods"] or (found["period"], found["period"])


def _with_room(survey: Survey, model: Sees, images: Images) -> tuple[Survey, CheckPlan]:
    """As many pairs as a picture has room for, and the suite's check. Raises InputError without room for one."""
    while True:
        suite = parse_suite(suite_text(survey), f"{survey.name}.perturb.toml")
        (check,) = plan(suite, model, images)
        try:
            _place(check.experiment, survey, images)
        except InputError:
            if survey.pairs == 1:
                raise
            survey = replace(survey, pairs=survey.pairs // 2)
        else:
            return survey, check


def _place(asked: ExperimentPlan, survey: Survey, images: Images) -> None:
    """Lay the objects of a run on every crop, at a period as long as it can be; without a scene they always fit."""
    if asked.scenes is None:
        return
    periods = asked.map.period or survey.period or LOOKED_FOR
    placed(
        images,
        anywhere(periods if isinstance(periods, int) else math.lcm(*periods)),
        extent=asked.task.extent,
        size=asked.task.size,
        pairs=asked.pairs,
        seed=asked.seed,
        purpose=asked.name,
        scenes=asked.scenes,
    )


def _outlook(check: CheckPlan, images: Images, survey: Survey) -> Outlook:
    """What the check can decide on these photographs."""
    photographs = len(images.names)
    _, judged = split_sizes(photographs, survey.calibration)
    supply = Supply(judged=judged, a_judged=photographs / judged, crops=len(images.pixels) / photographs)
    (found,) = outlooks((check,), supply, {})
    return found
