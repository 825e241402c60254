"""Networks that fail for a cause that is known by construction; how often each is named right.

uv run python tests/planted.py [SEEDS [NAME...]]    a Markdown table: failed, and named right, of so many seeds (100)
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from toys import network

from perturb.plan import pictures_for
from perturb.records import Cause
from perturb.stories.qualify import Bench, Context, qualify
from perturb.suite import parse_suite

SIDE = 48


def conv(
    kernel: int, seed: int, weaken: Callable[[torch.Tensor], None] | None = None, *, padding: int = 0
) -> nn.Sequential:
    """Stride 2, 16 channels, weights drawn by seed; `weaken` changes them."""
    layer = nn.Conv2d(3, 16, kernel, 2, padding, bias=False)
    layer.weight.data = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed))
    if weaken:
        weaken(layer.weight.data)
    return nn.Sequential(layer)


def corner(weight: torch.Tensor) -> None:
    """Of a 2 x 2 kernel at stride 2 one phase is as good as gone, which the architecture cannot tell."""
    weight[:, :, 1, 1] *= 0.02


def all_corners(weight: torch.Tensor) -> None:
    """Of a 3 x 3 kernel at stride 2 the phase that the architecture reads most often."""
    weight[:, :, ::2, ::2] *= 0.01


class Vignette(nn.Module):
    """Fixed factors: what lies near the edge counts little, whatever its phase."""

    def __init__(self, width: int) -> None:
        super().__init__()
        mask = torch.full((1, 1, SIDE, SIDE), 0.1)
        mask[..., width:-width, width:-width] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask


class Middle(nn.Module):
    """Takes the middle of the picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., 11:-11, 11:-11]


@dataclass(frozen=True)
class Planted:
    """A network by seed, the claim that it breaks, and why."""

    make: Callable[[int], nn.Module]
    cause: str
    claim: str = 'quantity = "accuracy-loss", at_most = 0.2'
    level: float = 0.15


FAINT_LOSS = 'quantity = "accuracy-loss", at_most = 0.05'
FAINT = 0.1  # a stronger pixel is seen at every phase of a 3 x 3 kernel
MISSES = 'quantity = "miss-rate", at_most = 0.2'
WORST = 'quantity = "worst-phase", at_most = 0.05'
PLANTED = {
    "3 x 3": Planted(lambda seed: conv(3, seed, padding=1), "structural", FAINT_LOSS, FAINT),
    "3 x 3, worst phase": Planted(lambda seed: conv(3, seed, padding=1), "structural", WORST, FAINT),
    "2 x 2, one phase near 0": Planted(lambda seed: conv(2, seed, corner), "learned"),
    "2 x 2, worst phase": Planted(lambda seed: conv(2, seed, corner), "learned", WORST),
    "3 x 3, strongest phase near 0": Planted(lambda seed: conv(3, seed, all_corners, padding=1), "learned"),
    "2 x 2, faint edge": Planted(lambda seed: nn.Sequential(Vignette(11), conv(2, seed)), "border", MISSES),
    "2 x 2 of the middle": Planted(lambda seed: nn.Sequential(Middle(), conv(2, seed)), "blind area", MISSES),
    "1 x 1": Planted(lambda seed: conv(1, seed), "blind area"),
}


def found(planted: Planted, seed: int, *, count: int = 48) -> Cause | None:
    """The cause that a run names; None where it does not fail."""
    suite = parse_suite(
        f"""
        name = "planted"
        seed = {seed}
        [images]
        source = "surface"
        count = {count}
        calibration = 0.25
        [evaluator]
        layer = "last"
        [[check]]
        name = "pixel"
        perturbation = {{ kind = "pixel" }}
        level = {planted.level}
        pairs = 4
        claim = {{ {planted.claim} }}
        """,
        "planted",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network(planted.make(seed), shape=(3, SIDE, SIDE))
    bench = Bench(pictures=pictures_for(suite, model.input_shape), controls=())
    return qualify(model, suite, Context(bench=bench)).findings[0].cause


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    torch.set_num_threads(1)
    sys.stdout.write("| network | cause | failed | named right | named otherwise |\n|---|---|---|---|---|\n")
    for name in sys.argv[2:] or PLANTED:
        planted = PLANTED[name]
        causes = [found(planted, seed) for seed in range(seeds)]
        kinds = Counter(cause.kind for cause in causes if cause)
        right = kinds.pop(planted.cause, 0)
        others = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
        failed = right + sum(kinds.values())
        sys.stdout.write(f"| {name} | {planted.cause} | {failed} of {seeds} | {right} of {failed} | {others} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
