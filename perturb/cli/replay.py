"""`perturb replay`: does a kept counterexample still hold?"""

import sys
from pathlib import Path

import click

from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console
from perturb.errors import InputError, UsageError


@click.command(epilog=EPILOG)
@model_options
@click.argument("file", type=click.Path(dir_okay=False))
def command(choice: Choice, file: str) -> None:
    """Whether a counterexample that `search` kept in FILE holds for MODEL: exit code 1 if so, 0 if it is seen now."""
    from perturb import case
    from perturb.render import search as render
    from perturb.stories.search import replay
    from perturb.suite import Suite

    try:
        kept, about = case.from_json(Path(file).read_text(encoding="utf-8"))
        suite, check, aim = Suite.model_validate(about["suite"]), about["check"], about["aim"]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{file}` cannot be read: {error}") from error
    except (KeyError, ValueError) as error:
        raise InputError(f"`{file}` is no counterexample: {error}") from error
    network, _ = choice.load()
    found = replay(network, suite, kept, check=check, aim=aim)
    console().print(render.answer(found, aim, network.name))
    if network.digest != about.get("weights_digest"):
        console().print("These are other weights than those that it was found on.")
    sys.exit(int(found.holds))
