"""`perturb shift`: translation consistency."""

import json
from dataclasses import asdict

import click

from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, echo, progress


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--images", default="built-in", show_default=True, help="Pictures: built-in, folder:PATH, dead-leaves or noise."
)
@click.option(
    "--count", default=20, show_default=True, type=click.IntRange(2), help="Pictures to draw (dead-leaves, noise)."
)
@click.option("--span", default=8, show_default=True, type=click.IntRange(4, 31), help="Largest offset in pixels.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
def command(choice: Choice, images: str, count: int, span: int, as_json: bool) -> None:
    """Measure how much the output changes when the crop moves by a few pixels."""
    from perturb.render import shift as view
    from perturb.stories.shift import shift

    model, _ = choice.see()
    with progress() as begin:
        found = shift(model, images, span=span, count=count, progress=begin)
    if as_json:
        echo(json.dumps(asdict(found), indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(view.table(found))
