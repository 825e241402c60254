"""The instrument proves itself in each run: networks whose answer is known, measured as the user's model is."""

import torch
from torch import nn

from perturb.contribution import structural
from perturb.detectors import Reference
from perturb.locations import choose
from perturb.model import Network, Preprocessing
from perturb.perturbation import Pixel
from perturb.quantities import accuracy_loss
from perturb.records import Control, Effect, Images, Outcomes
from perturb.stories.experiment import Protocol, run

SIDE = 64  # of the corner that these small networks look at
STRICT = 0.999  # a thousand sound runs give one false "loss on a balanced network"


def prove(calibration: Images, judged: Images, *, seed: int) -> tuple[Control, ...]:
    """A strictly dead lattice (1 x 1 kernel, stride 2) and a balanced one (2 x 2, stride 2), each by reference."""
    return (*_strictly_dead(calibration, judged, seed), _balanced(calibration, judged, seed))


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
