"""`perturb plan`: what a suite takes and can decide, before anything is measured."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from perturb.cli.completion import suites
from perturb.cli.models import EPILOG, IMAGES, Choice, camera, if_named_options
from perturb.cli.terminal import console, echo
from perturb.errors import UsageError


@click.command(epilog=EPILOG)
@click.argument("suite", metavar="SUITE", shell_complete=suites)
@if_named_options
@IMAGES
@click.option(
    "--from",
    "earlier",
    type=click.Path(dir_okay=False),
    metavar="REPORT.JSON",
    help="Report of an earlier run, whose photographs differ as these will.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def command(suite: str, choice: Choice, images: str | None, earlier: str | None, as_json: bool) -> None:
    """Show what a suite takes and what it can decide, before anything is measured.

    Pictures by stage, and for each check how often it would PASS, FAIL or stay INCONCLUSIVE if so much were lost, by
    simulation with the photographs that there are. With a MODEL also the minutes, from a few timed pictures.
    """
    from perturb.files import read_text
    from perturb.render import outline as view
    from perturb.report import from_json
    from perturb.stories.outline import prospect
    from perturb.suite import load_suite

    asked = load_suite(suite).reading(images)
    past = from_json(read_text(Path(earlier)), earlier) if earlier else None
    if choice.model:
        model, _ = choice.see()
    elif choice.weights or choice.remedy:
        raise UsageError("--weights and --remedy are of a MODEL: name it after the suite.")
    else:
        model = None
        if choice.sensor is not None:
            asked = asked.model_copy(update={"sensor": camera(choice.sensor)})
    found = prospect(asked, model, past)
    if as_json:
        echo(json.dumps(asdict(found), indent=2, sort_keys=True, allow_nan=False))
    else:
        console().print(view.outline(found))
