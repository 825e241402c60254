"""`perturb summary`: reports as Markdown, as a model-index or as the document of a qualification."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturb.cli.terminal import echo
from perturb.errors import UsageError

if TYPE_CHECKING:
    from perturb.report import Report

QUALIFICATION = ("qualification", "qualification-markdown")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path())
@click.option(
    "--as",
    "form",
    type=click.Choice(["markdown", "model-index", *QUALIFICATION]),
    default="markdown",
    show_default=True,
    help="Format.",
)
def command(folders: tuple[str, ...], form: str) -> None:
    """Print reports as Markdown, failures first.

    It reads every report.json in FOLDERS, at any depth; a file counts as one. For a pull request or the summary of a CI
    step:

    \b
    perturb summary run/ >> "$GITHUB_STEP_SUMMARY"

    The document of a qualification, of one run, as a page to print or as Markdown:

    \b
    perturb summary run/ --as qualification > qualification.html
    """
    paths = [path for folder in folders for path in _reports(Path(folder))]
    if not paths:
        raise UsageError(f"there is no report.json in {', '.join(f'`{folder}`' for folder in folders)}.")
    if form in QUALIFICATION and len(paths) > 1:
        raise UsageError(f"`--as {form}` is of one run, and {len(paths)} are given: name one of them, {paths[0]}.")
    echo(_qualification(paths[0], form) if form in QUALIFICATION else _all(paths, form), nl=False)


def _reports(given: Path) -> list[Path]:
    return [given] if given.is_file() else sorted(given.rglob("report.json"))


def _read(path: Path) -> "Report":
    from perturb.files import read_text
    from perturb.report import from_json

    return from_json(read_text(path), path)


def _qualification(path: Path, form: str) -> str:
    from perturb.render import qualification

    report = _read(path)
    return qualification.html(report) if form == "qualification" else qualification.markdown(report)


def _all(paths: Sequence[Path], form: str) -> str:
    from perturb.changes import from_json as changes_from
    from perturb.files import read_text
    from perturb.render.model_index import model_index
    from perturb.render.summary import Sheet, summary

    sheets = []
    for path in paths:
        beside = path.with_name("changes.json")
        changes = changes_from(read_text(beside), beside) if beside.exists() else None
        sheets.append(Sheet(report=_read(path), changes=changes))
    return summary(sheets) if form == "markdown" else model_index([sheet.report for sheet in sheets])
