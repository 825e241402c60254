"""`perturb tiles`: what a tiling leaves unseen, what would leave less, and what was found where."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from perturb.cli.files import HISTORY, find_run
from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.options import as_record
from perturb.cli.terminal import console, echo, progress
from perturb.comparisons import FoundWhere, TilePlan
from perturb.errors import UsageError

if TYPE_CHECKING:
    from perturb.model import BlackBox, Network
    from perturb.report import Report
    from perturb.stories.tiles import Blindness
    from perturb.tiling import Tiling


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What was said of the tiles on the command line."""

    picture: str | None
    tile: str | None
    overlap: str
    last: str
    passes: str

    def tiling(self, shape: tuple[int, int], *, whole: bool) -> "Tiling":
        """The tiling, for a model of this input: of one tile, or of the `whole` picture."""
        from perturb.tiling import Tiling

        missing = "--tile" if whole and self.tile is None else "--picture" if not whole and self.picture is None else ""
        if missing:
            raise UsageError(f"{missing}: give its ROWSxCOLUMNS, such as {missing} 640x640.")
        return Tiling(
            picture=_pair("--picture", self.picture) if self.picture else shape,
            tile=_pair("--tile", self.tile) if self.tile else shape,
            overlap=_pair("--overlap", self.overlap),
            last=self.last,  # type: ignore[arg-type]
            passes=tuple(_pair("--passes", one) for one in self.passes.split(",")),
        )


cut_options = as_record(
    "cut",
    Cut,
    click.option("--picture", metavar="RxC", help="Rows and columns of the picture that is cut, such as 3000x4000."),
    click.option("--tile", metavar="RxC", help="Rows and columns of a tile.  [default: the model's input]"),
    click.option("--overlap", default="0", show_default=True, metavar="N or RxC", help="Pixels that neighbours share."),
    click.option(
        "--last",
        type=click.Choice(["back", "over"]),
        default="back",
        show_default=True,
        help="A last tile that would leave the picture is moved back into it, or hangs over and is padded.",
    ),
    click.option(
        "--passes",
        default="0x0",
        show_default=True,
        metavar="RxC,...",
        help="Shifts with which the picture is covered: 0x0,4x0 covers it twice, 4 rows apart.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeing:
    """What was said of how well a model sees: an object, and where its values by phase are from."""

    size: str
    margin: int
    below: float
    layer: str
    phases: str | None
    check: str
    history: str

    @property
    def blindness(self) -> "Blindness":
        from perturb.stories.tiles import Blindness

        return Blindness(extent=_pair("--object", self.size), margin=self.margin, below=self.below)

    def report(self) -> "Report | None":
        return find_run(self.phases, self.history)[1].report if self.phases else None


seeing_options = as_record(
    "seeing",
    Seeing,
    click.option(
        "--object", "size", default="1", show_default=True, metavar="N or RxC", help="Pixels of what is looked for."
    ),
    click.option(
        "--margin",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Pixels from a tile's edge within which nothing is seen.",
    ),
    click.option(
        "--below",
        default=0.5,
        show_default=True,
        type=click.FloatRange(0, 1, min_open=True),
        help="A phase is blind below this share of the live phases' value.",
    ),
    click.option("--layer", default="output", show_default=True, help="Layer of the structural map."),
    click.option("--phases", metavar="RUN", help="A run that measured shares found by phase; else the structural map."),
    click.option("--check", default="", help="The check of that run.  [default: the first with phases]"),
    HISTORY,
)


@click.command(epilog=EPILOG)
@model_options
@cut_options
@seeing_options
@click.option("--measure", metavar="SUITE", help="MODEL is the whole, with its tiles inside: what does it find where?")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(choice: Choice, cut: Cut, seeing: Seeing, measure: str | None, as_json: bool) -> None:
    """Show what a tiling leaves unseen: places at blind phases of every tile that shows them, or at tiles' edges only.

    MODEL sees one tile. A table says which overlap, second pass or enlargement leaves less, and what it costs. With
    --measure, MODEL sees the whole picture and has its tiles inside (see perturb.tiled); objects are put all over it.
    """
    from perturb.render import tiles as view

    model, _ = choice.see()
    now = cut.tiling(model.input_shape[1:], whole=measure is not None)
    found = _planned(model, now, seeing) if measure is None else _measured(model, now, seeing, measure)
    if as_json:
        echo(json.dumps(asdict(found), indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(view.table(found) if isinstance(found, TilePlan) else view.rates(found))


def _planned(model: "Network | BlackBox", now: "Tiling", seeing: Seeing) -> TilePlan:
    from perturb.protocols import Differentiable
    from perturb.stories.tiles import plan_measured, plan_structural

    report = seeing.report()
    if report is not None:
        return plan_measured(report, now, seeing.blindness, check=seeing.check)
    if not isinstance(model, Differentiable):
        raise UsageError(
            f"{model.name} has no structural map: measure it by phase and give the run, --phases run/ "
            "(see `perturb qualify`, [map] kind = 'response')."
        )
    return plan_structural(model, now, seeing.blindness, layer=seeing.layer)


def _measured(model: "Network | BlackBox", now: "Tiling", seeing: Seeing, suite: str) -> FoundWhere:
    from perturb.stories.tiles import find_everywhere, where
    from perturb.suite import load_suite

    report = seeing.report()
    with progress() as begin:
        seen = find_everywhere(model, load_suite(suite), progress=begin)
    return where(seen, now, report, seeing.blindness, check=seeing.check)


def _pair(name: str, text: str) -> tuple[int, int]:
    """ "640" or "480x640" as rows and columns. Raises UsageError for anything else."""
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 2 or not all(part.isdecimal() and len(part) < 7 for part in parts):
        raise UsageError(f"{name} {text}: expected a number of pixels, or ROWSxCOLUMNS such as 480x640.")
    return int(parts[0]), int(parts[-1])
