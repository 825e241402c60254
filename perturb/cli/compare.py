"""`perturb compare`: two runs compared trial by trial."""

from dataclasses import replace
from pathlib import Path

import click

from perturb.cli.baseline import CHANGED, MARGIN, read_baseline
from perturb.cli.files import HISTORY, find_run
from perturb.cli.terminal import console, finish


@click.command()
@click.argument("baseline")
@click.argument("candidate")
@MARGIN
@HISTORY
def command(baseline: str, candidate: str, margin: float | None, history: str) -> None:
    """Show what changed between two runs, trial by trial.

    BASELINE is a baseline file or a run. CANDIDATE is a run. A run is a folder, or a digest in the history.

    Exit codes: 0 EQUIVALENT or IMPROVED, 1 REGRESSED, 3 INCONCLUSIVE, 4 INCOMPARABLE.
    """
    from perturb import baseline as baselines
    from perturb.render.changes import changes

    path = Path(baseline)
    if path.exists() and not path.is_dir() and path.name != "report.json":
        past = read_baseline(baseline)
    else:
        digest, run = find_run(baseline, history)
        past = baselines.accept(run, digest)
    digest, run = find_run(candidate, history)
    found = baselines.compare(replace(past, margin=margin or past.margin), run, digest)
    console().print(changes(found))
    finish(CHANGED[found.verdict])
