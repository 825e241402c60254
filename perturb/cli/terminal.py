"""The console, and a progress bar on the error stream."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from perturb.cli.outlets import err, out
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


@contextmanager
def progress() -> Iterator[Any]:
    """A bar on the error stream for whatever takes long; gone when done, silent where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=err())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def begin(stage: str, steps: int) -> Callable[[int], None]:
            task = bar.add_task(stage, total=steps)

            def tick(done: int, note: str = "") -> None:
                bar.update(task, advance=done, description=f"{stage}, {note}" if note else None)

            return tick

        yield begin
