"""`perturb baseline`: what later runs are held against."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.files import HISTORY, find_run, written
from perturb.cli.terminal import console
from perturb.errors import InputError, UsageError

if TYPE_CHECKING:
    from perturb.baseline import Baseline
    from perturb.suite import Suite

CHANGED = {"IMPROVED": 0, "EQUIVALENT": 0, "REGRESSED": 1, "INCONCLUSIVE": 3, "INCOMPARABLE": 4}  # exit codes
MARGIN = click.option(
    "--margin", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="A change up to it counts as none."
)


@click.group()
def command() -> None:
    """What later runs are held against: a small file, fit for git."""


@command.command()
@click.argument("baseline", type=click.Path(dir_okay=False))
@click.argument("run")
@MARGIN
@HISTORY
def accept(baseline: str, run: str, margin: float | None, history: str) -> None:
    """Make RUN (its folder or its digest in the history) the BASELINE file; nothing else ever moves one.

    The best run accepted yet stays in it: later runs are held against both.
    """
    from perturb import baseline as baselines
    from perturb.files import encode
    from perturb.render.changes import changes

    digest, found = find_run(run, history)
    before = read_baseline(baseline) if Path(baseline).exists() else None
    kept = before.margin if before else baselines.MARGIN
    accepted = baselines.accept(found, digest, margin=margin or kept, before=before)
    if before is not None:
        console().print(changes(baselines.compare(before, found, digest)))
    with written(Path(baseline)) as path:
        path.write_text(encode(accepted), encoding="utf-8")
    console().print(f"{baseline}: {digest[:12]} accepted, margin {accepted.margin:g}")


def read_baseline(path: str, suite: "Suite | None" = None) -> "Baseline":
    """The baseline in this file. Raises InputError where it is one of another suite: an hour's run is not lost."""
    from perturb.baseline import from_json
    from perturb.files import read_text

    try:
        found = from_json(read_text(Path(path)), path)
    except UsageError as error:
        raise UsageError(f"{error} `perturb baseline accept {path} RUN` makes the first.") from error
    if suite is not None and suite.digest != found.suite.digest:
        raise InputError(
            f"INCOMPARABLE: `{path}` is of suite {found.suite.name} {found.suite.digest[:12]}, "
            f"asked is {suite.name} {suite.digest[:12]}."
        )
    return found
