"""Metamorphic relations: what must hold of a model whatever it has learnt. Each gives a Control, `passed` or not.

For property tests: `assert relations.level_zero(model, case).passed`, with cases from `perturb.strategies`.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from perturb.answers import tensor_of
from perturb.contribution import Options, energy
from perturb.counterexample import Case
from perturb.errors import InputError
from perturb.locations import fold
from perturb.model import Network
from perturb.protocols import Asked, Evaluator
from perturb.records import Control
from perturb.stats.conformal import pin_threshold
from perturb.streams import stream

Pictures = Float[np.ndarray, "image channel row column"]
NEAR = 1.5  # evidence that differs by less than this factor may fall on either side of a threshold: borders differ


def level_zero(model: Network, case: Case, layer: str = "output") -> Control:
    """A perturbation of level 0 changes no output, not even by rounding."""
    changed = case.perturbation.apply(case.picture, case.dead, 0.0, stream(case.seed, "relations/texture"))
    before, after = _measured(model, np.stack([case.picture, changed]), layer)
    largest = float((after - before).abs().max())
    return Control(
        name="level 0 changes nothing",
        expected="the same output, bit for bit",
        observed=f"a change of {largest:.3g}",
        passed=largest == 0,
    )


def batches(model: Network, pictures: Pictures, layer: str = "output", *, tolerance: float = 1e-4) -> Control:
    """Neither the order nor the number of pictures in a batch changes what the model gives to each; in units of the
    largest output. Raises InputError below two pictures.
    """
    if len(pictures) < 2:
        raise InputError(f"`pictures` (n = {len(pictures)}): a batch needs at least 2.")
    together = _measured(model, pictures, layer)
    alone = torch.cat([_measured(model, pictures[i : i + 1], layer) for i in range(len(pictures))])
    backward = _measured(model, pictures[::-1].copy(), layer).flip(0)
    largest = max(float((other - together).abs().max()) for other in (alone, backward))
    scale = float(together.abs().max()) or 1.0
    return Control(
        name="batch order and size change nothing",
        expected=f"changes of at most {tolerance:g} of the largest output",
        observed=f"{largest / scale:.3g}",
        passed=largest <= tolerance * scale,
    )


def shift(model: Network, evaluator: Evaluator, case: Case, period: int, *, false_alarms: float = 0.05) -> Control:
    """Moving the camera by a whole period of rows and columns leaves detection at the live place as it is.

    The picture is mirrored where the camera leaves it; sensor noise moves with it. Raises ValueError where the place
    leaves the picture.
    """
    takes = _takes(case, evaluator, period)
    rows, columns = case.picture.shape[1:]
    one = np.zeros(1, dtype=int)
    size = case.perturbation.size
    extent = getattr(case.perturbation, "extent", (size, size))
    asked = Asked(
        place=np.array([case.live]), extent=extent, shape=(rows, columns), truth=one, twin=one, sensor=model.sensor
    )
    seen = []
    for at in (0, period):
        views = np.ascontiguousarray(takes[:, :, at : at + rows, at : at + columns])
        outputs = _measured(model, views, evaluator.layer)
        known, clean = evaluator.study(outputs[:-1])
        threshold = float(pin_threshold(clean.double().cpu().numpy(), false_alarms))
        seen.append(float(evaluator.evidence(outputs[-1:], asked, known)[0]) / threshold)
    return Control(
        name="a shift by the period leaves detection as it is",
        expected="evidence on the same side of its threshold",
        observed=f"evidence / threshold {seen[0]:.3g}, shifted {seen[1]:.3g}",
        passed=(seen[0] > 1) == (seen[1] > 1) or max(seen) < NEAR * min(seen),
    )


def _takes(case: Case, evaluator: Evaluator, beyond: int) -> Float[np.ndarray, "take channel row column"]:
    """Shots of a scene larger by `beyond`, the last of them with the perturbation at the live place."""
    rng = stream(case.seed, "relations/shift")
    scene = np.pad(case.picture, ((0, 0), (0, beyond), (0, beyond)), mode="reflect")
    changed = case.perturbation.apply(scene, case.live, case.level, rng)
    takes = np.stack([scene] * evaluator.shots + [changed])
    grain = rng.standard_normal(takes.shape, dtype=np.float32) * np.float32(evaluator.noise)
    return np.clip(takes + grain, 0, 1)


def flip(model: Network, pictures: Pictures, layer: str = "output", *, tolerance: float = 1e-3) -> Control:
    """In a mirror the phases of the energy map change places and nothing else: column c becomes (W - 1 - c) mod T.

    Holds for every network, so it is the instrument and the model's wrapper that are tried.
    """
    mirrored = model.with_module(nn.Sequential(_Mirror(), model.module))
    there = fold(energy(model, pictures, layer, Options(probes=2)))
    inside = layer if layer == "output" else f"1.{layer}"
    back = fold(energy(mirrored, np.ascontiguousarray(pictures[..., ::-1]), inside, Options(probes=2)))
    columns = (pictures.shape[3] - 1 - np.arange(len(there))) % len(there)
    largest = float(np.abs(back[:, columns] - there).max() / there.max())
    return Control(
        name="a mirror permutes the phases",
        expected=f"changes of at most {tolerance:g} of the liveliest phase",
        observed=f"{largest:.3g}",
        passed=largest <= tolerance,
    )


def _measured(model: Network, pictures: Pictures, layer: str) -> Tensor:
    return tensor_of(model.measure(torch.from_numpy(pictures), layer), "a tensor")


class _Mirror(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(3)
