"""Where a lattice comes from: the chain of maps, what each layer contributes, and the border beside it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from perturb.comparisons import Contrast, Estimate, Explanation, LayerShares, SampledLayer
from perturb.contribution.aliasing import samplings
from perturb.contribution.shares import Shares, shares_by_shape, shares_by_weights
from perturb.errors import UsageError
from perturb.protocols import Differentiable, Progress, quiet
from perturb.quantities.by_phase import losses
from perturb.records import Images, Window
from perturb.sensor import sensor_of
from perturb.stories.border import border_of
from perturb.stories.chain import JUDGING, ByPhase, between, links_of, maps_of, responses_of
from perturb.stories.experiment import Wanted
from perturb.stories.origin import origin_of
from perturb.stories.qualify import Context, examine
from perturb.suite import Suite

FEWEST = 4  # photographs: half of them choose, the others judge


def explain(
    model: Differentiable, images: Images, layer: str, *, suite: Suite | None = None, progress: Progress = quiet
) -> Explanation:
    """From the structure of `layer` to what is measured, on these pictures; `suite` adds detection, by its first check.

    Half of the photographs choose what is measured on the others. Raises UsageError for fewer than 4 pictures, behind a
    camera, and for a suite whose map has another period.
    """
    if len(images.pixels) < FEWEST:
        raise UsageError(f"explain: {len(images.pixels)} pictures are too few; expected {FEWEST} or more.")
    if sensor_of(model) is not None:
        raise UsageError("explain looks at the pixels of the network's own input; leave out --sensor.")
    pixels = np.asarray(images.pixels)
    maps = maps_of(model, pixels, layer, progress)
    structural_arms, own_arms = maps.structural_arms(), maps.own_arms()
    arms = structural_arms or own_arms
    responses = responses_of(model, pixels, layer, maps, arms, progress)
    detected = _detected(model, suite, maps.period, progress) if suite else None
    structural = maps.contrast(structural_arms, slice(None)) if structural_arms else None
    own = maps.contrast(own_arms, JUDGING) if own_arms else None
    if arms:
        seen = between(detected, arms) if detected is not None else None
        structural, own = _with(structural, own, response=responses.contrast(arms), detection=seen)
    compensation, border = _compensation(structural), border_of(model, layer, maps)
    origin, why = origin_of(structural, own, compensation, border)
    return Explanation(
        model=model.name,
        layer=layer,
        source=images.source,
        photographs=len(pixels),
        period=maps.period,
        origin=origin,
        why=why,
        structural=structural,
        own=own,
        compensation=compensation,
        links=links_of(maps, responses, detected),
        shares=_shares(model, layer, maps.structure.windows, progress),
        border=border,
    )


def _with(structural: Contrast | None, own: Contrast | None, **further: Any) -> tuple[Contrast | None, Contrast | None]:
    """Both, with what else was measured at the structural phases, or where there are none at the others."""
    if structural:
        return replace(structural, **further), own
    return None, replace(own, **further) if own else None


def _compensation(found: Contrast | None) -> Estimate | None:
    """What is gone of the structure's lattice: 0 nothing, 1 all, above 1 it is reversed, below 0 it is stronger."""
    if found is None:
        return None
    of = found.gradient
    value, high, low = (1 - each / found.structure for each in (of.value, of.low, of.high))
    return Estimate(value=value, low=low, high=high, n=of.n)


def _detected(model: Differentiable, suite: Suite, period: int, progress: Progress) -> ByPhase:
    """The share detected at each phase less that anywhere, of each photograph: by the suite's first check."""
    claim = suite.check[0].claim.model_copy(update={"quantity": "worst-phase"})
    check = suite.check[0].model_copy(update={"claim": claim})
    asked = suite.model_copy(update={"check": (check,)})
    (found,) = examine(model, asked, Context(wanted=Wanted(progress=progress))).measured.values()
    _, lost = losses(found.seen)
    own = found.conditions.locations[0].period
    if own != period:
        raise UsageError(f"the suite asks at phases of {own} pixels, and the maps repeat every {period}.")
    return np.asarray(-lost.T.reshape(-1, period, period))


def _shares(model: Differentiable, layer: str, windows: tuple[Window, ...], progress: Progress) -> LayerShares:
    tick = progress("layers", 2)
    shape = shares_by_shape(model, layer)
    tick(1)
    weights = shares_by_weights(model, layer)
    tick(1)
    return LayerShares(
        layers=tuple(_layers(model, layer, windows, shape, weights)),
        whole=(shape.whole, weights.whole),
        rest=(shape.rest, weights.rest),
        exact=(shape.exact, weights.exact),
    )


def _layers(
    model: Differentiable, layer: str, windows: tuple[Window, ...], shape: Shares, weights: Shares
) -> list[SampledLayer]:
    """The strided windows on the way to the layer, each module once."""
    certified = {window.name: window for window in windows if max(window.stride) > 1}
    sampled = {each.layer: each for each in samplings(model, layer)}
    return [
        SampledLayer(
            name=name,
            kernel=window.kernel,
            stride=window.stride,
            balanced=window.balanced,
            alias=sampled[name].alias if math.isfinite(sampled[name].alias) else None,
            left=sampled[name].left,
            by_shape=shape.by_layer.get(name, 0.0),
            by_weights=weights.by_layer[name],
        )
        for name, window in certified.items()
    ]
