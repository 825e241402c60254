"""`perturb search`: find the worst case, simplify it, and keep it in a file that can be replayed."""

import shlex
from pathlib import Path

import click

from perturb.cli.completion import suites
from perturb.cli.models import EPILOG, IMAGES, Choice, model_options
from perturb.cli.terminal import console, finish, progress
from perturb.writing import write


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--suite",
    default="single-pixel",
    show_default=True,
    shell_complete=suites,
    help="A shipped name or a .perturb.toml file.",
)
@click.option("--check", help="A check of the suite.  [default: its first]")
@IMAGES
@click.option("--flip", is_flag=True, help="Seek a changed label instead of a miss.")
@click.option(
    "--budget", default=4096, show_default=True, type=click.IntRange(32), help="Perturbed pictures to look at."
)
@click.option("--out", default="counterexample.json", show_default=True, type=click.Path(dir_okay=False))
def command(
    choice: Choice, suite: str, check: str | None, images: str | None, flip: bool, budget: int, out: str
) -> None:
    """The worst place and level for a perturbation: seen elsewhere, missed here. Exit code 1 if there is one."""
    from perturb import counterexample
    from perturb.render import search as render
    from perturb.stories.search import search
    from perturb.suite import load_suite

    asked = load_suite(suite).reading(images)
    network, _ = choice.load()
    with progress() as begin:
        sweep, found = search(
            network, asked, check=check, aim="flipped" if flip else "missed", budget=budget, progress=begin
        )
    view = console()
    view.print(render.view(sweep, found, network.name))
    if found is None:
        return
    about = counterexample.About(
        aim=sweep.aim,
        check=check or asked.check[0].name,
        model=shlex.join(choice.words()),
        suite=asked.model_dump(mode="json", exclude_none=True, exclude={"models", "expected_failures"}),
        weights_digest=network.digest,
    )
    write(Path(out), counterexample.to_json(found.simplest.case, about))
    view.print(f"Again: perturb replay {shlex.join([*choice.words(), out])}")
    finish(1)
