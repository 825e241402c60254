"""`perturb lint`: the structural certificate."""

import json
import math

import click

from perturb.cli.models import EPILOG, Choice, model_options
from perturb.cli.terminal import console, echo, finish
from perturb.cli.worker import finally_say
from perturb.errors import UsageError


@click.command(epilog=EPILOG)
@model_options
@click.option(
    "--layer", default="output", show_default=True, help="Layer to certify: output, last, stride:N or a module's name."
)
@click.option(
    "--at-most",
    type=click.FloatRange(1),
    metavar="RATIO",
    help="FAIL, with exit code 1, where the liveliest phase contributes more than RATIO times what the deadest does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the certificate as JSON.")
def command(choice: Choice, layer: str, at_most: float | None, as_json: bool) -> None:
    """Show which layers make dead pixels. Exact; needs no data and no trained weights."""
    from perturb.protocols import Differentiable
    from perturb.render import terminal
    from perturb.stories.lint import lint, lint_graph

    model, _ = choice.see()
    if isinstance(model, Differentiable):
        found = lint(model, layer)
    elif at_most is not None:
        raise UsageError(f"{model.name} tells no contribution by phase: leave out --at-most.")
    elif layer != "output":
        raise UsageError(f"{model.name} shows its output alone, not `{layer}`; leave out --layer.")
    else:
        found = lint_graph(model)
    if as_json:
        echo(json.dumps(found, indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(terminal.certificate(found))
    if at_most is not None and (ratio := math.inf if found["imbalance"] is None else found["imbalance"]) > at_most:
        finally_say(f"perturb: FAIL: max/min over the phases is {ratio:.6g}, wanted at most {at_most:g}.")
        finish(1)
