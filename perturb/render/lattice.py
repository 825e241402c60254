"""How a network's lattice lies in pictures that are resized, cropped or padded ahead of it, in words."""

from dataclasses import replace

from perturb.records import Lattice


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
    rows, columns = (f"{length:.4g}" for length in found.period)
    both = rows if rows == columns else f"{rows} x {columns}"
    own = f" ({found.input_period} of the network's input)" if found.input_period else ""
    chosen = (
        "" if found.whole else f"; dead and live pixels are chosen anew in each cell of {found.cell} x {found.cell}"
    )
    return f"{both} pixels of the picture{own}{chosen}"
