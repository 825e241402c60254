"""What a curve of levels costs against one level; how often a90/95 and the interval of the penalty are wrong."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.timing import DEVICE, digits, interleaved, table
from perturb.blocks import cut
from perturb.contribution import structural
from perturb.evaluators.change import ChangeDetector
from perturb.images import load_images
from perturb.locations import choose
from perturb.looking import look_at
from perturb.model import load
from perturb.observe import Experimenter, observe
from perturb.perturbations.patches import Box
from perturb.records import OperatingPoint
from perturb.stats.levels import bounds
from perturb.tasks.micro import Presence
from perturb.trials import design

COUNTS = (1, 9, 13)
RUNS, PARTS, ERROR = 10_000, 50, 0.05
SIZES = (40, 80)
LEVELS = np.geomspace(1 / 16, 1, 5)
Chances = np.ndarray  # by level
Drawn = Callable[
    [Chances, int, int, np.random.Generator], np.ndarray
]  # chances, runs, photographs -> run, level, photograph


def report() -> Iterator[str]:
    """Tables in Markdown."""
    yield from cost()
    yield "\n"
    yield from errors()


def cost() -> Iterator[str]:
    """One picture, 8 pairs, `change` at stride 8 of ResNet-18: time by number of levels, with and without engine."""
    model = load("torchvision:resnet18", device=DEVICE)
    layer = model.find_layer("stride:8")
    images = load_images("dead-leaves", shape=model.input_shape, count=4)
    trials = design(images, choose(structural(model, layer), size=2), size=2, pairs=8, seed=0, purpose="cost")
    block = cut(images, trials, photographs=1)[0]

    def by(engine: str, count: int) -> Callable[[], object]:
        experimenter = Experimenter(
            look=look_at(model, layer, engine),
            evaluator=ChangeDetector(layer=layer, noise=0.01),
            task=Presence(perturbation=Box(size=2), level=1.0),
            levels=tuple(float(level) for level in np.geomspace(1 / 16, 1, count)),
            point=OperatingPoint(false_alarms=0.05, clean="absent", chance=0.5),
            threshold=None,
        )
        return lambda: observe(block, experimenter)

    names = [(engine, count) for engine in ("incremental", "dense") for count in COUNTS]
    taken = interleaved({f"{engine} {count}": by(engine, count) for engine, count in names}, 3)
    rows = []
    for engine in ("incremental", "dense"):
        seconds = [taken[f"{engine} {count}"] for count in COUNTS]
        rows.append([engine, *map(digits, seconds), *(f"{s / seconds[0]:.2f}" for s in seconds[1:])])
    head = ["engine", *(f"{n} level{'s' * (n > 1)}, ms" for n in COUNTS), *(f"{n} over 1" for n in COUNTS[1:])]
    yield from table(head, rows)


def errors() -> Iterator[str]:
    """The share of runs in which a90/95 lies below the true a90, or the penalty outside its interval."""
    rng = np.random.default_rng(0)
    yield from table(
        ["photographs", *(f"n = {n}: a90/95 too low, exists; penalty outside, bounded" for n in SIZES)],
        ([name, *(_cell(drawn, n, rng) for n in SIZES)] for name, drawn in KINDS.items()),
    )


def _cell(drawn: Drawn, photographs: int, rng: np.random.Generator) -> str:
    """First a little less than 0.9 from a level on, where the rule errs most; then curves that dead places shift."""
    wrong, exists, outside, bounded = [], [], [], []
    worst = np.where(LEVELS > 0.2, 0.9 - 1e-9, 0.3)
    truth = 20 * math.log10(2)
    curves = [_logistic(LEVELS, half) for half in (0.25, 0.125)]  # dead places need twice the level
    for part in np.array_split(np.arange(RUNS), PARTS):
        wrong.append(np.isfinite(bounds(tuple(LEVELS), drawn(worst, len(part), photographs, rng), 0.9, ERROR)[1]))
        dead, live = (drawn(curve, len(part), photographs, rng) for curve in curves)
        exists.append(np.isfinite(bounds(tuple(LEVELS), dead, 0.9, ERROR)[1]))
        ends = [bounds(tuple(LEVELS), arm, 0.9, ERROR / 4) for arm in (dead, live)]
        with np.errstate(divide="ignore"):
            low, high = 20 * np.log10(ends[0][0] / ends[1][1]), 20 * np.log10(ends[0][1] / ends[1][0])
        outside.append((low > truth) | (high < truth))
        bounded.append(np.isfinite(high))
    found = [float(np.concatenate(each).mean()) for each in (wrong, exists, outside, bounded)]
    return "{:.1%}, {:.0%}; {:.1%}, {:.0%}".format(*found)


def _logistic(levels: np.ndarray, half: float) -> Chances:
    """Half is detected at `half`, and 97 % at twice that, up to a lapse of 1 %."""
    return np.asarray(0.99 / (1 + np.exp(-5 * np.log(levels / half))))


def _trials(count: int, agreement: float = 0.0, blind: float = 0.0) -> Drawn:
    """`agreement` makes photographs differ (beta-binomial, alike at all levels); a share is blind at every level."""

    def draw(chances: Chances, runs: int, photographs: int, rng: np.random.Generator) -> np.ndarray:
        chance = np.broadcast_to(np.minimum(chances / (1 - blind), 1)[:, None], (runs, len(chances), photographs))
        if agreement:
            weight = (1 - agreement) / agreement
            chance = rng.beta(chance * weight + 1e-12, (1 - chance) * weight + 1e-12)
        seeing = rng.random((runs, 1, photographs)) >= blind
        return np.asarray(rng.binomial(count, chance) / count * seeing)

    return draw


KINDS = {
    "one pair": _trials(1),
    "8 pairs, all alike": _trials(8),
    "8 pairs, photographs differ": _trials(8, 0.3),
    "32 pairs, photographs differ": _trials(32, 0.3),
    "8 pairs, one photograph in 20 is blind": _trials(8, blind=0.05),
    "all or nothing": _trials(1, blind=0.09),
}
