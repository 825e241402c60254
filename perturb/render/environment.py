"""The Jinja environment of all templates, with their filters."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from perturb.render import changes, headline, levels, threshold
from perturb.render.badges import BADGES, verdict
from perturb.render.lattice import repeats, sentences
from perturb.render.phases import arms, both, extremes, phase_grid
from perturb.render.terminal import (
    cause,
    clean,
    limits,
    loss,
    moved,
    number,
    rate,
    region,
    scaled,
    trained,
    unproven,
    unread,
    until,
    would_decide,
)
from perturb.visible import plained


def fill(template: str, *, markup: bool, **values: Any) -> str:
    """A template, filled in: no text among the values, at any depth, can hide a character or break a line."""
    return environment(markup=markup).get_template(template).render(plained(values))


@cache
def environment(*, markup: bool) -> Environment:
    """Of pages, where every name is escaped, or of Markdown."""
    made = Environment(
        loader=PackageLoader("perturb.render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not markup,
        autoescape=markup,
    )
    made.filters.update(number=number, rate=rate, scaled=scaled, trained=trained, code=code, unmarked=unmarked)
    made.filters.update(with_code=with_code, breakable=breakable, day=changes.day)
    made.filters.update(percent=lambda share: f"{share:.0%}", by_name=lambda e: {m.name: m for m in e.measures})
    made.filters.update(title=headline.title, verdict=verdict, quantity=headline.quantity, clean=clean)
    made.filters.update(threshold=threshold.words)
    made.filters.update(mark=lambda verdict: BADGES[verdict].mark)
    made.filters.update(design=moved, phase_grid=phase_grid, region=region, until=until, limits=limits, loss=loss)
    made.filters.update(reached=levels.rows, decibels=levels.decibels, remarks=levels.remarks, spacing=levels.spacing)
    made.filters.update(size_laws=lambda experiments: list(levels.size_laws(experiments)))
    made.filters.update(sentences=sentences, repeats=repeats, would_decide=would_decide, unproven=unproven)
    made.filters.update(arms=arms, both=both, extremes=extremes, cause=cause, unread=unread)
    made.filters.update(
        who=changes.who, change=changes.title, moved=changes.moved, why=changes.why, deciding=changes.deciding
    )
    return made


def unmarked(text: str) -> str:
    """Text of Markdown in which no name marks anything up."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", " ".join(text.split()))


def code(text: object) -> str:
    """A code span of Markdown that no name can break out of, in a table cell too."""
    return "`" + str(text).replace("`", "'").replace("|", "¦").replace("\n", " ") + "`"


def with_code(text: object) -> Markup:
    """Text for a page: what stands between backticks becomes <code>, and no name marks anything else up."""
    parts = [escape(part) for part in re.split(r"`([^`]+)`", str(text))]
    parts[1::2] = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    return Markup("").join(parts)


def breakable(name: str) -> Markup:
    """A name for a page, which a narrow column may break behind its signs."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[-_./:@])", name))
