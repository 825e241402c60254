"""A pixel changed at many places of one picture: the incremental engine against dense recomputation and Captum."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, fx, nn

from benchmarks.timing import DEVICE, digits, fastest, interleaved, peak, table
from perturb.images import load_images
from perturb.incremental import Incremental, Patches
from perturb.incremental.products import Weights
from perturb.incremental.windows import Spans
from perturb.model import Network, load
from perturb.precision import full_float32

ROUNDS = 3
PLACES, SIZES = (128, (1, 4, 16)) if DEVICE == "cpu" else (2048, (32, 128, 512))
CHECKED = 8  # places that are compared with float64
LITE = "examples/efficientnet_lite0.py:build"


@dataclass(frozen=True)
class Case:
    reference: str
    patch: int = 1
    side: int = 224
    share: int = 4  # rivals compute 1 / share of the places, because each costs them the same

    @property
    def whole(self) -> int:
        return PLACES // self.share


CASES = (
    Case("torchvision:resnet18"),
    Case("torchvision:mobilenet_v2"),
    Case(LITE),
    Case("torchvision:resnet50"),
    Case("torchvision:densenet121"),
    Case("torchvision:shufflenet_v2_x1_0"),
    Case("torchvision:convnext_tiny"),
    Case("torchvision:mobilenet_v3_small"),
    Case("torchvision:swin_t"),
    Case("torchvision:vgg16", patch=16),
    Case("torchvision:resnet18", patch=16),
    Case("torchvision:resnet18", side=448),
    Case("torchvision:resnet18", side=896, share=16),
    Case("torchvision:resnet50", side=896, share=16),
)


class Work:
    """One picture, its places, and the same perturbation for every rival."""

    def __init__(self, case: Case, places: int = PLACES) -> None:
        model = load(case.reference, device=DEVICE)
        shape = (3, case.side, case.side)
        if case.side != 224:
            pre = replace(model.preprocessing, input_shape=shape)
            model = Network(model.module, name=model.name, preprocessing=pre, device=DEVICE)
        pictures = torch.from_numpy(
            np.asarray(load_images("built-in", shape=shape, crops=1).pixels[: 8 if case.side == 224 else 2])
        )
        if model.untrained:
            model.settle(pictures)
        rng = np.random.default_rng(0)
        self.case = case
        self.start = rng.integers(0, case.side - case.patch + 1, (places, 2))
        self.values = torch.full((places, 3, case.patch, case.patch), 0.5, device=DEVICE)
        self.engine = Incremental(model, "output")
        self.clean = self.engine.run_clean(pictures[:1])
        self.network: nn.Module = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format)

    def ours(self) -> Tensor:
        places = len(self.start)
        patches = Patches(picture=np.zeros(places, dtype=int), start=self.start, values=self.values)
        found = self.clean.output.new_zeros(places, *self.clean.output.shape[1:])
        self.clean.add(found, np.arange(places), patches)
        return found

    def plain(self, batch: int, count: int) -> Tensor:
        return self.dense(self.network, batch, torch.contiguous_format, count)

    def tuned(self, batch: int, count: int) -> Tensor:
        return self.dense(self.engine.evaluate, batch, torch.channels_last, count)

    def dense(self, network: Callable[[Tensor], Tensor], batch: int, layout: torch.memory_format, count: int) -> Tensor:
        parts = []
        patch = self.values.shape[-1]
        with torch.inference_mode(), full_float32():
            for first in range(0, count, batch):
                places = self.start[first : min(first + batch, count)]
                x = self.clean.x.repeat(len(places), 1, 1, 1).contiguous(memory_format=layout)
                for i, (row, column) in enumerate(places):
                    x[i, :, row : row + patch, column : column + patch] += self.values[0]
                parts.append(network(x))
        return torch.cat(parts)

    def feature_ablation(self, batch: int) -> object:
        """Captum's FeatureAblation at the first places; pixels outside of them stay."""
        from captum.attr import FeatureAblation

        patch = self.values.shape[-1]
        mask = torch.full((1, 1, *self.clean.x.shape[2:]), self.case.whole, dtype=torch.long)
        for i, (row, column) in enumerate(self.start[: self.case.whole]):
            mask[0, 0, row : row + patch, column : column + patch] = i
        x = self.clean.x.contiguous()
        with torch.inference_mode(), full_float32():
            return FeatureAblation(lambda given: self.network(given)[:, :1]).attribute(
                x, baselines=x + 0.5, feature_mask=mask.to(DEVICE), perturbations_per_eval=batch
            )

    def occlusion(self, batch: int) -> object:
        """Captum's Occlusion; its patches cover the picture, because its stride may not exceed the patch."""
        from captum.attr import Occlusion

        x = self.clean.x.contiguous()
        window = (x.shape[1], self.case.patch, self.case.patch)
        with torch.inference_mode(), full_float32():
            return Occlusion(lambda given: self.network(given)[:, :1]).attribute(
                x,
                window,
                strides=window,
                baselines=x + 0.5,
                perturbations_per_eval=batch,
            )


def row(case: Case, best: float) -> list[object]:
    work = Work(case)
    sizes = [
        fastest({b: (lambda b=b, form=form: form(b, case.whole // 2)) for b in SIZES})
        for form in (work.plain, work.tuned)
    ]
    rivals: dict[str, Callable[[], object]] = {
        "ours": work.ours,
        "plain": lambda: work.plain(sizes[0], case.whole),
        "tuned": lambda: work.tuned(sizes[1], case.whole),
    }
    with_captum = case.reference in ("torchvision:resnet18", "torchvision:mobilenet_v2") and case.side == 224
    if with_captum:
        rivals["FeatureAblation"] = lambda: work.feature_ablation(sizes[0])
    if with_captum and case.patch > 1:
        rivals["Occlusion"] = lambda: work.occlusion(sizes[0])
    places = {"ours": PLACES, "Occlusion": (case.side // case.patch) ** 2}
    seconds = {name: taken / places.get(name, case.whole) for name, taken in interleaved(rivals, ROUNDS).items()}
    clean = work.engine.evaluate(work.clean.x.double())
    wanted = work.dense(lambda x: work.engine.evaluate(x.double()), 4, torch.channels_last, CHECKED) - clean
    off = float((work.ours()[:CHECKED] - wanted).norm() / wanted.norm())
    spans = work.engine.spans(Patches(picture=np.zeros(PLACES, dtype=int), start=work.start, values=work.values))
    used = multiplications(work.engine, spans) / PLACES / seconds["ours"] / best
    name = case.reference.split(":")[-1] if case.reference != LITE else "efficientnet_lite0, trained"
    return [
        name,
        f"{case.side}, {case.patch} x {case.patch}",
        digits(seconds["ours"]),
        f"{digits(seconds['plain'])} ({sizes[0]})",
        f"{digits(seconds['tuned'])} ({sizes[1]})",
        f"**{seconds['plain'] / seconds['ours']:.2f} / {seconds['tuned'] / seconds['ours']:.2f}**",
        ", ".join(f"{seconds[name] / seconds['ours']:.2f} {name}" for name in seconds if name[0].isupper()),
        f"{used:.0%}",
        f"{off:.0e}",
    ]


def multiplications(engine: Incremental, spans: dict[fx.Node, Spans | None]) -> float:
    """Multiply-adds of convolutions and linear layers on feature maps, in the smallest windows."""
    total = 0.0
    for step in engine.traced.steps:
        weights, span = getattr(step.rule, "weights", None), spans[step.node]
        if isinstance(weights, Weights):
            area = PLACES * step.activation.area if span is None else int(span.areas.sum())
            total += weights.weight.numel() * area
    return total


def report() -> Iterator[str]:
    head = [
        "network",
        "picture, patch",
        "ours, ms a place",
        "plain (batch)",
        "tuned (batch)",
        "plain / ours, tuned / ours",
        "Captum / ours",
        "of peak",
        "error",
    ]
    best = peak()
    return table(head, (row(case, best) for case in CASES))
