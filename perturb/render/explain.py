"""Where a lattice comes from: tables for the terminal, Markdown and a page, and the layers' shares as a chart."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from perturb import files
from perturb.comparisons import Contrast, Estimate, Explanation, SampledLayer
from perturb.render import charts, page
from perturb.render.columns import table_of
from perturb.render.environment import fill
from perturb.visible import plained


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table; its first column holds words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def sections(found: Explanation) -> list[Section]:
    return [_chain(found), _ranks(found), _layers(found), _border(found)]


def table(found: Explanation) -> RenderableType:
    """For the terminal."""
    found = plained(found)
    parts: list[RenderableType] = [Text.assemble((head(found), "bold")), Text(found.why), Text(measured(found), "dim")]
    for section in sections(found):
        shown = table_of(*section.columns, right=section.columns[1:])
        for row in section.rows:
            shown.add_row(*row)
        parts += [Text(), Text(section.title, "bold"), shown, Text(section.note, "dim")]
    return Group(*parts)


def markdown(found: Explanation) -> str:
    return fill("explain.md.j2", markup=False, **_values(found))


def html(found: Explanation) -> str:
    """One file that opens offline."""
    return page.fill("explain.html.j2", chart_of_shares=_chart(found), **_values(found))


def svg(found: Explanation) -> str:
    """The chart of the layers' shares alone."""
    return charts.svg(_chart(found))


WRITERS: dict[str, Callable[[Explanation], str]] = {
    ".html": html,
    ".json": files.encode,
    ".md": markdown,
    ".svg": svg,
}


def text_for(found: Explanation, out: Path) -> str:
    """What a file with this suffix holds."""
    return WRITERS[out.suffix](found)


def head(found: Explanation) -> str:
    seen = "its output" if found.layer == "output" else f"`{found.layer}`"
    return f"{found.model}, {seen}: {found.origin}"


def measured(found: Explanation) -> str:
    return f"{found.photographs} pictures ({found.source}), phases of {found.period} x {found.period} pixels."


def _values(found: Explanation) -> dict[str, Any]:
    return {"found": found, "head": head(found), "measured": measured(found), "sections": sections(found)}


def _chart(found: Explanation) -> dict[str, object]:
    layers = plained(found.shares.layers)
    return charts.shares(
        [(layer.name, of, share) for layer in layers for of, share in zip(charts.SHARES, _both(layer), strict=True)]
    )


def _both(layer: SampledLayer) -> tuple[float, float]:
    return layer.by_shape, layer.by_weights


def _chain(found: Explanation) -> Section:
    of = {"the structure": found.structural, "half of the pictures": found.own}
    columns = ("chosen by", "structure", "gradient", "response", "detected")
    there = {name: each for name, each in of.items() if each}
    shown = columns if any(each.detection for each in there.values()) else columns[:-1]
    return Section(
        title="The chain: live phases / dead ones",
        columns=shown,
        rows=tuple((name, *_contrast(each))[: len(shown)] for name, each in there.items()),
        note=_compensation(found.compensation)
        + "Structure: what gradients would be if the weights were random. Half of the pictures choose phases, and the "
        "others measure there. A phase below a thousandth of the liveliest counts as that thousandth."
        + (" Detected: live - dead, in shares." if shown == columns else ""),
    )


def _compensation(found: Estimate | None) -> str:
    if found is None:
        return "The structure reads all phases alike: there is nothing to compensate. "
    return f"Compensation index {_plain(found)}: 0 as the structure says, 1 flat, above 1 reversed. "


def _contrast(found: Contrast) -> Iterator[str]:
    yield f"{math.exp(found.structure):.2f}"
    yield _ratio(found.gradient)
    yield _ratio(found.response) if found.response else ""
    yield _plain(found.detection) if found.detection else ""


def _ranks(found: Explanation) -> Section:
    rows = ((link.of, _plain(link.rank) if link.rank else "one is flat", f"{link.phases}") for link in found.links)
    return Section(
        title="Do phases keep their order?",
        columns=("maps", "Spearman", "phases"),
        rows=tuple(rows),
        note="Over phases, with the jackknife's interval of 95 % over pictures.",
    )


def _layers(found: Explanation) -> Section:
    shares = found.shares
    rows = [
        (
            layer.name,
            f"{layer.kernel[0]} x {layer.kernel[1]} / {_pair(layer.stride)}",
            "yes" if layer.balanced else "no",
            "infinite" if layer.alias is None else f"{layer.alias:.2f}",
            _pair(layer.left),
            *(f"{share:+.3f}" for share in _both(layer)),
        )
        for layer in shares.layers
    ]
    for name, values in (("rest", shares.rest), ("all of it", shares.whole)):
        rows.append((name, "", "", "", "", *(f"{value:+.3f}" for value in values)))
    sampled = "" if all(shares.exact) else " Where layers are many, random orders stand for all."
    return Section(
        title="Which layer?",
        columns=("strided layer", "kernel", "even", "alias", "left", *charts.SHARES),
        rows=tuple(rows),
        note="Alias: response of the weights at the stride's alias frequencies over that at zero; 0 makes no "
        "checkerboard. Left: rows and columns that its last windows do not reach. Shares: Shapley, of ln(liveliest / "
        "deadest) of the structure's squares (+2.2 is a factor of 3 above), by the window's shape alone and by the "
        "mean square of each tap of the weights; "
        f"rest: every strided layer reads all pixels alike.{sampled}",
    )


def _border(found: Explanation) -> Section:
    border = found.border
    parts = {"distance to the edge": border.edge, "phase": border.phase, "neither": border.rest}
    return Section(
        title="Border or lattice?",
        columns=("part", "of the variance of ln S"),
        rows=tuple((name, _percent(each)) for name, each in parts.items()),
        note=f"The inside counts {_ratio(border.weaker)} times as much as the outermost line of the weakest side, "
        f"{border.side}.{_rest(found)}",
    )


def _rest(found: Explanation) -> str:
    left = [layer.name for layer in found.shares.layers if any(layer.left)]
    if not left:
        return " No strided layer leaves a rest: padding is even."
    mended = found.border.even_shape
    advice = (
        f"pictures of {mended[0]} x {mended[1]} leave none" if mended else "no larger shape was found that mends it"
    )
    return f" Padding is uneven at {', '.join(left)}; {advice}."


def _ratio(found: Estimate) -> str:
    return f"{math.exp(found.value):.2f} [{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]"


def _plain(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _percent(found: Estimate) -> str:
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def _pair(of: tuple[int, int]) -> str:
    return str(of[0]) if of[0] == of[1] else f"{of[0]} x {of[1]}"
