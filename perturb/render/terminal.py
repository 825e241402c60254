"""What the terminal shows: of a Report, of a certificate, of a lattice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from perturb import records
from perturb.changes import Changes
from perturb.kinds import is_custom
from perturb.quantities.of_map import LARGEST
from perturb.records import (
    Bin,
    Breakdown,
    Cause,
    Effect,
    Experiment,
    Finding,
    FreeResponse,
    Needed,
    Rate,
    Training,
)
from perturb.render import levels
from perturb.render.badges import BADGES, verdict
from perturb.render.colour import paint
from perturb.render.columns import table_of
from perturb.render.lattice import pixels, sentences
from perturb.render.phases import arms, both, extremes, phase_grid
from perturb.report import ImagesSummary, MapSummary, ModelSummary, Report
from perturb.visible import plained

SHADES = " ░▒▓█"  # where there is no colour
NOTABLE = 0.01  # the share of an object's change that clipping may take without a word
WIDEST = 32  # phases that still fit beside a text


@dataclass(frozen=True)
class Lattice:
    """One period of the contribution map, dark dead and bright live; shades where the console has no colour.

    Periods below 8 are repeated to 8, above 32 cut. `high` sets the brightest value, to compare lattices.
    """

    phases: Sequence[Sequence[float]]
    high: float | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        values = np.array(self.phases, dtype=float)
        repeats = max(1, 8 // len(values))
        values = np.tile(values, (repeats, repeats))[:WIDEST, :WIDEST]
        high = self.high or float(values.max())
        yield _shaded(values, high) if console.color_system is None else _coloured(values, high)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        count = max(len(self.phases), 8)
        width = min(count, WIDEST) * _characters(count)
        return Measurement(width, width)


def _characters(count: int) -> int:
    """How many characters wide a phase is drawn."""
    return 2 if count <= 16 else 1


def _shaded(values: np.ndarray, high: float) -> Text:
    shares = np.round(values / high, 6)  # a share at the edge of a shade is drawn alike by every machine
    shades = np.clip(shares * len(SHADES), 0, len(SHADES) - 1).astype(int)
    return Text("\n".join("".join(_characters(len(row)) * SHADES[v] for v in row) for row in shades))


def _coloured(values: np.ndarray, high: float) -> Text:
    """Each phase is half a character high."""
    colours = paint(np.repeat(values, _characters(len(values)), 1), 0.0, high)
    if len(colours) % 2:
        colours = np.concatenate([colours, colours[-1:]])
    text = Text(end="")
    for upper, lower in zip(colours[::2], colours[1::2], strict=True):
        for top, bottom in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({top[0]},{top[1]},{top[2]}) on rgb({bottom[0]},{bottom[1]},{bottom[2]})")
        text.append("\n")
    text.rstrip()
    return text


def report(found: Report, since: Changes | None = None) -> RenderableType:
    """The verdict and why, then the numbers. `since` is what changed since a baseline: a worse change leads."""
    found = plained(found)
    parts: list[RenderableType] = [headline(found, since), Text()]
    parts += [finding(f) for f in found.findings]
    parts += [Text(), rates(found.experiments)]
    parts.append(Text(moved(found.experiments), "dim"))
    for e in found.experiments:
        parts += [Text(), measures(e)] if e.measures[1:] else []
        parts += [Text(), free_response(e)] if e.free_response else []
        parts += [Text(), phases(e)] if phase_grid(e)[0] or extremes(e) else []
        for row in e.recall.breakdowns if e.recall else ():
            parts += [Text(), breakdown(e, row)]
    for table in levels.tables(found.experiments):
        parts += [Text(), table]
    parts += [Text(), _map(found)]
    failed = [control for control in found.controls if not control.passed]
    if failed:
        parts += [Text(f"INVALID: {c.name}: expected {c.expected}; got {c.observed}", "magenta") for c in failed]
    else:
        parts.append(Text(f"Controls: all {len(found.controls)} passed.{unproven(found.experiments)}", "dim"))
    return Group(*parts)


def unproven(experiments: Sequence[Experiment]) -> str:
    """Which evaluators are the user's own, that no control can imitate, as a sentence; empty without any."""
    kinds = (e.evaluator.partition(", ")[0] for e in experiments)
    own = dict.fromkeys(kind for kind in kinds if is_custom(kind))
    return f" None of them tries how your {', '.join(own)} reads an answer." if own else ""


def headline(found: Report, since: Changes | None = None) -> Text:
    shown = verdict(found, since)
    text = Text.assemble((f" {shown} ", f"{BADGES[shown].style} reverse"), "  ", (describe(found.model), "bold"))
    images = found.images
    text.append(f"\n{named(found.suite.name, found.suite.description)}", "dim")
    text.append(
        f"\n{images.judged.crops} crops of {images.judged.photographs} photographs judged{until(images)}, "
        f"{images.calibration.photographs} others to calibrate on, from {images.source}.{region(images)}",
        "dim",
    )
    if images.account:
        text.append(f"\nPictures: {images.account.words}.", "dim")
    return text


def until(images: ImagesSummary) -> str:
    """When the run stopped, in words; empty where it judged a given number of photographs."""
    if images.at_most is None:
        return ""
    if images.judged.photographs < images.at_most:
        return f" (then each check was decided; at most {images.at_most})"
    return f" (until each check is decided; the most, {images.at_most}, was reached)"


def named(name: str, description: str) -> str:
    return f"{name}: {description}" if description else name


def region(images: ImagesSummary) -> str:
    """Where an object could be put, as a sentence; empty without a region."""
    if images.allowed is None:
        return ""
    return f" Objects lie {images.region}: {100 * images.allowed:.2g} % of the judged crops."


def describe(model: ModelSummary) -> str:
    """The model in a few words: what it is and what was done to it."""
    notes = []
    if model.untrained:
        notes.append(f"untrained{', normalisation settled on calibration pictures' if model.settled else ''}")
    if model.remedy:
        notes.append(f"remedy {model.remedy.kind}, weights {model.remedy.weights}")
    return model.reference + (f" ({'; '.join(notes)})" if notes else "")


def finding(found: Finding) -> Text:
    effect, claim = found.effect, found.claim
    text = Text.assemble(
        (f"{found.verdict:<12}", BADGES[found.verdict].style),
        (f" {found.check}: ", "bold"),
        f"{effect.quantity} {number(effect.value)}",
    )
    if effect.high > effect.low:
        text.append(f" [{number(effect.low)}, {number(effect.high)}] ({100 * effect.confidence:.4g} %)")
    text.append(f", claimed at most {claim.at_most:g}")
    text.append(f"\n{'':13}{found.reason}; {effect.method}", "dim")
    if found.needed:
        text.append(f"\n{'':13}{would_decide(found.needed)}", "yellow")
    if found.cause:
        text.append(f"\n{'':13}{cause(found.cause)}", "yellow")
    return text


def cause(found: Cause) -> str:
    """Why it failed, with the evidence."""
    return f"Cause: {found.kind}. {found.words}"


def would_decide(needed: Needed) -> str:
    """How many photographs to supply, and the range of that number.

    Without an upper end the claim lies within a standard error of the estimate, and a single number would mislead.
    """
    if needed.most is None:
        return (
            f"the estimate lies near the claim: {needed.least} photographs to supply would decide at best, "
            "perhaps many more"
        )
    return f"about {needed.photographs} photographs to supply would decide ({needed.least} to {needed.most})"


def rates(experiments: Sequence[Experiment]) -> Table:
    """The share detected by arm, with intervals."""
    verbs = "/".join(dict.fromkeys(e.verb for e in experiments))
    table = table_of("check", "level", f"{verbs} at dead", "at live places", "without it", "n (pairs)")
    for e in experiments:
        arms = (f"{rate(found)}{note and f' {note}'}" for found, note in both(e))
        level = "as it is" if e.recall else f"{e.level:.3g}{' (sought)' if e.calibrated else ''}"
        table.add_row(e.name, level, *arms, clean(e), f"{e.photographs} ({e.pairs})")
    return table


def moved(experiments: Sequence[Experiment]) -> str:
    """What moved from dead to live places, and where clipping took away more of an object than NOTABLE."""
    told = {
        "picture": "The picture moved under the network by a few pixels; the object stayed where it lies in the "
        "picture.",
        "object": "The object moved over the picture, from a dead place to a live one nearby.",
    }
    names = {kind: ", ".join(e.name for e in experiments if e.design == kind) for kind in told}
    used = [kind for kind in told if names[kind]]
    words = " ".join(told[kind] if len(used) == 1 else f"{names[kind]}: {told[kind]}" for kind in used)
    every = ", ".join(e.name for e in experiments if e.phases_of == "judged")
    words += (
        f" {every}: in place of dead phases, every phase had its turn, and live places lie at any." if every else ""
    )
    lost = (
        f" Clipping took away {e.clipped['dead']:.0%} of {e.name} at dead and {e.clipped['live']:.0%} at live places."
        for e in experiments
        if max(e.clipped.values(), default=0) > NOTABLE
    )
    return words + "".join(lost)


def free_response(found: Experiment) -> Table:
    """The share detected at so many false alarms a picture."""
    first = f"false alarms a picture ({found.name})"
    table = table_of(first, "threshold", f"{found.verb} at dead", "at live places")
    for row in found.free_response:
        alarms = f"{row.false_alarms:g}" + (f" ({row.measured:.2g} came out)" if too_few(row) else "")
        table.add_row(alarms, f"{row.threshold:.3g}", rate(row.dead), rate(row.live))
    return table


def breakdown(found: Experiment, by: Breakdown) -> Table:
    """The share detected in each bin, by arm, and the loss there."""
    first = f"{by.by} ({found.name})"
    table = table_of(first, "objects", f"{found.verb} at dead", "at live places", "live - dead")
    for one in by.bins:
        table.add_row(limits(one), str(one.objects), rate(one.dead), rate(one.live), loss(one))
    return table


def limits(found: Bin) -> str:
    """The smallest and the largest of a bin."""
    low, high = f"{found.low:.3g}", f"{found.high:.3g}"
    return low if low == high else f"{low} to {high}"


def loss(found: Bin) -> str:
    """With its interval, where there is one."""
    return scaled(found.loss) or "one photograph"


def too_few(row: FreeResponse) -> bool:
    """Whether clean pictures gave clearly fewer alarms than the row allows, as where the model reports hardly any."""
    return row.measured < 0.8 * row.false_alarms


def phases(found: Experiment) -> Table:
    """The share detected by phase: of judged pictures the worst and the best, with intervals."""
    if extremes(found):
        table = table_of(f"phase ({found.name})", f"{found.verb}, judged", "photographs (trials)")
        for name, one in extremes(found):
            table.add_row(f"{name} {one.phase}".strip(), rate(one.rate), f"{one.rate.n} ({one.rate.trials})")
        return table
    columns, rows = phase_grid(found)
    table = table_of(f"{found.verb}, calibration ({found.name})", *columns)
    for name, shares in rows:
        table.add_row(name, *(f"{share.rate.value:.2f}" for share in shares))
    return table


def clean(found: Experiment) -> str:
    """What was seen without the perturbation."""
    if found.recall and found.recall.alarms:
        return f"false alarms a picture {rate(found.recall.alarms)}"
    if found.detected.clean is None:
        return "not asked"
    return f"{'false alarms' if found.clean == 'absent' else found.verb} {rate(found.detected.clean)}"


def measures(found: Experiment) -> RenderableType:
    """The other measures, in both arms, with intervals; and how the model was trained."""
    table = table_of(f"measure ({found.name})", *arms(found), "live - dead", gap=1)
    for m in found.measures[1:]:
        table.add_row(m.name, scaled(m.dead), scaled(m.live), scaled(m.difference))
    lines = [Text(f"trained, seed {t.seed}: {trained(t)}", "dim") for t in found.training]
    return Group(*lines, table)


def scaled(found: Rate | Effect | None) -> str:
    """Two digits, for measures of any unit; empty for what an earlier version did not keep."""
    if found is None:
        return ""
    return f"{found.value:.2g} [{found.low:.2g}, {found.high:.2g}]"


def trained(found: Training) -> str:
    """How a training went."""
    return (
        f"{found.epochs} epochs of {found.lessons} lessons in {found.seconds:.0f} s, the best {found.best_epoch}; "
        f"accuracy on validation {found.accuracy:.3f}, last loss {found.loss:.3g}"
    )


def rate(found: Rate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def number(value: float) -> str:
    if abs(value) >= LARGEST:
        return "infinite" if value > 0 else "-infinite"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}"


def _map(found: Report) -> RenderableType:
    summary = found.map
    ratio = "infinite" if summary.imbalance is None else f"{summary.imbalance:.3g}"
    shown = "cell" if summary.lattice and not summary.lattice.whole else "period"
    text = Text(f"{summary.kind} map of `{summary.layer}`, one {summary.period} x {summary.period} {shown}\n")
    if summary.periods:
        text.append(f"it repeats every {pixels(*summary.periods)}\n")
    for sentence in sentences(summary.lattice):
        text.append(f"{sentence}\n", "red" if "never read" in sentence else "")
    text.append(f"{unread(summary)}\n", "red" if summary.unread else "")
    if found.experiments[0].phases and found.experiments[0].phases_of == "calibration":
        text.append("share reported at each phase, in calibration pictures\n")
    text.append(f"liveliest / deadest phase: {ratio}\n")
    text.append(f"phases below half the mean: {summary.dead_share:.0%}\n")
    text.append("dark = dead, bright = live", "dim")
    balanced = [e.name for e in found.experiments if e.balanced]
    if balanced:
        which = f" ({', '.join(balanced)})" if len(balanced) < len(found.experiments) else ""
        text.append(f"\nbalanced{which}: no dead arm, places drawn at random", "green")
    grid = Table.grid(padding=(0, 3))
    grid.add_row(Lattice(summary.phases), text)
    return grid


def unread(found: MapSummary) -> str:
    """How much of the picture nothing reads."""
    if found.unread is None:
        return "pixels that nothing reads: not known"
    return f"pixels that nothing reads: {percent(found.unread)} of the picture"


def percent(share: float) -> str:
    """A share that is not 0 is not shown as 0."""
    return f"{100 * share:.2g} %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def certificate(data: Mapping[str, Any]) -> RenderableType:
    """What `lint` found; of a graph its windows alone."""
    if "lattice" not in data:
        return _graph(data)
    ratio = "infinite" if data["imbalance"] is None else f"{data['imbalance']:.6g}"
    if data["balanced"]:
        head = Text.assemble((" BALANCED ", "bold green reverse"), "  ", (data["model"], "bold"))
        head.append("\nEvery pixel contributes alike: no layer makes a lattice.")
        head.append(_sensor(data))
        return head
    head = Text.assemble((" UNBALANCED ", "bold red reverse"), "  ", (data["model"], "bold"))
    head.append(f"\nThe liveliest phase contributes {ratio} times what the deadest does")
    head.append("." if data["sensor"] else f"; the lattice repeats every {pixels(*data['periods'])}.")
    head.append(_sensor(data))
    if data["strictly_dead"]:
        head.append(
            f"\n{data['strictly_dead']:.1%} of all pixels are strictly dead: nothing they do reaches the output.", "red"
        )
    folds = table_of("period", "max/min") if data["phases"] else table_of("one cell", "")
    for period, value in data["phases"].items():
        folds.add_row(period, "infinite" if value is None else f"{value:.6g}")
    grid = Table.grid(padding=(0, 4))
    grid.add_row(Lattice(data["lattice"]), folds)
    return Group(head, Text(), grid, Text(), *_faulty(data["layers"]))


def _sensor(data: Mapping[str, Any]) -> Text:
    """What becomes of the camera's picture ahead of the network."""
    found = None if data["sensor"] is None else records.Lattice(**data["sensor"])
    style = "red" if found and found.unread else ""
    return Text("".join(f"\n{sentence}" for sentence in sentences(found, own=data["period"] is not None)), style)


def _graph(data: Mapping[str, Any]) -> RenderableType:
    word, style = ("BALANCED", "green") if data["balanced"] else ("UNBALANCED", "red")
    head = Text.assemble((f" {word} ", f"bold {style} reverse"), "  ", (data["model"], "bold"))
    if data["period"]:
        head.append(f"\nThe graph's strides repeat every {pixels(*data['periods'])} of its input.")
    head.append(_sensor(data))
    if not data["period"]:
        head.append("\nHow often the model's own lattice repeats is not known.")
    if data["layers"]:
        head.append("\nWindows of the graph alone; `perturb map MODEL --kind response` measures what they do together.")
    return Group(head, Text(), *_faulty(data["layers"])) if data["layers"] else head


def _faulty(windows: Sequence[Mapping[str, Any]]) -> tuple[RenderableType, ...]:
    """The windows that meet some pixels more often than others."""
    faulty = [window for window in windows if not window["balanced"]]
    layers = table_of("layer", "kind", "kernel", "stride", "rows are met")
    for window in faulty:
        layers.add_row(
            window["name"] or "(forward)",
            window["kind"],
            " x ".join(map(str, window["kernel"])),
            " x ".join(map(str, window["stride"])),
            " : ".join(map(str, window["coverage"][0])) + " times",
        )
    count = f"{len(faulty)} of {len(windows)} sliding windows meet some pixels more often than others"
    return (Text(count, "bold"), *((layers,) if faulty else ()))
