"""Networks whose lattice has an origin that is known by construction; how often `perturb explain` names it.

uv run python tests/planted_origins.py [SEEDS [NAME...]]    a Markdown table: origin and layer named right

SEEDS of them (100), from seed 100 on: what makes the networks nearly linear was settled on seeds 0 to 2.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from toys import network

from perturb.comparisons import Explanation, SampledLayer
from perturb.images import load_images
from perturb.stories.explain import explain

SIDE, CHANNELS, LAYERS, PICTURES = 48, 32, 3, 12
FIRST = 100  # seed


def layer(seed: int, number: int, kernel: int = 2, padding: int = 0) -> nn.Conv2d:
    """Stride 2. Each tap is an orthogonal matrix over channels, so that all taps count alike."""
    made = nn.Conv2d(3 if number == 0 else CHANNELS, CHANNELS, kernel, 2, padding, bias=False)
    generator = torch.Generator().manual_seed(LAYERS * seed + number)
    for row, column in np.ndindex(kernel, kernel):
        nn.init.orthogonal_(made.weight.data[:, :, row, column], generator=generator)
    return made


def stacked(seed: int, at: int, planted: nn.Conv2d) -> nn.Module:
    """Flat layers, and the planted one at its place. Units are nearly linear: others make a lattice of their own."""
    layers = [planted if number == at else layer(seed, number) for number in range(LAYERS)]
    return nn.Sequential(*(part for each in layers for part in (each, nn.LeakyReLU(0.8))))


def odd_kernel(seed: int, at: int) -> nn.Module:
    return stacked(seed, at, layer(seed, at, 3, 1))


def weak_tap(seed: int, at: int) -> nn.Module:
    """An even kernel whose weights make one phase of four weak."""
    planted = layer(seed, at)
    planted.weight.data[:, :, 1, 1] *= 0.2
    return stacked(seed, at, planted)


def weighed(seed: int, at: int) -> nn.Module:
    """An odd kernel whose weights undo its structure: what is read twice counts half."""
    planted = layer(seed, at, 3, 1)
    half = torch.tensor([0.5, 1.0, 0.5]).sqrt()
    planted.weight.data *= half[:, None] * half
    return stacked(seed, at, planted)


def flat(seed: int, at: int) -> nn.Module:
    return stacked(seed, at, layer(seed, at))


@dataclass(frozen=True)
class Planted:
    """A network by seed and number of the planted layer, its origin, and which layer the evidence must name."""

    make: Callable[[int, int], nn.Module]
    origin: str
    named: Callable[[SampledLayer], float] | None = None  # its value is 0 at all layers but the planted one
    rest: bool = False  # the picture's size leaves a rest at the planted layer


PLANTED = {
    "3 x 3 among 2 x 2": Planted(odd_kernel, "structural", lambda each: each.by_shape),
    "2 x 2, one tap weak": Planted(weak_tap, "learned", lambda each: each.by_weights),
    "3 x 3, weights undo it": Planted(weighed, "compensated", lambda each: each.by_shape),
    "2 x 2, a rest at the edge": Planted(flat, "border", lambda each: max(each.left), rest=True),
    "2 x 2": Planted(flat, "none"),
}


def found(planted: Planted, seed: int) -> tuple[Explanation, int]:
    """What is told, and the number of the planted layer."""
    at = seed % LAYERS
    side = SIDE + 2**at if planted.rest else SIDE
    images = load_images("surface", shape=(3, side, side), crops=1, count=PICTURES, seed=seed)
    return explain(network(planted.make(seed, at), shape=(3, side, side)), images, "output"), at


def names_the_layer(planted: Planted, told: Explanation, at: int) -> bool:
    """Whether the planted layer has all of what names it, to 1 %."""
    if planted.named is None:
        return True
    values = np.array([planted.named(each) for each in told.shares.layers])
    return bool(values[at] > 0 and np.abs(np.delete(values, at)).max() <= 0.01 * values[at])


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    fresh = range(FIRST, FIRST + seeds)
    torch.set_num_threads(1)
    sys.stdout.write("| network | origin | named right | named otherwise | layer right |\n|---|---|---|---|---|\n")
    for name in sys.argv[2:] or PLANTED:
        planted = PLANTED[name]
        told = [found(planted, seed) for seed in fresh]
        origins = Counter(each.origin for each, _ in told)
        right = origins.pop(planted.origin, 0)
        others = ", ".join(f"{count} {origin}" for origin, count in origins.items()) or "none"
        layers = sum(names_the_layer(planted, each, at) for each, at in told) if planted.named else "-"
        sys.stdout.write(f"| {name} | {planted.origin} | {right} of {seeds} | {others} | {layers} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
