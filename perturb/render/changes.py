"""What the terminal shows of Changes: the verdict, then every test with its numbers."""

from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from perturb.changes import LOSS, Change, Changes, ChangeVerdict, RunSummary
from perturb.render.badges import BADGES, RANK
from perturb.visible import plained


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What changed of one check since the baseline."""

    verdict: ChangeVerdict | None  # the worst of its tests; None where nothing was tested
    loss: Change | None  # shown, not tested


def of_check(found: Changes, experiment: str) -> Since:
    """The changes of one experiment in a line."""
    mine = [each for each in found.changes if each.check == experiment]
    tested = [each.verdict for each in mine if each.verdict is not None]
    return Since(
        verdict=min(tested, key=lambda one: RANK[one], default=None),
        loss=next((each for each in mine if each.quantity == LOSS), None),
    )


def changes(found: Changes) -> RenderableType:
    found = plained(found)
    head = Text.assemble(
        (f" {found.verdict} ", f"{BADGES[found.verdict].style} reverse"),
        "  ",
        (who(found.candidate), "bold"),
        " beside ",
        (who(found.baseline), "bold"),
    )
    if found.differs:
        return Group(head, *[Text(f"{'':13}{line}", "magenta") for line in found.differs])
    head.append(
        f"\n{found.suite}: the same trials on {found.changes[0].effect.n} photographs in both runs, at the baseline's "
        f"places and level; a change up to {found.margin:g} counts as none.{_devices(found)}",
        "dim",
    )
    head.append(f"\n{deciding(found)}")
    warned = [Text(f"Mind: {warning}.", "yellow") for warning in found.warnings]
    return Group(head, *warned, Text(), *[change(each) for each in found.changes])


def deciding(found: Changes) -> str:
    """The tests that make the verdict, by name."""
    if found.verdict == ChangeVerdict.EQUIVALENT:
        return "Every test is EQUIVALENT."
    names = [title(each) for each in found.changes if each.verdict == found.verdict]
    return f"{found.verdict} by: {'; '.join(names)}."


def summary(found: Changes) -> str:
    """The same in plain lines."""
    found = plained(found)
    lines = [f"{found.verdict}: {who(found.candidate)} beside {who(found.baseline)}", *found.differs]
    lines += [deciding(found)] if found.changes else []
    lines += found.warnings
    told = [f"{each.verdict or ''}: {title(each)}: {moved(each)}; {why(each)}" for each in found.changes]
    return "\n  ".join(lines + told)


def who(run: RunSummary) -> str:
    return f"{run.model} ({run.run[:12]}, {run.timestamp[:10]})"


def day(run: RunSummary) -> str:
    """The day of a run, as "3 May 2026"; as it is written where that is no date."""
    try:
        when = datetime.fromisoformat(run.timestamp)
    except ValueError:
        return run.timestamp[:10]
    return f"{when.day} {when:%B} {when.year}"


def title(found: Change) -> str:
    return f"{found.check}, {found.quantity}" + (", against the best yet" if found.against == "best" else "")


def moved(found: Change) -> str:
    effect = found.effect
    return f"{found.before:.2f} -> {found.after:.2f}: {effect.value:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"


def why(found: Change) -> str:
    """The test's numbers and what follows from them."""
    if found.fell + found.rose == 0:
        counts = "no photograph changed"
    else:
        counts = f"{found.fell} of {found.effect.n} photographs fell, {found.rose} rose"
    needed = f"; about {found.needed} photographs would decide" if found.needed else ""
    return f"{counts}; {found.reason or 'shown, not tested'}; interval at {100 * found.effect.confidence:.4g} %{needed}"


def change(found: Change) -> Text:
    verdict, style = (found.verdict, BADGES[found.verdict].style) if found.verdict else ("", "dim")
    text = Text.assemble((f"{verdict:<12}", style), (f" {title(found)} ", "bold"), moved(found))
    return text.append(f"\n{'':13}{why(found)}", "dim")


def _devices(found: Changes) -> str:
    one, other = found.baseline.device, found.candidate.device
    return "" if one == other else f" Measured on {other}, the baseline on {one}."
