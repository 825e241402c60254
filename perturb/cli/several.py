"""Several models by one suite: whatever one of them does, it loses its own row alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perturb.cli.models import Choice
from perturb.cli.terminal import fault
from perturb.cli.worker import LINE, tell
from perturb.errors import UsageError
from perturb.writing import write_together

if TYPE_CHECKING:
    from perturb.render.models import Row, SideBySide
    from perturb.report import Report
    from perturb.stories.qualify import Bench
    from perturb.suite import Suite

LONGEST = 60  # characters of a folder's name
TABLES = ("index.html", "models.md")


class ForAllError(UsageError):
    """What is wrong with the pictures that all models share."""


Measure = Callable[[str, Choice], "Report | None"]


def check_references(choices: Sequence[Choice]) -> None:
    """Raises UsageError where a reference is not well formed: no time is spent on the others then."""
    from perturb.model import parsed

    for choice in choices:
        parsed(choice.model)


def by_folder(choices: Sequence[Choice]) -> dict[str, Choice]:
    """Each choice by the name of its folder: the reference's last part, with a number where another has that name.

    Names that differ in case alone are the same to some systems, so to us.
    """
    from perturb.stories.publish import slug

    found: dict[str, Choice] = {}
    taken = set(TABLES)
    for choice in choices:
        stem = slug(choice.model)[:LONGEST].strip(".-") or "model"
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.casefold())
        found[name] = choice
    return found


def shared_bench(suite: "Suite") -> "Callable[[tuple[int, int, int]], Bench]":
    """The suite's bench by input shape, each set up once. It raises ForAllError for a wrong word about the pictures."""
    from perturb.stories.qualify import set_up

    @cache
    def bench(shape: tuple[int, int, int]) -> "Bench":
        try:
            return set_up(suite, shape)
        except UsageError as error:
            raise ForAllError(error) from error

    return bench


def rows(choices: Mapping[str, Choice], measure: Measure) -> "Iterator[Row]":
    """A row of each model, in order; `measure` gives its report, or None where nothing is judged.

    Where a model ends the process, the process that watches puts down why, and starts another one here.
    """
    for folder, choice in choices.items():
        came = LINE.parts.get(folder)
        if came is None:
            tell(begun=folder)
            came = _came(measure, folder, choice)
            tell(done=folder, came=came)
        yield _row(folder, choice, came)


def _came(measure: Measure, folder: str, choice: Choice) -> dict[str, Any]:
    from perturb.files import encode

    try:
        report = measure(folder, choice)
    except (KeyboardInterrupt, ForAllError):
        raise
    except BaseException as error:
        return {"error": fault(error)}
    return {"report": encode(report)} if report else {}


def _row(folder: str, choice: Choice, came: Mapping[str, str]) -> "Row":
    from perturb.render.models import Row
    from perturb.report import from_json

    report = from_json(came["report"], folder) if "report" in came else None
    return Row(folder=folder, reference=choice.model, report=report, error=came.get("error", ""))


def write_tables(found: "SideBySide", where: Path) -> None:
    """index.html and models.md, with links to each model's report."""
    from perturb.render import models

    texts = (models.page_of(found), models.markdown(found))
    write_together(where, {name: text.encode() for name, text in zip(TABLES, texts, strict=True)})
