"""`perturb qualify`: the main job."""

import shlex
import sys
from typing import TYPE_CHECKING

import click

from perturb.cli.baseline import CHANGED, read_baseline
from perturb.cli.files import HISTORY, folder, kept, save
from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, progress

if TYPE_CHECKING:
    from perturb.incremental import Engine

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}
WORST_FIRST = (4, 1, 3, 0)


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--suite", default="small-perturbation", show_default=True, help="A shipped name or a .perturb.toml file."
)
@click.option("--images", help="built-in, folder:PATH, dead-leaves or noise; in place of the suite's.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "incremental", "bfloat16", "dense"]),
    default="auto",
    show_default=True,
    help="Compute what each perturbation changes (bfloat16: to 1 or 2 %), or the whole network anew.",
)
@click.option("--recipe", type=click.Choice(["paper", "short"]), help="How long to train, in place of the suite's.")
@click.option(
    "--out", type=click.Path(file_okay=False), help="Folder for report.html, .md, .json, trials and checkpoints."
)
@click.option("--baseline", type=click.Path(dir_okay=False), help="Also say what changed since this baseline.")
@HISTORY
def command(
    choice: Choice,
    suite: str,
    images: str | None,
    engine: "Engine",
    recipe: str | None,
    out: str | None,
    baseline: str | None,
    history: str,
) -> None:
    """Measure a model by a suite and judge: the main job. The run is kept in the history.

    With --baseline each check is measured at the baseline's places and level as well, and the exit code is that of the
    worse of verdict and change.
    """
    from perturb.suite import load_suite

    asked, where = load_suite(suite).reading(images).taught(recipe), folder(out)
    past = read_baseline(baseline, asked) if baseline else None

    from perturb.baseline import compare, conditions
    from perturb.render import terminal
    from perturb.render.changes import changes
    from perturb.runs import encode
    from perturb.stories.qualify import examine

    network, remedy = choice.load()
    given = {"--suite": suite, "--images": images, "--recipe": recipe, "--baseline": baseline}
    said = [word for option, value in given.items() if value for word in (option, value)]
    again = shlex.join(["perturb", "qualify", *choice.words(), *said])
    with progress() as begin:
        at = conditions(past) if past else None
        keep = where and where / "training"
        run = examine(
            network, asked, conditions=at, engine=engine, command=again, remedy=remedy, keep=keep, progress=begin
        )
    files = encode(run)
    digest = kept(files, history)
    since = compare(past, run, digest) if past else None
    view = console()
    view.print(terminal.report(run.report))
    if since is not None:
        view.print()
        view.print(changes(since))
    if where is not None:
        save(run.report, where, files, since)
        view.print(f"Report: {where / 'report.html'}, report.md and report.json")
    codes = (EXIT[run.report.verdict], CHANGED[since.verdict] if since else 0)
    sys.exit(min(codes, key=WORST_FIRST.index))
