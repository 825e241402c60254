"""`perturb replay`: does a kept counterexample still hold?"""

from pathlib import Path

import click

from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, finish


@click.command(epilog=EPILOG)
@model_options
@click.argument("file", type=click.Path(dir_okay=False))
def command(choice: Choice, file: str) -> None:
    """Try a counterexample that `perturb search` saved in FILE on MODEL.

    Exit code 1 if it still holds, 0 if not.
    """
    from pydantic import ValidationError

    from perturb import counterexample, files
    from perturb.render import search as render
    from perturb.stories.search import replay
    from perturb.suite import Suite

    kept, about = counterexample.from_json(files.read_text(Path(file)), file)
    try:
        suite = Suite.model_validate(about.suite)
    except ValidationError as error:
        raise files.invalid(error, file, at="about.suite") from error
    network, _ = choice.load()
    found = replay(network, suite, kept, check=about.check, aim=about.aim)
    console().print(render.answer(found, about.aim, network.name))
    if network.digest != about.weights_digest:
        console().print("These are other weights than those that it was found on.")
    finish(int(found.holds))
