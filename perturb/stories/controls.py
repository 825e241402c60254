"""The instrument proves itself in each run: it measures networks whose answer is known."""

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import hadamard
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
from perturb.streams import stream
from perturb.suite import MapTable, Suite
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Presence
from perturb.trials import design, identity, only

SIDE = 32  # of the corner that these small networks look at
CALIBRATION, JUDGED = 20, 60  # photographs at most, one crop each: seconds, however large the run
STRICT = 0.999  # of the interval of "no loss"
ALONE = "fails by itself in at most one run of 1,000"


def controls_of(suite: Suite, pictures: Pictures) -> tuple[Control, ...]:
    """What `suite` is proven by: networks that detect change, or classifiers where it has a [task]."""
    if suite.task is None:
        return prove(pictures, seed=suite.seed)
    return prove_classifier(pictures.judged, seed=suite.seed)


def prove(pictures: Pictures, *, seed: int) -> tuple[Control, ...]:
    """A strictly dead lattice (1 x 1 kernel, stride 2) and a balanced one (2 x 2, stride 2), by detecting change.

    The balanced one is judged twice: at random places, and at those that a map measured on calibration pictures calls
    dead and live. What such a map finds there is its own noise, so a loss would come from judging where one has chosen.
    """
    corners = Pictures(
        calibration=_corners(pictures.calibration, CALIBRATION, seed), judged=_corners(pictures.judged, JUDGED, seed)
    )
    return (*_strictly_dead(corners, seed), _balanced(corners, seed, "structural"), _balanced(corners, seed, "energy"))


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
    images = _corners(replace(judged, labels=None), JUDGED, seed)
    channels = images.pixels.shape[1]
    window = nn.Conv2d(channels, channels, kernel, stride=2, groups=channels, bias=False)
    nn.init.ones_(window.weight)
    module = nn.Sequential(window, nn.Flatten())
    model = Network(module, name=f"control-{kernel}", preprocessing=Preprocessing(input_shape=(channels, SIDE, SIDE)))
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


def _strictly_dead(corners: Pictures, seed: int) -> tuple[Control, Control]:
    """At the largest level, where each change at a live place is far above the noise, however few the photographs."""
    channels = corners.judged.pixels.shape[1]
    kernels = torch.randn(16, channels, 1, 1, generator=torch.Generator().manual_seed(seed))
    seen, effect = _measure(kernels, corners, pixel_plan("dead", seed=seed, pairs=4, level=1.0), confidence=0.95)
    alike = seen.evidence[..., DEAD] == seen.evidence[..., CLEAN]
    return (
        Control(
            name="chance at strictly dead pixels",
            expected="evidence at dead places is that of the clean twin, in every pair; never fails by itself",
            observed=f"{alike.mean():.0%} of {alike.size} pairs",
            passed=bool(alike.all()),
        ),
        Control(
            name="a planted loss is found",
            expected=f"1 x 1 kernel with stride 2: a loss above 0.25; {ALONE}",
            observed=f"loss {effect.value:.2f}",
            passed=effect.value > 0.25,
        ),
    )


def _balanced(corners: Pictures, seed: int, kind: str) -> Control:
    kernels = balanced_kernels(corners.judged.pixels.shape[1])
    plan = replace(pixel_plan("balanced", seed=seed, pairs=4), map=MapTable(kind=kind))
    _, effect = _measure(kernels, corners, plan, confidence=STRICT)
    return no_loss("on a balanced network" + (", at places of a measured map" if kind == "energy" else ""), effect)


def no_loss(where: str, effect: Effect) -> Control:
    """Whether the interval at STRICT contains 0, which it fails to do in one sound run of 1,000 at most."""
    return Control(
        name=f"no loss {where}",
        expected=f"the loss's interval contains 0; {ALONE}",
        observed=f"loss {effect.value:.2f} [{effect.low:.2f}, {effect.high:.2f}] at {STRICT:.1%}",
        passed=effect.low <= 0 <= effect.high,
    )


def balanced_kernels(channels: int) -> torch.Tensor:
    """2 x 2 kernels that a change of one pixel moves alike, whichever of the four it is; (16 or more, channels, 2, 2).

    Columns of Sylvester's Hadamard matrix, one for each channel and pixel. They are orthogonal, and to exchange pixels
    of the window only reorders their products: also under noise no pixel differs from another.
    """
    size = max(16, 2 ** (4 * channels - 1).bit_length())
    return torch.from_numpy(hadamard(size)[:, : 4 * channels]).float().reshape(size, channels, 2, 2)


def _measure(
    kernels: torch.Tensor, corners: Pictures, plan: ExperimentPlan, *, confidence: float
) -> tuple[Observation, Effect]:
    outputs, channels, side, _ = kernels.shape
    window = nn.Conv2d(channels, outputs, side, stride=2, bias=False)
    window.weight.data = kernels
    seen_by = Preprocessing(input_shape=(channels, SIDE, SIDE))
    model = Network(nn.Sequential(window), name=f"control-{side}", preprocessing=seen_by)
    found = measure(model, plan, corners, Wanted(engine="dense"), {})
    seen = found.measurement.seen
    return seen, ACCURACY_LOSS.effect(seen, found.contribution, confidence=confidence, seed=plan.seed)


def pixel_plan(name: str, *, seed: int, pairs: int, level: float | None = None) -> ExperimentPlan:
    """One changed pixel, at this level or the calibrated one, noticed in layer "0"."""
    return ExperimentPlan(
        name=name,
        evaluator_name="change",
        task=Presence(perturbation=Pixel(), level=1.0),
        evaluator=ChangeDetector(layer="0"),
        point=OperatingPoint(false_alarms=0.05, clean="absent", chance=0.5),
        training=Training(),
        level=level,
        live_target=0.85,
        pairs=pairs,
        flips=False,
        map=MapTable(kind="structural"),
        map_layer="0",
        seed=seed,
    )


def _corners(images: Images, most: int, seed: int) -> Images:
    """A corner of the first crop of the first photographs, each moved around a torus and mirrored at random.

    Then any place is as likely to show any part of the corner: what pictures have at every second or eighth pixel (a
    screen, a mosaic, the blocks of a JPEG) is no loss on a balanced network, however many pictures there are.
    """
    _, first = np.unique(images.photograph, return_index=True)
    images = only(images, first[:most])
    repeats = [-(-SIDE // n) for n in images.pixels.shape[2:]]
    tiled = np.tile(images.pixels, (1, 1, *repeats))[:, :, :SIDE, :SIDE]
    moved = [_moved(corner, stream(seed, f"control/{identity(images, i)}")) for i, corner in enumerate(tiled)]
    return replace(images, pixels=np.stack(moved), spots=None, cut=None, region=None, objects=None)


def _moved(corner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rolled = np.roll(corner, rng.integers(SIDE, size=2), (1, 2))
    rows, columns = 1 - 2 * rng.integers(2, size=2)
    return np.ascontiguousarray(rolled[:, ::rows, ::columns])
