"""`perturb init`: a suite to begin with."""

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from perturb.cli.models import EPILOG, Choice, camera, model_options
from perturb.cli.several import by_folder
from perturb.cli.terminal import console, echo
from perturb.errors import UsageError
from perturb.writing import check_writable, write


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--images",
    default="built-in",
    show_default=True,
    metavar="FOLDER",
    help="Folder of your pictures; or any other source that a suite can name.",
)
def command(choice: Choice, images: str) -> None:
    """Write a first suite for MODEL: MODEL's name and .perturb.toml, in the current folder.

    It finds out what the model takes and answers, and how many of the pictures can be used. The suite says what it
    claims and how many photographs that takes. A file that is there already is never overwritten.
    """
    from perturb.render.first_suite import written
    from perturb.stories.first_suite import first_suite

    ((name, _),) = by_folder([choice]).items()
    name = name.removesuffix(".onnx")
    path = Path(f"{name}.perturb.toml")
    if os.path.lexists(path):
        raise UsageError(f"`{path}` is there already and is not overwritten: rename it, or use it as it is.")
    check_writable(Path())
    source = f"folder:{images}" if Path(images).is_dir() else images
    model, _ = choice.see()
    sensor = camera(choice.sensor).model_dump(exclude_none=True) if choice.sensor else {}
    found = first_suite(model, source, name=name, table=_table(choice), sensor=sensor)
    write(path, found.text)
    again = replace(choice, sensor=None).words()
    console().print(written(str(path), found))
    echo("Next:")
    echo(f"  {shlex.join(['perturb', 'plan', str(path), *again])}")
    echo(f"  {shlex.join(['perturb', 'qualify', *again, '--suite', str(path), '--out', 'run/'])}")


def _table(choice: Choice) -> dict[str, Any]:
    """The model as [models] of a suite names it."""
    given = {"weights": choice.weights, "remedy": choice.remedy, "seed": choice.seed}
    return {"reference": choice.model} | {key: value for key, value in given.items() if value}
