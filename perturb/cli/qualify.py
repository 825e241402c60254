"""`perturb qualify`: the main job."""

import shlex
import sys
from typing import TYPE_CHECKING

import click

from perturb.cli.files import folder, save
from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, progress

if TYPE_CHECKING:
    from perturb.incremental import Engine

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--suite", default="small-perturbation", show_default=True, help="A shipped name or a .perturb.toml file."
)
@click.option("--images", help="built-in, folder:PATH, dead-leaves or noise; in place of the suite's.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "incremental", "dense"]),
    default="auto",
    show_default=True,
    help="Compute what each perturbation changes, or the whole network anew.",
)
@click.option("--out", type=click.Path(file_okay=False), help="Folder for report.json and report.md.")
def command(choice: Choice, suite: str, images: str | None, engine: "Engine", out: str | None) -> None:
    """Measure a model by a suite and judge: the main job."""
    from perturb.suite import load_suite

    asked, where = load_suite(suite).reading(images), folder(out)

    from perturb.render import terminal
    from perturb.stories.qualify import qualify

    network, remedy = choice.load()
    again = shlex.join(
        ["perturb", "qualify", *choice.words(), "--suite", suite, *(["--images", images] if images else [])]
    )
    with progress() as begin:
        report = qualify(network, asked, engine=engine, command=again, remedy=remedy, progress=begin)
    view = console()
    view.print(terminal.report(report))
    if where is not None:
        save(report, where)
        view.print(f"Report: {where / 'report.md'} and report.json")
    sys.exit(EXIT[report.verdict])
