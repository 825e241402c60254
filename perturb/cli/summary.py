"""`perturb summary`: reports as Markdown or as a model-index."""

from pathlib import Path

import click

from perturb.cli.terminal import echo
from perturb.errors import UsageError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path())
@click.option(
    "--as",
    "form",
    type=click.Choice(["markdown", "model-index"]),
    default="markdown",
    show_default=True,
    help="Format.",
)
def command(folders: tuple[str, ...], form: str) -> None:
    """Print reports as Markdown, failures first.

    It reads every report.json in FOLDERS, at any depth. For a pull request or the summary of a CI step:

    \b
    perturb summary run/ >> "$GITHUB_STEP_SUMMARY"
    """
    from perturb.changes import from_json as changes_from
    from perturb.files import read_text
    from perturb.render.model_index import model_index
    from perturb.render.summary import Sheet, summary
    from perturb.report import from_json

    paths = [path for folder in folders for path in sorted(Path(folder).rglob("report.json"))]
    if not paths:
        raise UsageError(f"there is no report.json in {', '.join(f'`{folder}`' for folder in folders)}.")
    sheets = []
    for path in paths:
        beside = path.with_name("changes.json")
        changes = changes_from(read_text(beside), beside) if beside.exists() else None
        sheets.append(Sheet(report=from_json(read_text(path), path), changes=changes))
    text = summary(sheets) if form == "markdown" else model_index([sheet.report for sheet in sheets])
    echo(text, nl=False)
