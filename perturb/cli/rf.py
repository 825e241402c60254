"""`perturb rf`: receptive fields, in theory and in effect."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from perturb.cli.models import DEVICE, EPILOG, SEED, SENSOR, Shown, behind_camera, shown_options
from perturb.cli.terminal import console, echo, progress
from perturb.errors import UsageError


@click.command(epilog=EPILOG)
@click.argument("models", metavar="MODEL...", nargs=-1)
@click.option(
    "--layer",
    default="last",
    show_default=True,
    help="Layer to compare several models at: last, stride:N or a module's name.",
)
@click.option(
    "--accuracies",
    type=click.Path(),
    help="CSV file with the columns model,accuracy. Without MODEL its models are measured.",
)
@shown_options
@SENSOR
@SEED
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(
    models: tuple[str, ...],
    layer: str,
    accuracies: str | None,
    shown: Shown,
    sensor: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure how far a network sees: its receptive field in theory and in effect.

    One model is shown by depth, several with a row each. --accuracies adds how size and accuracy are related.
    """
    from perturb.model import load_network
    from perturb.render import rf as view
    from perturb.stories import rf

    known = rf.read_accuracies(Path(accuracies)) if accuracies else {}
    names = models or tuple(known)
    if not names:
        raise UsageError("rf: give a MODEL, or --accuracies with some.")
    fields, side = [], 0
    with progress() as begin:
        for name in names:
            network = behind_camera(load_network(name, device=device, seed=seed), sensor)
            pictures, side = shown.on(network), network.input_shape[1]
            if len(names) == 1:
                fields = rf.by_depth(network, pictures, progress=begin)
            else:
                fields.append(rf.at_layer(network, network.find_layer(layer), pictures))
    relations = rf.relate(fields, known) if known else []
    if as_json:
        found = {"fields": [asdict(f) for f in fields], "relations": [asdict(r) for r in relations]}
        echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        console().print(view.table(fields, side, shown.count, relations=relations))
