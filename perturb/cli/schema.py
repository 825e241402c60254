"""`perturb schema`: the JSON Schema of a suite file or of report.json, and the kinds that a suite may name."""

import json
from typing import Any

import click

from perturb.cli.terminal import echo
from perturb.kinds import table


@click.command()
@click.option("--report", is_flag=True, help="Print the schema of report.json instead.")
@click.option("--kinds", is_flag=True, help="Print the tables of kinds as Markdown instead.")
def command(report: bool, kinds: bool) -> None:
    """Print the JSON Schema of a suite file or of report.json, or the tables of kinds."""
    if kinds:
        echo("\n\n".join(f"{name}\n\n{table}" for name, table in of_kinds().items()))
    else:
        echo(json.dumps(of_report() if report else of_suite(), indent=2, sort_keys=True))


def of_suite() -> dict[str, Any]:
    from perturb.suite import Suite

    return Suite.model_json_schema()


def of_report() -> dict[str, Any]:
    """The schema of a report's numbers; pictures and maps are in report.html alone."""
    from perturb.files import adapter
    from perturb.report import Report

    return adapter(Report).json_schema()


def of_kinds() -> dict[str, str]:
    """A Markdown table of each package of kinds: every kind, and what it is in words."""
    from perturb import evaluators, perturbations, quantities, tasks

    packages = {"perturbations": perturbations, "evaluators": evaluators, "tasks": tasks, "quantities": quantities}
    return {name: table(package.KINDS).rstrip() for name, package in packages.items()}
