"""What the architecture of a model reads of a picture, or why that is not known."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from perturb.contribution import reading
from perturb.contribution.bordered import unread_share
from perturb.errors import PerturbError
from perturb.protocols import Differentiable, Sees

Reading = Float[np.ndarray, "row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What the architecture reads of a picture up to a layer; or why that is not known."""

    values: Reading | None
    unknown: str = ""  # ends a sentence

    @property
    def unread(self) -> float | None:
        """The share of the picture's pixels that nothing reads."""
        return None if self.values is None else unread_share(self.values)


def structure_of(model: Sees, layer: str) -> Structure:
    """Of a network, where every operation can be followed."""
    if not isinstance(model, Differentiable):
        return Structure(values=None, unknown=f"{model.name} does not show what its pixels reach")
    try:
        return Structure(values=reading(model, layer))
    except PerturbError as error:
        return Structure(values=None, unknown=f"what `{layer}` reads is not known: {str(error).rstrip('.')}")
