"""`perturb ...`: options in, exit codes out. 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input."""

import sys
import traceback
import warnings
from importlib import import_module
from typing import Any

import click

from perturb import __version__
from perturb.errors import InputError, PerturbError, PerturbWarning
from perturb.visible import visible

COMMANDS = (
    "demo",
    "lint",
    "map",
    "plan",
    "qualify",
    "remedy",
    "publish",
    "search",
    "replay",
    "rf",
    "shift",
    "tiles",
    "compare",
    "baseline",
    "history",
    "summary",
    "schema",
)  # as `perturb --help` lists them; a module here each


class _Group(click.Group):
    """Loads a command when it is used; an error becomes one line and its exit code, a warning one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"perturb.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("default", PerturbWarning)
            warnings.showwarning = lambda message, *_: click.echo(f"perturb: note: {message}", err=True)
            try:
                return super().invoke(ctx)
            except PerturbError as error:
                click.echo(f"perturb: {error}", err=True)
                sys.exit(error.exit_code)
            except BrokenPipeError:
                sys.exit(0)
            except (click.ClickException, click.Abort, click.exceptions.Exit):
                raise
            except Exception as error:  # whatever it is, it is no verdict: Python's own exit code would say FAIL
                click.echo(visible(traceback.format_exc()), err=True, nl=False)
                click.echo(f"perturb: unforeseen {type(error).__name__}: the lines above say where.", err=True)
                sys.exit(InputError.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perturb")
def main() -> None:
    """Find a vision model's dead pixels, measure the detection accuracy they cost, and decide.

    Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input.
    """
