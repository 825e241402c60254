"""The instrument proves itself in each run: networks whose answer is known, by change detection or as classifiers."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from perturb.contribution import structural
from perturb.detectors import Reference
from perturb.locations import choose
from perturb.measures import squared_change
from perturb.model import Network, Preprocessing
from perturb.perturbation import Pixel
from perturb.protocols import silent
from perturb.quantities import accuracy_loss
from perturb.records import Control, Effect, Images, Outcomes, Responses
from perturb.responses import respond
from perturb.stories.experiment import Protocol, run
from perturb.tasks import Labels
from perturb.trials import design

SIDE = 64  # of the corner that these small networks look at
STRICT = 0.999  # a thousand sound runs give one false "loss on a balanced network"


def prove(calibration: Images, judged: Images, *, seed: int) -> tuple[Control, ...]:
    """A strictly dead lattice (1 x 1 kernel, stride 2) and a balanced one (2 x 2, stride 2), each by reference."""
    return (*_strictly_dead(calibration, judged, seed), _balanced(calibration, judged, seed))


def prove_classifier(judged: Images, *, seed: int) -> tuple[Control, Control]:
    """The same two lattices as classifiers, their outputs all that the window gives: what one pixel changes in them.

    Each sums one channel, so that the balanced window answers alike at all places, whichever way a value moves.
    """
    blind, even = (_responses(kernel, judged, seed) for kernel in (1, 2))
    untouched = float((blind.dead == blind.clean[:, :, None]).all(-1).mean())
    seen = float((blind.live != blind.clean[:, :, None]).any(-1).mean())
    dead, live = (float(squared_change(even, arm).mean()) for arm in ("dead", "live"))
    return (
        Control(
            name="no change at strictly dead pixels",
            expected="1 x 1 kernel with stride 2: scores change at no dead place, and at every live one",
            observed=f"changed at {1 - untouched:.0%} of dead and {seen:.0%} of live places, {blind.truth.size} pairs",
            passed=untouched == seen == 1,
        ),
        Control(
            name="no difference on a balanced network",
            expected="2 x 2 kernel with stride 2: the same squared change at dead and live places",
            observed=f"{dead:.6g} and {live:.6g}",
            passed=live > 0 and abs(live - dead) <= 1e-3 * live,
        ),
    )


def _responses(kernel: int, judged: Images, seed: int) -> Responses:
    repeats = -(-SIDE // min(judged.pixels.shape[2:]))
    images = _corner(replace(judged, pixels=np.tile(judged.pixels, (1, 1, repeats, repeats))))
    channels, *_ = shape = images.pixels.shape[1:]
    window = nn.Conv2d(channels, channels, kernel, stride=2, groups=channels, bias=False)
    nn.init.ones_(window.weight)
    model = Network(nn.Sequential(window), name=f"control-{kernel}", preprocessing=Preprocessing(input_shape=shape))
    trials = design(images, choose(structural(model, "0"), seed=seed), size=1, pairs=4, seed=seed, purpose="control")
    task = Labels(perturbation=Pixel(), level=0.5, outputs=1)
    return respond(lambda clean: model.measure, task, images, None, trials, bound=None, tick=silent)


def _strictly_dead(calibration: Images, judged: Images, seed: int) -> tuple[Control, Control]:
    outcomes, effect = _measure(1, calibration, judged, seed, confidence=0.95)
    untouched = float((outcomes.dead == outcomes.clean).mean())
    return (
        Control(
            name="chance at strictly dead pixels",
            expected="evidence at dead places is that of the clean twin, in every pair",
            observed=f"{untouched:.0%} of {outcomes.dead.size} pairs",
            passed=untouched == 1,
        ),
        Control(
            name="a planted loss is found",
            expected="1 x 1 kernel with stride 2: the loss's interval lies above 0.25",
            observed=f"loss {effect.value:.2f} [{effect.low:.2f}, {effect.high:.2f}]",
            passed=effect.low > 0.25,
        ),
    )


def _balanced(calibration: Images, judged: Images, seed: int) -> Control:
    _, effect = _measure(2, calibration, judged, seed, confidence=STRICT)
    return Control(
        name="no loss on a balanced network",
        expected="2 x 2 kernel with stride 2: the loss's interval contains 0",
        observed=f"loss {effect.value:.2f} [{effect.low:.2f}, {effect.high:.2f}] at {STRICT:.1%}",
        passed=effect.low <= 0 <= effect.high,
    )


def _measure(
    kernel: int, calibration: Images, judged: Images, seed: int, *, confidence: float
) -> tuple[Outcomes, Effect]:
    calibration, judged = _corner(calibration), _corner(judged)
    shape = calibration.pixels.shape[1:]
    generator = torch.Generator().manual_seed(seed)
    window = nn.Conv2d(shape[0], 16, kernel, stride=2, bias=False)
    window.weight.data = torch.randn(window.weight.shape, generator=generator)
    model = Network(nn.Sequential(window), name=f"control-{kernel}", preprocessing=Preprocessing(input_shape=shape))
    contribution = structural(model, "0")
    protocol = Protocol(
        name=f"control-{kernel}",
        perturbation=Pixel(),
        detector=Reference(layer="0"),
        level=None,
        live_target=0.85,
        false_alarms=0.05,
        pairs=4,
        seed=seed,
    )
    outcomes, _ = run(model, protocol, choose(contribution, seed=seed), calibration, judged)
    return outcomes, accuracy_loss(outcomes, contribution, confidence=confidence, seed=seed)


def _corner(images: Images) -> Images:
    return Images(
        pixels=images.pixels[:, :, :SIDE, :SIDE],
        photograph=images.photograph,
        names=images.names,
        source=images.source,
    )
