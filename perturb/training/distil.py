"""Fine-tuning by distillation: a remedied copy keeps the network's answers and learns to respond alike at each phase.

With kept weights the copy is the network, so matching answers alone teaches nothing. It also learns how strongly the
network responds to a changed pixel when the picture is moved by a random number of pixels. The copy sees the picture
unmoved and cannot know the move, so the best that it can learn is the network's mean response over all phases.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from perturb.errors import InputError
from perturb.hooks import Hook, hooked
from perturb.protocols import Differentiable, Tick, silent
from perturb.records import Images
from perturb.streams import stream
from perturb.surroundings import unchanged
from perturb.training.checkpoint import Trained, resume, save

DEEPEST = 8  # stride of the deepest map whose responses are made alike: beyond it, one pixel hardly shows
SPARSE = 4  # changed pixels lie this many periods apart, so that responses hardly overlap
NOISE = 0.01  # sensor noise, a fraction of the pixel range, in whose variances responses are counted
FAINTEST = 0.3  # change of a pixel, a fraction of the range; the strongest is 1
EVEN = 1.0  # weight of the responses beside the answers
NUDGE = 0.01  # of a layer's weights, given to those that are 0: a response of 0 has no slope
MOMENTUM = 0.9
SAVED = 20  # steps from one checkpoint to the next

Pictures = Float[Tensor, "picture channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The budget of a fine-tuning, which is the whole of it: nothing is chosen by its outcome."""

    steps: int = 150
    batch: int = 4  # pictures of a step
    rate: float = 5e-4  # of the first step, a share of each filter's norm; it falls to 0 along half a cosine
    seed: int = 0


def distil(
    student: nn.Module,
    teacher: Differentiable,
    images: Images,
    tuning: Tuning,
    *,
    keep: Path | None = None,
    tick: Tick = silent,
) -> float:
    """Train the resized kernels of `student` in place, in evaluation mode; the loss of the last step.

    Those are the kernels whose maps have a stride of DEEPEST at the most. All else stays, normalisation too. Where a
    remedy resizes none of them, all weights learn. The loss, for a step's pictures x, and for x + d, the same with a
    few pixels changed, is the sum of
    - answers: |S(x) - T(x)|^2 / var T(x), the mean over the output and the last map of each stride up to DEEPEST
      (Hinton et al. 2015; Romero et al. 2015). Where pictures have labels, cross-entropy replaces the output's part.
    - responses: EVEN times the mean square of log r(S, x, d) - log r(T, x', d'). r is 1 plus the energy
      |F(x + d) - F(x)|^2 around a changed pixel in a map F, in variances of sensor noise. x' and d' are x and d moved
      by a random number of rows and columns within the period. Kindred: Srinivas and Fleuret (2018) match Jacobians.
    `keep` is a folder for checkpoints: an interrupted training goes on from there, to the same weights. Raises
    InputError for a network without strided maps, for pictures that are too small, and if the loss is not finite.
    """
    at = _Stages.of(teacher, images)
    learning = _learning(student, teacher)
    _nudge(learning, tuning.seed)
    optimiser = torch.optim.SGD(learning, tuning.rate, momentum=MOMENTUM)
    path = keep / f"{_key(student, teacher, images, tuning)}.safetensors" if keep else None
    done = resume(path, student, optimiser) if path and path.exists() else Trained()
    tick(done.epochs)
    while done.epochs < tuning.steps:
        for group in optimiser.param_groups:
            group["lr"] = tuning.rate * (1 + math.cos(math.pi * done.epochs / tuning.steps)) / 2
        rng = stream(tuning.seed, f"distil/{done.epochs}")
        with unchanged(), torch.enable_grad():
            loss = _loss(student, teacher, at, _Lesson.drawn(images, at, tuning.batch, rng))
            optimiser.zero_grad()
            loss.backward()
            _scale(learning)
            optimiser.step()
        done.loss = loss.item()
        if not math.isfinite(done.loss):
            if not done.epochs:
                raise InputError(f"{teacher.name}: the loss is not finite before anything is learnt; are its answers?")
            raise InputError(f"training diverged in step {done.epochs + 1}: try a lower learning rate.")
        done.epochs += 1
        tick(1, f"loss {done.loss:.3f}")
        if path and done.epochs % SAVED == 0:
            save(path, student, optimiser, done)
    student.requires_grad_(False)
    return done.loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stages:
    """The maps whose responses are made alike, and where pixels are changed."""

    strides: dict[str, int]  # by layer, ascending
    cells: tuple[int, int]  # rows and columns of cells with a changed pixel in each
    variances: dict[str, Tensor]  # by layer, of each channel under sensor noise

    @classmethod
    def of(cls, network: Differentiable, images: Images) -> "_Stages":
        known = sorted({network.stride_of(name) for name in network.feature_maps})
        strides = {network.find_layer(f"stride:{s}"): s for s in known if 1 < s <= DEEPEST}
        if not strides:
            raise InputError(f"{network.name} has no feature map of a stride from 2 to {DEEPEST} to learn from.")
        period = max(strides.values())
        rows, columns = ((n - period) // (SPARSE * period) for n in network.input_shape[1:])
        if not (rows and columns):
            raise InputError(f"{network.name}: pictures of {network.input_shape[1:]} are too small to learn from.")
        return cls(strides=strides, cells=(rows, columns), variances=_variances(network, strides, images))

    @property
    def period(self) -> int:
        return max(self.strides.values())

    @property
    def side(self) -> int:
        """Of a cell, in pixels."""
        return SPARSE * self.period


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesson:
    """The pictures of a step."""

    clean: Pictures
    changed: Pictures
    move: tuple[int, int]  # rows and columns, within the period
    labels: Tensor | None

    @classmethod
    def drawn(cls, images: Images, at: _Stages, batch: int, rng: np.random.Generator) -> "_Lesson":
        chosen = rng.choice(len(images.pixels), batch, replace=len(images.pixels) < batch)
        clean = np.stack([images.pixels[int(i)] for i in chosen])
        changed = clean.copy()
        for picture in changed:
            _change(picture, at, rng)
        labels = None if images.labels is None else torch.from_numpy(images.labels[images.photograph[chosen]])
        rows, columns = rng.integers(at.period, size=2)
        return cls(
            clean=torch.from_numpy(clean),
            changed=torch.from_numpy(changed),
            move=(int(rows), int(columns)),
            labels=labels,
        )

    def moved(self, pictures: Pictures) -> Pictures:
        return pictures.roll(self.move, (2, 3))


def _change(picture: np.ndarray, at: _Stages, rng: np.random.Generator) -> None:
    """Change one pixel in the middle of each cell, at a random phase, away from the nearer end of the range."""
    first = (at.side - at.period) // 2
    for cell in np.ndindex(at.cells):
        row, column = (at.side * i + first + int(rng.integers(at.period)) for i in cell)
        pixel = picture[:, row, column]
        pixel += np.where(pixel > 0.5, -1, 1) * np.float32(rng.uniform(FAINTEST, 1))
    np.clip(picture, 0, 1, out=picture)


def _loss(student: nn.Module, teacher: Differentiable, at: _Stages, lesson: _Lesson) -> Tensor:
    shown = (lesson.clean, lesson.moved(lesson.clean), lesson.moved(lesson.changed))
    with torch.no_grad():
        answers, maps = _run(teacher.module, teacher, at.strides, shown)
    own, learnt = _run(student, teacher, at.strides, (lesson.clean, lesson.changed))
    apart, uneven = list(_answer_losses(own, answers, lesson)), []
    for layer, stride in at.strides.items():
        clean, changed = learnt[layer]
        plain, moved, both = maps[layer]
        variance = at.variances[layer]
        apart.append(_apart(clean, plain))
        found = _responses((changed - clean).square() / variance, at, stride, (0, 0))
        wanted = _responses((both - moved).square() / variance, at, stride, lesson.move)
        uneven.append(F.mse_loss(found, wanted))
    return torch.stack(apart).mean() + EVEN * torch.stack(uneven).mean()


def _answer_losses(own: object, wanted: object, lesson: _Lesson) -> Iterator[Tensor]:
    """Of the output, where it is one tensor; boxes and the like are kept by the maps that they are made of."""
    if isinstance(own, Tensor) and isinstance(wanted, Tensor):
        own, wanted = own[: len(lesson.clean)], wanted[: len(lesson.clean)]
        yield _apart(own, wanted) if lesson.labels is None else F.cross_entropy(own, lesson.labels.to(own.device))


def _apart(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().mean() / wanted.var().clamp_min(1e-12)


def _responses(energy: Tensor, at: _Stages, stride: int, move: tuple[int, int]) -> Float[Tensor, "picture row column"]:
    """log(1 + energy) of each cell, the mean over channels summed over the cell's positions."""
    rows, columns = (
        _in_cells(count, stride, at.side, first, cells).to(energy)
        for count, first, cells in zip(energy.shape[2:], move, at.cells, strict=True)
    )
    return torch.einsum("ir,nrc,jc->nij", rows, energy.mean(1), columns).log1p()


def _in_cells(count: int, stride: int, side: int, first: int, cells: int) -> Float[Tensor, "cell position"]:
    """1 where the centre of a position lies in a cell; the cells begin at pixel `first`."""
    owner = torch.div((torch.arange(count) + 0.5) * stride - first, side, rounding_mode="floor")
    return (owner == torch.arange(cells)[:, None]).float()


def _run(
    module: nn.Module, network: Differentiable, layers: Iterable[str], shown: Sequence[Pictures]
) -> tuple[object, dict[str, tuple[Tensor, ...]]]:
    """The output for all pictures in one pass, and each layer's maps, split into what was shown."""
    maps: dict[str, Tensor] = {}

    def note(layer: str) -> Hook:
        return lambda part, args, found: maps.__setitem__(layer, found)

    with hooked(module, layers, note):
        output = module(network.normalise(torch.cat(tuple(shown))))
    return output, {layer: found.split(len(shown[0])) for layer, found in maps.items()}


def _variances(network: Differentiable, layers: Iterable[str], images: Images) -> dict[str, Tensor]:
    """The variance of each channel under sensor noise, over a few pictures; at least a hundredth of the mean one."""
    few = np.linspace(0, len(images.pixels) - 1, 8).astype(int)
    clean = torch.from_numpy(np.stack([images.pixels[int(i)] for i in few]))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * NOISE
    with torch.no_grad():
        _, maps = _run(network.module, network, layers, (clean, clean + noise))
    found = {name: (noisy - plain).square().mean((0, 2, 3), keepdim=True) for name, (plain, noisy) in maps.items()}
    return {name: variance.clamp_min(variance.mean().item() / 100) for name, variance in found.items()}


def _learning(student: nn.Module, teacher: Differentiable) -> list[nn.Parameter]:
    """The weights that learn, alone with a gradient: of resized kernels up to DEEPEST, or all where there are none."""
    before = {name: weight.shape for name, weight in teacher.module.named_parameters()}
    early = {f"{name}.weight" for name in teacher.feature_maps if teacher.stride_of(name) <= DEEPEST}
    student.eval().requires_grad_(False)
    weights = dict(student.named_parameters())
    resized = [weight for name, weight in weights.items() if name in early and weight.shape != before[name]]
    learning = resized or list(weights.values())
    for weight in learning:
        weight.requires_grad_(True)
    return learning


def _nudge(weights: Sequence[nn.Parameter], seed: int) -> None:
    """Give weights that are exactly 0 small random values, but for filters that are 0 throughout."""
    generator = torch.Generator().manual_seed(int(stream(seed, "distil/nudge").integers(2**62)))
    for weight in weights:
        drawn = torch.randn(weight.shape, generator=generator).to(weight)
        spread = _by_filter(weight.data) / weight[0].numel() ** 0.5
        weight.data += (weight.data == 0) * drawn * NUDGE * spread


def _scale(weights: Sequence[nn.Parameter]) -> None:
    """Give each filter's gradient the norm of its weights, so that one rate fits all; after LARS (You et al. 2017)."""
    for weight in weights:
        if weight.grad is not None:
            weight.grad *= _by_filter(weight.data) / _by_filter(weight.grad).clamp_min(1e-12)


def _by_filter(values: Tensor) -> Tensor:
    """The norm of each filter, which is a part along the first axis."""
    return values.flatten(1).norm(dim=1).view(-1, *[1] * (values.ndim - 1)) if values.ndim > 1 else values.abs()


def _key(student: nn.Module, teacher: Differentiable, images: Images, tuning: Tuning) -> str:
    """A digest of 16 digits of everything that determines the result."""
    network = f"{teacher.digest} {teacher.input_shape} {student}"
    labels = None if images.labels is None else images.labels.tolist()
    told = f"{network} {images.digests} {images.pixels.shape} {labels} {tuning!r}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]
