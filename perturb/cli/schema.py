"""`perturb schema`: the JSON Schema of a suite file."""

import json

import click


@click.command()
def command() -> None:
    """The JSON Schema of a suite file."""
    from perturb.suite import Suite

    click.echo(json.dumps(Suite.model_json_schema(), indent=2, sort_keys=True))
