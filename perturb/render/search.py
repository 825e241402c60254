"""What a search found: the lattice as it is seen, the worst case, the simplest one."""

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.counterexample import Aim, Answer, Case, PlaceScan, WorstCase
from perturb.render.terminal import Lattice


def view(sweep: PlaceScan, found: WorstCase | None, model: str) -> RenderableType:
    verb = "goes unseen" if sweep.aim == "missed" else "flips the label"
    if found is None:
        head = Text.assemble((" NOTHING FOUND ", "bold green reverse"), "  ", (model, "bold"))
        head.append(f"\nNo place at which the perturbation {verb}, of {sweep.lowest.size} tried.")
        return Group(head, Text(), _lattice(sweep))
    head = Text.assemble((" FOUND ", "bold red reverse"), "  ", (model, "bold"))
    head.append(f"\n{_met(sweep, found.met, found.name)}")
    return Group(
        head,
        Text(),
        _lattice(sweep),
        Text(),
        Text.assemble(("The simplest: ", "bold"), _told(found.simplest, sweep.aim)),
    )


def describe(case: Case) -> str:
    """A case in words."""
    picture = case.picture
    what = f"a flat picture of grey {picture.flat[0]:.2f}" if np.ptp(picture) == 0 else "a picture"
    return f"{case.perturbation} at level {case.level:.3g} on {what}"


def _met(sweep: PlaceScan, case: Case, name: str) -> str:
    if sweep.aim == "flipped":
        return f"{describe(case)} ({name}) flips the label at {case.dead}."
    return f"{describe(case)} ({name}): missed at {case.dead}, seen at {case.live}."


def answer(found: Answer, aim: Aim, model: str) -> RenderableType:
    """What a replay showed."""
    label = (" HOLDS ", "bold red reverse") if found.holds else (" NO MORE ", "bold green reverse")
    return Text.assemble(label, "  ", (model, "bold"), f"\n{_told(found, aim)}")


def _told(found: Answer, aim: Aim) -> str:
    case = found.case
    if aim == "flipped":
        return f"{describe(case)} at {case.dead}: the strongest other label leads by {-found.dead:.3g}."
    return (
        f"{describe(case)}: evidence {found.dead:.3g} at {case.dead} and {found.live:.3g} at {case.live}, "
        f"seen above {found.threshold:.3g}."
    )


def _lattice(sweep: PlaceScan) -> RenderableType:
    """One cell as it is seen, if all of it was tried."""
    worst, best = np.fmax.reduce(sweep.lowest, 1), np.fmin.reduce(sweep.lowest, 1)
    text = Text(f"{sweep.lowest.size} places of {len(sweep.names)} pictures tried, period {sweep.period}.\n")
    text.append(f"The lowest level that shows: {_level(np.nanmedian(best))} at the best place of a picture,\n")
    text.append(f"{_level(np.nanmedian(worst))} at the worst (medians over pictures).")
    if len(sweep.phases) < sweep.period**2:
        return text
    values = np.zeros((sweep.period, sweep.period))
    ease = np.nan_to_num(1 / sweep.lowest).sum(0) / np.maximum(np.isfinite(sweep.lowest).sum(0), 1)
    values[sweep.phases[:, 0], sweep.phases[:, 1]] = ease
    text.append("\nbright = shows at a low level", "dim")
    grid = Table.grid(padding=(0, 3))
    grid.add_row(Lattice(values.tolist()), text)
    return grid


def _level(level: float) -> str:
    return "none" if level > 1 else f"{level:.2g}"
