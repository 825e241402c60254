"""A Report as Markdown: the verdict first, then every number with its interval."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from perturb.changes import Changes
from perturb.render.changes import moved, title, who, why
from perturb.render.terminal import describe, number, rate, scaled, trained
from perturb.report import Report


def report(found: Report, since: Changes | None = None) -> str:
    """The text of report.md; `since` is what changed since a baseline."""
    return environment().get_template("report.md.j2").render(r=found, since=since, description=describe(found.model))


@cache
def environment() -> Environment:
    """Where the templates find themselves and their filters."""
    made = Environment(
        loader=PackageLoader("perturb.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters.update(number=number, rate=rate, scaled=scaled, trained=trained, code=code)
    made.filters.update(percent=lambda share: f"{share:.0%}", by_name=lambda e: {m.name: m for m in e.measures})
    made.filters.update(who=who, title=title, moved=moved, why=why)
    return made


def code(text: object) -> str:
    """A code span that no name can break out of, in a table cell too."""
    return "`" + str(text).replace("`", "'").replace("|", "¦").replace("\n", " ") + "`"
