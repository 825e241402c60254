"""The console, and a progress bar on the error stream."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from perturb.cli.outlets import err, out
from perturb.errors import PerturbError
from perturb.visible import visible


def console() -> Any:
    """What prints names as they are: nothing in them is a style, an emoji or an order to the terminal."""
    from rich.console import Console

    class Visible(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for part in super().render(renderable, options):
                yield part if part.control else part._replace(text=visible(part.text))

    return Visible(highlight=False, markup=False, emoji=False, file=out())


def echo(text: str, *, nl: bool = True) -> None:
    """The result, as it is."""
    click.echo(text, file=out(), nl=nl)


def finish(code: int) -> NoReturn:
    """End the command with this code. Not by `sys.exit`: only a model's code ends that way."""
    raise click.exceptions.Exit(code)


def fault(error: BaseException) -> str:
    """What went wrong, in one line; for what nobody foresaw, the traceback is printed first."""
    if isinstance(error, PerturbError):
        return str(error)
    if isinstance(error, SystemExit):  # our own commands end by click's Exit
        return f"the model's code called sys.exit({error.code!r}), so there is no result."
    click.echo(visible("".join(traceback.format_exception(error))), file=err(), nl=False)
    return f"unforeseen {type(error).__name__}: the lines above say where."


@contextmanager
def progress(of: str = "") -> Iterator[Any]:
    """A bar on the error stream for whatever takes long; gone when done, silent where nobody watches.

    Each stage is shown after the words `of`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=err())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def begin(stage: str, steps: int) -> Callable[[int], None]:
            stage = f"{of}{stage}"
            task = bar.add_task(stage, total=steps)

            def tick(done: int, note: str = "") -> None:
                bar.update(task, advance=done, description=f"{stage}, {note}" if note else None)

            return tick

        yield begin
