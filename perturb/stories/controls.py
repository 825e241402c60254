"""The instrument proves itself in each run: it measures networks whose answer is known."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from perturb.blocks import Block
from perturb.contribution import structural
from perturb.evaluators.change import ChangeDetector
from perturb.evaluators.label import Label
from perturb.locations import choose
from perturb.looking import Look
from perturb.model import Network, Preprocessing
from perturb.observe import Experimenter, observe
from perturb.perturbations.patches import Pixel
from perturb.plan import ExperimentPlan, Training
from perturb.quantities.detection import ACCURACY_LOSS
from perturb.records import CLEAN, DEAD, LIVE, Control, Effect, Images, Observation, OperatingPoint, Pictures
from perturb.stories.experiment import Wanted, measure
from perturb.suite import MapTable
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Presence
from perturb.trials import design, only

SIDE = 64  # of the corner that these small networks look at
PHOTOGRAPHS = 24  # of each set, at most
STRICT = 0.999  # a thousand sound runs give one false "loss on a balanced network"


def prove(pictures: Pictures, *, seed: int) -> tuple[Control, ...]:
    """A strictly dead lattice (1 x 1 kernel, stride 2) and a balanced one (2 x 2, stride 2), by detecting change."""
    return (*_strictly_dead(pictures, seed), _balanced(pictures, seed))


def prove_classifier(judged: Images, *, seed: int) -> tuple[Control, Control]:
    """The same two lattices as classifiers, their outputs all that the window gives: what one pixel changes in them.

    Each sums one channel, so that the balanced window answers alike at all places, whichever way a value moves.
    """
    blind, even = (_changes(kernel, judged, seed) for kernel in (1, 2))
    untouched, seen = float((blind[..., DEAD] == 0).mean()), float((blind[..., LIVE] > 0).mean())
    dead, live = (float(even[..., arm].mean()) for arm in (DEAD, LIVE))
    return (
        Control(
            name="no change at strictly dead pixels",
            expected="1 x 1 kernel with stride 2: scores change at no dead place, and at every live one",
            observed=f"changed at {1 - untouched:.0%} of dead, {seen:.0%} of live places; {blind[..., 0].size} pairs",
            passed=untouched == seen == 1,
        ),
        Control(
            name="no difference on a balanced network",
            expected="2 x 2 kernel with stride 2: the same squared change at dead and live places",
            observed=f"{dead:.6g} and {live:.6g}",
            passed=live > 0 and abs(live - dead) <= 1e-3 * live,
        ),
    )


def _changes(kernel: int, judged: Images, seed: int) -> np.ndarray:
    """The squared change of the scores by seed, level, image, pair and arm."""
    repeats = -(-SIDE // min(judged.pixels.shape[2:]))
    images = _corner(replace(judged, pixels=np.tile(judged.pixels, (1, 1, repeats, repeats)), labels=None))
    channels, *_ = shape = images.pixels.shape[1:]
    window = nn.Conv2d(channels, channels, kernel, stride=2, groups=channels, bias=False)
    nn.init.ones_(window.weight)
    module = nn.Sequential(window, nn.Flatten())
    model = Network(module, name=f"control-{kernel}", preprocessing=Preprocessing(input_shape=shape))
    trials = design(images, choose(structural(model, "0"), seed=seed), size=1, pairs=4, seed=seed, purpose="control")
    by = Experimenter(
        look=Look(model=model, layer="output"),
        evaluator=Label(),
        task=Labels(perturbation=Pixel(), level=0.5, outputs=1),
        levels=(0.5,),
        point=OperatingPoint(false_alarms=None, clean="right", chance=0.0),
        threshold=0.0,
    )
    return observe(Block(images=images, trials=trials), by).measures["squared-change"]


def _strictly_dead(pictures: Pictures, seed: int) -> tuple[Control, Control]:
    seen, effect = _measure(1, pictures, seed, confidence=0.95)
    alike = seen.evidence[..., DEAD] == seen.evidence[..., CLEAN]
    return (
        Control(
            name="chance at strictly dead pixels",
            expected="evidence at dead places is that of the clean twin, in every pair",
            observed=f"{alike.mean():.0%} of {alike.size} pairs",
            passed=bool(alike.all()),
        ),
        Control(
            name="a planted loss is found",
            expected="1 x 1 kernel with stride 2: a loss above 0.25",
            observed=f"loss {effect.value:.2f}",
            passed=effect.value > 0.25,
        ),
    )


def _balanced(pictures: Pictures, seed: int) -> Control:
    _, effect = _measure(2, pictures, seed, confidence=STRICT)
    return Control(
        name="no loss on a balanced network",
        expected="2 x 2 kernel with stride 2: the loss's interval contains 0",
        observed=f"loss {effect.value:.2f} [{effect.low:.2f}, {effect.high:.2f}] at {STRICT:.1%}",
        passed=effect.low <= 0 <= effect.high,
    )


def _measure(kernel: int, pictures: Pictures, seed: int, *, confidence: float) -> tuple[Observation, Effect]:
    corners = Pictures(calibration=_corner(pictures.calibration), judged=_corner(pictures.judged))
    shape = corners.judged.pixels.shape[1:]
    window = nn.Conv2d(shape[0], 16, kernel, stride=2, bias=False)
    window.weight.data = torch.randn(window.weight.shape, generator=torch.Generator().manual_seed(seed))
    model = Network(nn.Sequential(window), name=f"control-{kernel}", preprocessing=Preprocessing(input_shape=shape))
    found = measure(model, pixel_plan(model.name, seed=seed, pairs=4), corners, Wanted(), {})
    seen = found.measurement.seen
    return seen, ACCURACY_LOSS.effect(seen, found.contribution, confidence=confidence, seed=seed)


def pixel_plan(name: str, *, seed: int, pairs: int) -> ExperimentPlan:
    """One changed pixel, at the calibrated level, noticed in layer "0"."""
    return ExperimentPlan(
        name=name,
        evaluator_name="change",
        task=Presence(perturbation=Pixel(), level=1.0),
        evaluator=ChangeDetector(layer="0"),
        point=OperatingPoint(false_alarms=0.05, clean="absent", chance=0.5),
        training=Training(),
        level=None,
        live_target=0.85,
        pairs=pairs,
        flips=False,
        map=MapTable(kind="structural"),
        map_layer="0",
        seed=seed,
    )


def _corner(images: Images) -> Images:
    """The corners of the first photographs: as many as the proof takes, so that its time does not grow with the run."""
    images = only(images, images.photograph < PHOTOGRAPHS)
    return replace(images, pixels=images.pixels[:, :, :SIDE, :SIDE], spots=None, cut=None, region=None, objects=None)
