"""How often the controls fail by themselves, on any pictures; each row is of so many seeds and photographs."""

from collections.abc import Iterator

import numpy as np

from perturb.images.content import gathered
from perturb.images.generated import dead_leaves
from perturb.records import Images, Pictures
from perturb.stories import controls

ROWS = ((100, 24), (40, 60), (3, 1000))  # seeds, photographs judged
CALIBRATION = 12
SIDE = 40


def report() -> Iterator[str]:
    """A table in Markdown."""
    columns = ("pictures", "judged", "runs", "planted loss not found", "false loss", "at a measured map's places")
    yield f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    for kind, draw in KINDS.items():
        for seeds, judged in ROWS:
            controls.JUDGED = judged
            failed = np.array([_failed(draw, judged, seed) for seed in range(seeds)]).sum(0)
            yield f"| {kind} | {judged} | {seeds} | {failed[1]} | {failed[2]} | {failed[3]} |\n"


def _failed(draw, judged: int, seed: int) -> list[bool]:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    parts = (_images(draw, count, rng, name) for count, name in ((CALIBRATION, "c"), (judged, "j")))
    calibration, rest = parts
    found = controls.prove(Pictures(calibration=calibration, judged=rest), seed=seed)
    return [not control.passed for control in found]


def _images(draw, count: int, rng: np.random.Generator, name: str) -> Images:  # type: ignore[no-untyped-def]
    pixels = np.stack([draw((3, SIDE, SIDE), rng) for _ in range(count)]).astype(np.float32)
    return gathered(pixels, tuple(f"{name}-{i}" for i in range(count)), "drawn")


def _screen(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Every second column is black, as behind a colour filter; the others are grey with noise."""
    picture = rng.uniform(0.4, 0.9, shape)
    picture[..., ::2] = 0
    return picture


KINDS = {"dead leaves": dead_leaves, "every second column black": _screen}
