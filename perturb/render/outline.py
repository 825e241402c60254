"""What a suite takes and can decide, in the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perturb.comparisons import Enough, Outlook, Prospect, Stage
from perturb.render.columns import table_of

CHANCES = ("PASS", "FAIL", "INCONCLUSIVE", "rare: PASS", "rare: FAIL")
PICTURES = ("pictures", "clean shots")


def outline(found: Prospect) -> RenderableType:
    """Photographs and trials, pictures by stage, minutes; then each check."""
    (calibration, crops), (judged, judged_crops) = found.calibration, found.judged
    head = Text.assemble((found.suite, "bold"), f" on {found.model or 'a model that is not named'}\n")
    head.append(
        f"{'Until it is decided, at most ' if found.until_decided else ''}"
        f"{judged} photographs judged ({judged_crops} crops), {calibration} others to calibrate on ({crops} crops), "
        f"from {found.source}. {found.trials} pairs of a dead and a live place.\n"
    )
    shown, shots = (sum(numbers) for numbers in zip(*((s.pictures, s.shots) for s in found.stages), strict=True))
    head.append(f"About {shown} pictures are shown to the model, {shots} of them clean shots; {_minutes(found)}")
    parts: list[RenderableType] = [head, Text(), _stages(found.stages)]
    for each in found.outlooks:
        parts += [Text(), _outlook(each)]
    return Group(*parts)


def _minutes(found: Prospect) -> str:
    if found.seconds is None:
        return "minutes are not told for a model that learns first." if found.model else "name a MODEL for the minutes."
    minutes = found.seconds / 60
    return f"about {minutes:.1f} minutes on this machine."


def _stages(stages: Sequence[Stage]) -> Table:
    table = table_of("stage", *PICTURES, right=PICTURES)
    for stage in stages:
        table.add_row(stage.name, str(stage.pictures), str(stage.shots))
    return table


def _outlook(found: Outlook) -> RenderableType:
    head = Text.assemble(
        (found.check, "bold"), f": {found.quantity} claimed at most {found.at_most:g}, {found.judged} photographs\n"
    )
    head.append(f"Simulated: {found.assumed}.", "dim")
    if not found.usual:
        return head
    table = table_of("if truly", *CHANCES, right=CHANCES)
    for usual, rare in zip(found.usual, found.rare, strict=True):
        chances = (usual.passes, usual.fails, usual.open, rare.passes, rare.fails)
        table.add_row(
            f"{usual.true:.3g}", *(f"{chance:.0%}" if chance in (0, 1) else _share(chance) for chance in chances)
        )
    return Group(head, table, _told(found))


def _told(found: Outlook) -> Text:
    """What would pass wrongly, and how many photographs would pass; in colour where these are too few."""
    text = Text(f"rare: that share of the photographs loses everything, the others nothing. {_wrong(found)}\n", "dim")
    few = found.usual[0].passes < found.enough[0].probability
    return text.append(_enough(found.enough), "yellow" if few else "dim")


def _wrong(found: Outlook) -> str:
    """How often a value above the claim passes: what holds for all, and what was simulated."""
    above = [c.passes for c in (*found.usual, *found.rare) if c.true >= found.at_most]
    worst = f" ({_share(max(above))} in these simulations)" if above else ""
    return f"A value of {found.at_most:g} or more passes wrongly at most {found.error:.1%} of the time{worst}."


def _enough(found: Sequence[Enough]) -> str:
    told = (
        f"{one.probability:.0%} from {one.photographs}"
        if one.photographs
        else f"{one.probability:.0%} with none of the numbers tried"
        for one in found
    )
    return f"To PASS where nothing is lost, supply photographs: {', '.join(told)}."


def _share(value: float) -> str:
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"
