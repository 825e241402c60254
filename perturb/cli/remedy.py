"""`perturb remedy`: remedies compared, and a changed network saved."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.completion import suites
from perturb.cli.fine_tune import Making, making_options
from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.qualify import EXIT
from perturb.cli.terminal import console, echo, finish, progress
from perturb.errors import UsageError
from perturb.writing import write

if TYPE_CHECKING:
    from perturb.model import BlackBox, Network


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--with",
    "remedies",
    multiple=True,
    default=["all"],
    metavar="NAME",
    help="padding, slicing, pool, blurpool, mean-shortcut, space-to-depth, ask-twice[:K] or all; repeatable. NAME:kept "
    "keeps the weights, NAME:fresh draws them anew.  [default: all, fresh for an untrained network]",
)
@click.option(
    "--suite",
    shell_complete=suites,
    help="Measure the loss by the first check of this suite: a shipped name or a .perturb.toml file.",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of the untrained weights.")
@making_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the table to this .html file.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(
    choice: Choice,
    making: Making,
    remedies: tuple[str, ...],
    suite: str | None,
    seeds: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare remedies: what each costs, what it does to the lattice, and what loss remains.

    Without --suite only exact numbers are shown, in seconds. A function or an ONNX file can be asked twice,
    with a suite that reads its answers. To load a saved network again, give MODEL --remedy NAME --weights FILE.
    """
    from perturb.model import ASK_TWICE, Network
    from perturb.remedies import KINDS
    from perturb.render import remedy as view
    from perturb.render import remedy_page
    from perturb.render.fine_tune import lines
    from perturb.stories.remedy import compare
    from perturb.suite import load_suite

    if out is not None and out.suffix != ".html":
        raise UsageError(f"--out {out}: expected a file that ends in .html.")
    making.check(remedies, suite)
    names = remedies
    if "all" in remedies:
        names = (*KINDS, ASK_TWICE) if isinstance(choice.see()[0], Network) else (ASK_TWICE,)
    if making.fine_tune and ":" not in names[0]:
        names = (f"{names[0]}:kept",)

    def load(seed: int) -> "Network | BlackBox":
        return replace(choice, seed=seed).see()[0]

    with progress() as begin:
        asked = load_suite(suite) if suite else None
        rows, refused = compare(load, names, suite=asked, seeds=range(choice.seed, choice.seed + seeds), progress=begin)
    made = making.make(choice, names[0])
    if out is not None:
        write(out, remedy_page.html(rows, refused, choice.model, learnt=made is not None))
    if as_json:
        found = {"model": choice.model, "rows": [asdict(row) for row in rows], "refused": refused}
        found |= {"fine_tuned": asdict(made)} if made else {}
        echo(json.dumps(found, indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(view.table(rows, refused, choice.model, learnt=made is not None))
        if made:
            console().print(lines(made))
    if made and made.verdict:
        finish(EXIT[made.verdict])
