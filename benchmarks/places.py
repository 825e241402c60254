"""What a place costs when more of one picture's are asked at once: the more, the more alike they can be grouped."""

from collections.abc import Iterator

import torch

from benchmarks.sweep import Case, Work
from benchmarks.timing import interleaved, table

COUNTS = (8, 32, 128, 512)
DENSE = 32  # places that the rivals are asked at: each costs them the same
BATCH = 4


def report() -> Iterator[str]:
    rows = []
    for reference in ("torchvision:resnet18", "torchvision:resnet50"):
        works = {count: Work(Case(reference), count) for count in COUNTS}
        rival = works[DENSE]
        forms = {
            "plain": lambda: rival.dense(rival.plain, BATCH, torch.contiguous_format, DENSE),  # noqa: B023
            "tuned": lambda: rival.dense(rival.engine.evaluate, BATCH, torch.channels_last, DENSE),  # noqa: B023
        }
        ours = {str(count): work.ours for count, work in works.items()}
        seconds = interleaved(forms | ours, 2)
        plain, tuned = (seconds[form] / DENSE for form in forms)
        for count in COUNTS:
            each = seconds[str(count)] / count
            name = reference.partition(":")[2]
            rows.append([name, count, f"{1000 * each:.1f}", f"**{plain / each:.2f} / {tuned / each:.2f}**"])
    return table(["network", "places", "ours, ms a place", "plain / ours, tuned / ours"], rows)
