"""`perturb history`: the runs that were kept."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from perturb.cli.files import HISTORY
from perturb.cli.terminal import console, echo
from perturb.writing import write


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
@HISTORY
def trend(as_json: bool, out: Path | None, history: str) -> None:
    """Show each check over time, for each suite and model."""
    from perturb.history import entries, load
    from perturb.history import trend as series
    from perturb.render.run_list import trends

    runs = entries(Path(history))
    found = series(runs)
    if out is not None:
        from perturb.render.trend import trend as page

        write(out, page([load(entry.run, Path(history))[1].report for entry in runs]))
        console().print(f"Saved to {out}")
    elif as_json:
        echo(json.dumps([asdict(each) for each in found], indent=2, sort_keys=True))
    else:
        console().print(trends(found))


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
