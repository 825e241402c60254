"""`perturb remedy`: remedies compared, and a changed network saved."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.outlets import err
from perturb.cli.terminal import console, echo, progress
from perturb.errors import UsageError

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
    "--suite", help="Measure the loss by the first check of this suite: a shipped name or a .perturb.toml file."
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Draws of the untrained weights.")
@click.option("--save", type=click.Path(dir_okay=False), help="Save the changed weights to this .safetensors file.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(
    choice: Choice, remedies: tuple[str, ...], suite: str | None, seeds: int, save: str | None, as_json: bool
) -> None:
    """Compare remedies: what each costs, what it does to the lattice, and what loss remains.

    Without --suite only exact numbers are shown, in seconds. A function or an ONNX file can be asked twice,
    with a suite that reads its answers. To load a saved network again, give MODEL --remedy NAME --weights FILE.
    """
    from perturb.model import ASK_TWICE, Network
    from perturb.remedies import KINDS
    from perturb.render import remedy as view
    from perturb.stories.remedy import compare
    from perturb.suite import load_suite

    every = (*KINDS, ASK_TWICE) if isinstance(choice.see()[0], Network) else (ASK_TWICE,)
    names = every if "all" in remedies else remedies
    if save is not None and (len(names) != 1 or names[0].startswith(ASK_TWICE) or not save.endswith(".safetensors")):
        raise UsageError(f"--save {save}: expected one --with NAME that changes weights, and a .safetensors file.")

    def load(seed: int) -> "Network | BlackBox":
        return replace(choice, seed=seed).see()[0]

    with progress() as begin:
        asked = load_suite(suite) if suite else None
        rows, refused = compare(load, names, suite=asked, seeds=range(choice.seed, choice.seed + seeds), progress=begin)
    if as_json:
        found = {"model": choice.model, "rows": [asdict(row) for row in rows], "refused": refused}
        echo(json.dumps(found, indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(view.table(rows, refused, choice.model))
    if save is not None:
        _save(choice.load()[0], names[0], choice.seed, Path(save))


def _save(network: "Network", name: str, seed: int, path: Path) -> None:
    from perturb.model import save_weights
    from perturb.remedies import apply_remedy

    module, _ = apply_remedy(network, name, seed=seed)
    save_weights(module, path)
    click.echo(f"Saved to {path}; load it with --remedy {name.partition(':')[0]} --weights {path}", file=err())
