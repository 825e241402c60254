"""`perturb baseline`: the file that later runs are compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.files import HISTORY, find_run
from perturb.cli.terminal import console
from perturb.errors import InputError, UsageError
from perturb.writing import write

if TYPE_CHECKING:
    from perturb.baseline import Baseline
    from perturb.suite import Suite

CHANGED = {"IMPROVED": 0, "EQUIVALENT": 0, "REGRESSED": 1, "INCONCLUSIVE": 3, "INCOMPARABLE": 4}  # exit codes
MARGIN = click.option(
    "--margin", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Largest change that counts as none."
)


@click.group()
def command() -> None:
    """Accept a run as the baseline that later runs are compared with."""


@command.command()
@click.argument("baseline", type=click.Path(dir_okay=False))
@click.argument("run")
@MARGIN
@HISTORY
def accept(baseline: str, run: str, margin: float | None, history: str) -> None:
    """Write the file BASELINE from RUN, which is a folder or a digest in the history.

    Only this command changes a baseline. The file also keeps the best run accepted so far, and later runs are compared
    with both.
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
    write(Path(baseline), encode(accepted))
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
