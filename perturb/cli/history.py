"""`perturb history`: the runs that were kept."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.baseline import read_baseline
from perturb.cli.files import HISTORY
from perturb.cli.terminal import console, echo
from perturb.errors import UsageError
from perturb.writing import write

if TYPE_CHECKING:
    from perturb.baseline import Baseline
    from perturb.render.trend import Kept


@click.group()
def command() -> None:
    """List and show the runs that were kept, and their trends."""


@command.command("list")
@HISTORY
def list_(history: str) -> None:
    """List every run, the newest last."""
    from perturb.history import entries
    from perturb.render.run_list import listing

    console().print(listing(entries(Path(history))))


@command.command()
@click.argument("run")
@HISTORY
def show(run: str, history: str) -> None:
    """Show the report of a run. RUN is the beginning of its digest."""
    from perturb.history import load
    from perturb.render import terminal

    _, found = load(run, Path(history))
    console().print(terminal.report(found.report))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print every point as JSON.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write an .html page to this file instead."
)
@click.option(
    "--baseline", type=click.Path(dir_okay=False), help="With --out, mark what changed since this baseline file."
)
@HISTORY
def trend(as_json: bool, out: Path | None, baseline: str | None, history: str) -> None:
    """Show each check over time, for each suite and model."""
    from perturb.history import entries
    from perturb.history import trend as series
    from perturb.render.run_list import trends

    if baseline and out is None:
        raise UsageError("--baseline marks runs on a page: name its file with --out.")
    past = read_baseline(baseline) if baseline else None
    runs = entries(Path(history))
    found = series(runs)
    if out is not None:
        from perturb.render.trend import trend as page

        write(out, page([_kept(entry.run, Path(history), past) for entry in runs]))
        console().print(f"Saved to {out}")
    elif as_json:
        echo(json.dumps([asdict(each) for each in found], indent=2, sort_keys=True))
    else:
        console().print(trends(found))


def _kept(run: str, history: Path, past: "Baseline | None") -> "Kept":
    """The run with what changed since the baseline; runs of another suite are not compared."""
    from perturb.baseline import compare
    from perturb.history import load
    from perturb.render.trend import Kept

    _, found = load(run, history)
    accepted = past is not None and past.accepted.run == run
    alike = past is not None and not accepted and past.suite.digest == found.report.suite.digest
    since = compare(past, found, run) if past and alike else None
    return Kept(report=found.report, run=run, since=since, accepted=accepted)


@command.command()
@click.option("--newest", type=click.IntRange(1), help="Keep only this many of each suite and model.")
@HISTORY
def gc(newest: int | None, history: str) -> None:
    """Remove damaged runs, unfinished ones, and the finished blocks that the next run would find."""
    from perturb.history import collect_garbage, trim_blocks

    unfinished, runs = collect_garbage(Path(history), newest=newest)
    blocks = trim_blocks(Path(history), most=0)
    console().print(f"Removed {runs} runs, {unfinished} unfinished ones and {blocks} blocks.")


@command.command()
@HISTORY
def rebuild(history: str) -> None:
    """Rebuild the index from the runs."""
    from perturb.history import rebuild as build

    console().print(f"{len(build(Path(history)))} runs indexed.")
