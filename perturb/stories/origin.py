"""The origin of a lattice, named by the evidence of the chain."""

import math

from perturb.comparisons import Border, Contrast, Estimate, Origin
from perturb.quantities.cause import MOST_OF_IT, WEAKER

LATTICE = -math.log(WEAKER)  # dead phases count at most so much of what live ones do


def origin_of(
    structural: Contrast | None, own: Contrast | None, compensation: Estimate | None, border: Border
) -> tuple[Origin, str]:
    """The first of these that the photographs show, by intervals of 95 %; and the evidence in words.

    A lattice is shown where dead phases, as half of the photographs chose them, count at most 0.8 times as much as
    live ones on the other half.
    - structural: a lattice is shown, and at least half of its logarithm is the structure's.
    - compensated: the structure has such a lattice; more than half of its logarithm is gone at its phases, and at no
      phases more than half of it is measured.
    - learned: a lattice is shown, and less than half of its logarithm is the structure's.
    - structural: at the structure's phases, which need no choosing, the same is shown of all photographs.
    - border: the outermost line of the weakest side counts at most 0.8 times as much as the inside.
    - none: a lattice is shown to be weaker than that.
    - not known: none of these.
    """
    measured, shown, weak, share = "Its period is one pixel", False, True, 0.0
    if own is not None:
        measured = f"Live phases move it {_times(own.gradient)} as strongly as dead ones"
        shown, weak = own.gradient.low > LATTICE, own.gradient.high < LATTICE
        share = own.structure / own.gradient.value if shown else 0.0
    inside = f"the inside counts {_times(border.weaker)} as much as the outermost line: {border.side}."
    edged = border.weaker.low > LATTICE
    beside = f" The border weighs too: {inside}" if edged else ""
    if shown and share >= MOST_OF_IT:
        return "structural", f"{measured}; {share:.0%} of the logarithm is the structure's.{beside}"
    if structural and own and compensation and _gone(structural, own, compensation):
        would = f"The structure would make live phases {math.exp(structural.structure):.2f} times as strong"
        return "compensated", f"{would} as dead ones; they are {_times(structural.gradient)} as strong."
    if shown:
        return "learned", f"{measured}; {share:.0%} of the logarithm is the structure's.{beside}"
    if structural and structural.gradient.low > LATTICE:
        live = f"The structure's live phases move it {_times(structural.gradient)} as strongly as its dead ones"
        return "structural", f"{live}.{beside}"
    if edged:
        return "border", f"{inside[0].upper()}{inside[1:]}"
    return ("none", f"{measured}.") if weak else ("not known", f"{measured}: too near to {1 / WEAKER:.2f} to tell.")


def _gone(structural: Contrast, own: Contrast, compensation: Estimate) -> bool:
    least = MOST_OF_IT * structural.structure
    return structural.structure > LATTICE and compensation.low > MOST_OF_IT and own.gradient.high < least


def _times(found: Estimate) -> str:
    """The ratio behind a logarithm, with its interval."""
    value, low, high = (math.exp(each) for each in (found.value, found.low, found.high))
    return f"{value:.2f} [{low:.2f}, {high:.2f}] times"
