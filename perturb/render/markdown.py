"""A Report as Markdown: the verdict first, then every number with its interval."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from perturb.render.terminal import describe, number, rate
from perturb.report import Report


def report(found: Report) -> str:
    """The text of report.md."""
    environment = Environment(
        loader=PackageLoader("perturb.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(number=number, rate=rate, code=code, percent=lambda share: f"{share:.0%}")
    return environment.get_template("report.md.j2").render(r=found, description=describe(found.model))


def code(text: object) -> str:
    """A code span that no name can break out of, in a table cell too."""
    return "`" + str(text).replace("`", "'").replace("|", "¦").replace("\n", " ") + "`"
