"""`perturb ...`: options in, exit codes out. 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input."""

import sys
import warnings
from functools import wraps
from importlib import import_module
from typing import Any, NoReturn

import click

from perturb import __version__
from perturb.cli.outlets import apart, err
from perturb.cli.terminal import fault
from perturb.cli.watch import watched
from perturb.cli.worker import INTERRUPTED, finally_say
from perturb.errors import InputError, PerturbError, PerturbWarning

COMMANDS = (
    "demo",
    "init",
    "lint",
    "map",
    "plan",
    "qualify",
    "remedy",
    "publish",
    "search",
    "replay",
    "explain",
    "rf",
    "shift",
    "tiles",
    "compare",
    "baseline",
    "history",
    "summary",
    "schema",
    "doctor",
)  # as `perturb --help` lists them; a module here each


class _Group(click.Group):
    """Loads a command when it is used; an error becomes one line and its exit code, a warning one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"perturb.cli.{cmd_name}").command
        command.name = cmd_name  # each module calls its own `command`
        _set_apart(command)
        return command

    def __call__(self, *args: Any, **rest: Any) -> NoReturn:
        """As a program. Called as `main.main(...)`, a command runs in this process."""
        watched(lambda: self.main(*args, **rest))

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("default", PerturbWarning)
            warnings.showwarning = lambda message, *_: click.echo(f"perturb: note: {message}", file=err())
            try:
                return super().invoke(ctx)
            except PerturbError as error:
                _end(error.exit_code, str(error))
            except (click.ClickException, click.Abort, click.exceptions.Exit):
                raise
            except KeyboardInterrupt:
                _end(INTERRUPTED, "interrupted.")
            except BaseException as error:  # whatever it is, it is no verdict: Python's own exit code would say FAIL
                _end(InputError.exit_code, fault(error))


def _end(code: int, text: str) -> NoReturn:
    finally_say(f"perturb: {text}")
    sys.exit(code)


def _set_apart(command: click.Command) -> None:
    """While the command's own function runs, what others print is kept from its words."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _set_apart(each)
    elif not hasattr(command.callback, "is_apart"):
        function = command.callback

        @wraps(function)  # type: ignore[arg-type]
        def alone(*args: Any, **rest: Any) -> Any:
            with apart():
                return function(*args, **rest)  # type: ignore[misc]

        alone.is_apart = True  # type: ignore[attr-defined]
        command.callback = alone


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perturb")
def main() -> None:
    """Find a vision model's dead pixels, measure the detection accuracy they cost, and decide.

    Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 INVALID or broken input, 130 interrupted.
    """
