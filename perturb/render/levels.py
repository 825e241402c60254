"""Detection against level in words: a50, a90, a90/95, the penalty in dB, and how it depends on the object's size."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from perturb.quantities.of_map import LARGEST
from perturb.records import ArmLevels, Effect, Experiment, LevelTable, Reached
from perturb.render.columns import table_of
from perturb.stats.levels import clusters_needed

SMALL = 1.0  # dB: a penalty below it is one that hardly matters
ABSENT = "does not exist"
SATURATED = {"floor": "unknown: 9 of 10 are not found at live places", "ceiling": "unknown: found at every level"}


def reach(found: Reached, levels: Sequence[float]) -> str:
    """A level and the interval that it is shown to lie in, as far as any end of it is shown."""
    if found.value is None:
        return ABSENT + (f", above {found.low:.3g}" if found.low else "")
    value = f"{found.value:.3g}"
    if not found.low and found.value <= levels[0]:
        return f"at most {value}" + ("" if found.high else ", not shown")
    if found.high is None:
        return value + (f", above {found.low:.3g}" if found.low else ", nothing shown")
    return f"{value}, {f'above {found.low:.3g}, ' if found.low else ''}at most {found.high:.3g}"


def surely(arm: ArmLevels) -> str:
    """a90/95."""
    return ABSENT if arm.surely is None else f"{arm.surely:.3g}"


def decibels(found: Effect) -> str:
    """A penalty with its interval."""
    low, high = ("unknown" if abs(end) >= LARGEST else f"{end:+.1f}" for end in (found.low, found.high))
    if found.saturated:
        value = SATURATED[found.saturated]
    elif abs(found.value) >= LARGEST:
        value = "no level is enough at dead places"
    else:
        value = f"{found.value:+.1f} dB"
    return f"{value} [{low}, {high}]"


def rows(found: LevelTable) -> list[tuple[str, str, str]]:
    """What is read off the curves: its name, at dead and at live places."""
    dead, live, levels = found.dead, found.live, found.levels
    return [
        ("a50", reach(dead.a50, levels), reach(live.a50, levels)),
        ("a90", reach(dead.a90, levels), reach(live.a90, levels)),
        ("a90/95", surely(dead), surely(live)),
    ]


def remarks(found: LevelTable) -> list[str]:
    """How to read it, where that is not plain: few photographs, values that were moved, falling detection."""
    said = [f"Warning: {warning}." for warning in found.warnings]
    photographs, both = found.penalty.n, clusters_needed(0.9, (1 - found.penalty.confidence) / 4)
    if photographs < both:
        said.append(
            f"{photographs} photographs are few: without a miss, a90/95 takes {found.enough}, and an upper end of the "
            f"penalty {both}."
        )
    moved = [
        f"{name} at {arm} places"
        for arm in ("dead", "live")
        for name in ("a50", "a90")
        if getattr(getattr(found, arm), name).moved
    ]
    if moved:
        said.append(f"Moved to the end of the interval, which the fitted curve left: {', '.join(moved)}.")
    return said


def spacing(found: LevelTable) -> float:
    """dB between neighbouring levels: a penalty is never known better than to two of these."""
    return 20 * math.log10(found.levels[1] / found.levels[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLaw:
    """The penalty of objects that differ by their size alone, the smallest first."""

    series: tuple[Experiment, ...]
    sentence: str


def size_laws(experiments: Sequence[Experiment]) -> Iterator[SizeLaw]:
    """For each series of at least two sizes: from which side on the penalty is below 1 dB."""
    series: dict[str, dict[int, Experiment]] = {}
    for each in experiments:
        if each.levels and each.levels.series:
            series.setdefault(each.levels.series, {}).setdefault(each.levels.side, each)
    for sizes in series.values():
        if len(sizes) > 1:
            ordered = tuple(sizes[side] for side in sorted(sizes))
            yield SizeLaw(series=ordered, sentence=_law(ordered))


def _law(series: Sequence[Experiment]) -> str:
    """Measured, and shown: sides are tested from the largest down, until the first that is not."""
    measured = _from(series, lambda found: not found.saturated and found.value < SMALL)
    shown = _from(series, lambda found: found.high < SMALL)
    if measured is None:
        return f"The penalty is not below {SMALL:g} dB at the largest size."
    if shown is not None:
        also = "" if shown == measured else f" (measured from {measured} on)"
        return f"From a side of {shown} pixels on, the penalty is shown to be below {SMALL:g} dB{also}."
    return f"From a side of {measured} pixels on, the penalty is measured below {SMALL:g} dB. This is not shown."


def _from(series: Sequence[Experiment], holds: Callable[[Effect], bool]) -> int | None:
    side = None
    for each in reversed(series):
        assert each.levels is not None
        if not holds(each.levels.penalty):
            break
        side = each.levels.side
    return side


def tables(experiments: Sequence[Experiment]) -> Iterator[RenderableType]:
    """What the terminal shows of every experiment with levels, then of sizes."""
    for each in experiments:
        if each.levels:
            yield _table(each, each.levels)
    for law in size_laws(experiments):
        table = table_of("side, pixels", "penalty of dead places")
        for one in law.series:
            assert one.levels is not None
            table.add_row(str(one.levels.side), decibels(one.levels.penalty))
        yield Group(table, Text(law.sentence))


def _table(each: Experiment, found: LevelTable) -> RenderableType:
    table = table_of(f"level from which on ({each.name})", "at dead places", "at live places")
    names = {"a50": "half are found: a50", "a90": "9 of 10 are found: a90", "a90/95": "surely 9 of 10 are: a90/95"}
    for name, dead, live in rows(found):
        table.add_row(names[name], dead, live)
    lines = [Text(f"Penalty of dead places: {decibels(found.penalty)} at 0.95; levels {spacing(found):.1f} dB apart.")]
    return Group(table, *lines, *(Text(line, "yellow") for line in remarks(found)))
