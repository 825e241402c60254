"""Cost of a place against the number of places of one picture: with more places, groups are more similar."""

from collections.abc import Iterator

from benchmarks.engine import Case, Work
from benchmarks.timing import DEVICE, digits, interleaved, table

COUNTS = (8, 32, 128, 512) if DEVICE == "cpu" else (32, 128, 512, 2048)
BATCH = 4 if DEVICE == "cpu" else 128


def report() -> Iterator[str]:
    rows = []
    for reference in ("torchvision:resnet18", "torchvision:resnet50"):
        case = Case(reference)
        works = {count: Work(case, count) for count in COUNTS}
        rival = works[COUNTS[1]]
        forms = {
            "plain": lambda: rival.plain(BATCH, COUNTS[1]),  # noqa: B023
            "tuned": lambda: rival.tuned(BATCH, COUNTS[1]),  # noqa: B023
        }
        ours = {str(count): work.ours for count, work in works.items()}
        seconds = interleaved(forms | ours, 2)
        plain, tuned = (seconds[form] / COUNTS[1] for form in forms)
        for count in COUNTS:
            each = seconds[str(count)] / count
            name = reference.partition(":")[2]
            rows.append([name, count, digits(each), f"**{plain / each:.2f} / {tuned / each:.2f}**"])
    return table(["network", "places", "ours, ms a place", "plain / ours, tuned / ours"], rows)
