"""`perturb explain`: where a lattice comes from."""

from pathlib import Path

import click

from perturb.cli.completion import suites
from perturb.cli.models import EPILOG, Choice, Shown, model_options, shown_options
from perturb.cli.terminal import console, progress
from perturb.errors import UsageError


@click.command(epilog=EPILOG)
@model_options
@click.option("--layer", help="output, last, stride:N or a module's name.  [default: output; of a suite, its own]")
@shown_options
@click.option(
    "--suite",
    shell_complete=suites,
    help="Add detection by phase, by the first check of this suite, and look at its layer.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="Save to this file: .html, .md, .json, or .svg (a chart).")
def command(choice: Choice, layer: str | None, shown: Shown, suite: str | None, out: str | None) -> None:
    """Explain where dead pixels come from: the structure, the weights or the border, and which layer.

    Follows each phase from the architecture to gradients, responses and detection. Needs a network with gradients.
    """
    from perturb.render import explain as view
    from perturb.stories.explain import explain
    from perturb.suite import load_suite
    from perturb.writing import write

    if out is not None and Path(out).suffix not in view.WRITERS:
        raise UsageError(f"--out {out}: expected a file that ends in {', '.join(view.WRITERS)}.")
    asked = load_suite(suite) if suite else None
    model, _ = choice.load()
    wanted = layer or ((asked.check[0].evaluator or asked.evaluator).layer if asked else "output")
    with progress() as begin:
        found = explain(model, shown.on(model), model.find_layer(wanted), suite=asked, progress=begin)
    console().print(view.table(found))
    if out is not None:
        write(Path(out), view.text_for(found, Path(out)))
        console().print(f"Saved to {out}")
