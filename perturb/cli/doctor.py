"""`perturb doctor`: what this machine has and lacks."""

from pathlib import Path

import click

from perturb.cli import memory
from perturb.cli.files import HISTORY
from perturb.cli.terminal import console, finish
from perturb.errors import InputError


@click.command()
@HISTORY
def command(history: str) -> None:
    """Say what this machine has and lacks for perturb, and what to do about it.

    What keeps perturb from working comes first, then what wants something done. Exit code 0 unless perturb cannot work.
    """
    from perturb.render.doctor import signs
    from perturb.stories.doctor import examine

    found = examine(Path(history), memory.limit())
    console().print(signs(found), soft_wrap=True)
    finish(InputError.exit_code if any(sign.state == "broken" for sign in found) else 0)
