"""The demonstration's view: two lattices, then a row for each network."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.records import Verdict
from perturb.render import terminal
from perturb.render.badges import BADGES
from perturb.report import Side


def table(sides: Sequence[Side], folder: str) -> RenderableType:
    """What was measured, what it shows, where the files lie and what to run next."""
    first = sides[0].report
    names = list(dict.fromkeys(side.name for side in sides))
    parts: list[RenderableType] = [_question(sides), Text(), _lattices(sides, names), Text(), _rows(sides), Text()]
    parts += [_summary([s for s in sides if s.name == name], name) for name in names]
    parts += [Text(), Text(f"Open {folder}/report.html. Each run: {folder}/*/report.html, .md, .json. Next:", "dim")]
    parts += [Text(f"  {line}") for line in _next(first.model.reference)]
    return Group(*parts)


def _question(sides: Sequence[Side]) -> Text:
    found = sides[0].report
    judged, experiment = found.images.judged, found.experiments[0]
    what = terminal.describe(found.model)
    text = Text.assemble(("Does it see one changed pixel, wherever it lies?\n", "bold"))
    text.append(
        f"{what}. Each photograph is re-taken under sensor noise with one pixel changed, at a dead or a live place: is "
        f"it noticed in `{experiment.layer}`? {judged.photographs} photographs judged ({judged.crops} crops), "
        f"{found.images.calibration.photographs} others used to find each network's level. False alarms are "
        "pinned to 5 %. dead, live: share noticed; loss: live - dead.",
        "dim",
    )
    return text


def _lattices(sides: Sequence[Side], names: list[str]) -> RenderableType:
    """Every lattice on the scale of the brightest phase shown."""
    firsts = [next(side for side in sides if side.name == name) for name in names]
    high = max(value for side in firsts for row in side.lattice for value in row)
    grid = Table.grid(padding=(0, 4))
    grid.add_row(*[Text(side.name, "bold") for side in firsts], "")
    legend = Text(
        "One period of the lattice:\nhow strongly each pixel\nmoves the network.\n\ndark   dead\nbright live", "dim"
    )
    grid.add_row(*[terminal.Lattice(side.lattice, high) for side in firsts], legend)
    return grid


def _rows(sides: Sequence[Side]) -> Table:
    rows = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in ("seed", "network", "level", "dead", "live", "loss", "95 % interval", "n", "verdict"):
        rows.add_column(column, no_wrap=True)
    for side in sides:
        finding, experiment = side.report.findings[0], side.report.experiments[0]
        effect = finding.effect
        rows.add_row(
            str(side.seed) if side.report.model.untrained else "-",
            side.name,
            f"{experiment.level:.2f}",
            f"{experiment.detected.dead.value:.2f}",
            f"{experiment.detected.live.value:.2f}",
            f"{effect.value:+.2f}",
            f"[{effect.low:+.2f}, {effect.high:+.2f}]",
            str(effect.n),
            Text(finding.verdict, BADGES[finding.verdict].style),
        )
    return rows


def _summary(sides: Sequence[Side], name: str) -> Text:
    losses = [side.report.findings[0].effect.value for side in sides]
    mean = sum(losses) / len(losses)
    margin = sides[0].report.findings[0].claim.at_most
    seen = [[getattr(s.report.experiments[0].detected, arm).value for s in sides] for arm in ("dead", "live")]
    dead, live = (sum(arm) / len(arm) for arm in seen)
    text = Text.assemble(
        (f"{name}: ", "bold"),
        f"noticed {dead:.0%} of the time at dead places, {live:.0%} at live ones; loss {mean:+.2f}",
    )
    if len(losses) > 1:
        text.append(f" (mean of {len(losses)} seeds, {min(losses):+.2f} to {max(losses):+.2f})")
    text.append(f", claimed at most {margin:+.2f}.")
    open_ = [f for s in sides for f in s.report.findings if f.verdict == Verdict.INCONCLUSIVE]
    if open_:
        needed = max((f.needed.photographs for f in open_ if f.needed), default=0)
        could = f"; about {needed} supplied could" if needed else ""
        text.append(f" INCONCLUSIVE: {open_[0].effect.n} photographs cannot vouch for that{could}.", "dim")
    return text


def _next(reference: str) -> list[str]:
    return [
        f"perturb lint {reference}",
        f"perturb qualify {reference} --images folder:PATH --out run",
        "perturb qualify NET.py:build --weights NET.safetensors --out run",
    ]
