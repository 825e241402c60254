"""The console, and a progress bar on the error stream."""

import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from perturb.cli.outlets import err, out
from perturb.errors import PerturbError
from perturb.visible import visible

MINUTE = 60.0  # seconds


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


@dataclass
class Lines:
    """Where nobody watches a bar: one line a minute, none in the first. Steps are known once their stage has begun."""

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    total: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self._started = self._said = self.clock()

    def advance(self, done: int) -> None:
        self.done += done
        now = self.clock()
        if now - self._said < MINUTE or not self.done:
            return
        self._said = now
        left = (now - self._started) * (self.total - self.done) / self.done
        known = f"{self.done} of the {self.total} steps known so far are done"
        self.say(f"{known}, about {math.ceil(left / MINUTE)} min left for them")


@contextmanager
def progress(of: str = "") -> Iterator[Any]:
    """One bar on the error stream for a whole run, gone when done; a line a minute where that is no terminal.

    Steps count as soon as their stage is begun. Words and lines begin with `of`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=err())
    lines = Lines(say=lambda text: click.echo(f"{of}{text}", file=err()))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=0)

        def begin(stage: str, steps: int) -> Callable[[int], None]:
            lines.total += steps
            bar.update(task, total=lines.total)

            def tick(done: int, note: str = "") -> None:
                bar.update(task, advance=done, description=f"{of}{stage}, {note}" if note else f"{of}{stage}")
                if bar.disable:
                    lines.advance(done)

            return tick

        yield begin
