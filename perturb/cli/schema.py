"""`perturb schema`: the JSON Schema of a suite file, or of report.json."""

import json
from typing import Any

import click


@click.command()
@click.option("--report", is_flag=True, help="Of report.json instead.")
def command(report: bool) -> None:
    """The JSON Schema of a suite file, or of report.json."""
    click.echo(json.dumps(of_report() if report else of_suite(), indent=2, sort_keys=True))


def of_suite() -> dict[str, Any]:
    from perturb.suite import Suite

    return Suite.model_json_schema()


def of_report() -> dict[str, Any]:
    """What a report shows beside its numbers is in report.html alone."""
    from perturb.files import adapter
    from perturb.report import Report

    return adapter(Report).json_schema()
