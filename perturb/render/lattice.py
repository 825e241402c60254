"""How a network's lattice lies in pictures that are resized, cropped or padded ahead of it, in words."""

from dataclasses import replace

from perturb.records import Contribution, Lattice
from perturb.report import MapSummary


def sentences(found: Lattice | None, own: bool = True) -> list[str]:
    """What nobody reads comes first; nothing where the network takes the user's picture as it is.

    Without the network's `own` period that of the resizing alone is told.
    """
    if found is None:
        return []
    lines = []
    if found.unread:
        rest = "the pixels that are taken" if found.outside else "your camera's pixels"
        lines.append(f"{found.unread:.0%} of {rest} are never read: resizing passes over them.")
    if found.outside:
        lines.append(f"{found.outside:.0%} of the picture lies outside the part that is taken.")
    if not own:
        return [*lines, f"Resizing alone repeats every {period(replace(found, input_period=0))}."]
    return [*lines, f"The lattice repeats every {period(found)}."]


def period(found: Lattice) -> str:
    """Its period, in pixels of the picture and in those of the network's input."""
    own = f" ({found.input_period} of the network's input)" if found.input_period else ""
    chosen = (
        "" if found.whole else f"; dead and live pixels are chosen anew in each cell of {found.cell} x {found.cell}"
    )
    return f"{_both(*found.period)} pixels of the picture{own}{chosen}"


def repeats(found: Contribution | MapSummary) -> str:
    """After how many pixels a map repeats; "rows x columns" where they differ."""
    return _both(*(found.periods or (found.period, found.period)))


def pixels(rows: int, columns: int) -> str:
    """ "32 pixels", or "4 x 1 pixels (rows x columns)"."""
    return f"{_both(rows, columns)} pixels{'' if rows == columns else ' (rows x columns)'}"


def _both(*lengths: float) -> str:
    rows, columns = (f"{length:.4g}" for length in lengths)
    return rows if rows == columns else f"{rows} x {columns}"
