"""Trials as pictures on a page: the pair of each check that shows its loss best, and more of the check that decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from perturb.figures import Specimen
from perturb.records import Experiment
from perturb.render import embed

HEADINGS = {
    "pair": "The same thing in the same picture, missed and seen",
    "least": "Least visible to the network",
    "most": "Most visible to the network",
}
AGAIN = """from pathlib import Path
from perturb.runs import decode, read, table

trials = table(decode(read(Path("."))), {name!r})
case = (trials["crop"] == {crop}) & (trials["{arm}_row"] == {row}) & (trials["{arm}_column"] == {column})
print({{column: values[case] for column, values in trials.items()}})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung:
    """A trial, its pictures as addresses, and the anchor that leads to it."""

    of: Specimen
    anchor: str
    missed: bool
    whole: str
    clean: str
    perturbed: str
    difference: str
    stretched: float
    again: str  # Python that prints its trial; empty of all but a pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """Trials of one experiment and role, side by side."""

    experiment: Experiment
    heading: str
    scale: str
    hung: tuple[Hung, ...]


def walls(specimens: Sequence[Specimen], experiments: Sequence[Experiment], decisive: Experiment) -> list[Wall]:
    """All roles of the experiment that decides, then the pair of each other one."""
    others = [e for e in experiments if e.name != decisive.name]
    wanted = [(decisive, role) for role in HEADINGS] + [(e, "pair") for e in others]
    found, count = [], 0
    for experiment, role in wanted:
        shown = [s for s in specimens if s.experiment == experiment.name and s.role == role]
        hung = tuple(_hung(s, f"case-{count + i}") for i, s in enumerate(shown, 1))
        count += len(hung)
        if hung:
            found.append(Wall(experiment=experiment, heading=HEADINGS[role], scale=shown[0].scale, hung=hung))
    return found


def misses(found: Sequence[Wall]) -> dict[str, str]:
    """The anchor of a missed trial by experiment, where one is shown in a pair."""
    return dict(_misses(found))


def _misses(found: Sequence[Wall]) -> Iterator[tuple[str, str]]:
    for wall in found:
        yield from ((wall.experiment.name, h.anchor) for h in wall.hung if h.missed and h.of.role == "pair")


def _hung(specimen: Specimen, anchor: str) -> Hung:
    change = specimen.perturbed.astype(float) - specimen.clean
    largest = max(float(np.abs(change).max()), 1.0)
    return Hung(
        of=specimen,
        anchor=anchor,
        missed=specimen.evidence <= specimen.threshold,
        whole=embed.jpeg(specimen.whole),
        clean=embed.png(specimen.clean),
        perturbed=embed.png(specimen.perturbed),
        difference=embed.png((128 + 127 * change / largest).round().astype(np.uint8)),
        stretched=127 / largest,
        again=_again(specimen) if specimen.role == "pair" else "",
    )


def _again(specimen: Specimen) -> str:
    row, column = specimen.place
    return AGAIN.format(name=specimen.experiment, crop=specimen.crop, arm=specimen.arm, row=row, column=column)
