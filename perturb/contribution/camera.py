"""The map of the steps ahead of a model alone: how strongly each of the camera's pixels enters the model's input."""

import numpy as np

from perturb.errors import UsageError
from perturb.protocols import Sees
from perturb.records import Contribution
from perturb.sensor import sensor_of


def sensor(model: Sees, layer: str = "output") -> Contribution:
    """The sum over the input's pixels of their squared derivatives. Exact; without the model's own lattice.

    0 where resizing passes a pixel over. Raises UsageError for a model without steps ahead of it.
    """
    steps = sensor_of(model)
    if steps is None:
        raise UsageError(f"{model.name} takes pictures as they are: name the camera, by --sensor or [sensor].")
    values, lattice = steps.onto_picture(np.ones(steps.inside)), steps.lattice(1)
    return Contribution(values=values / values.sum(), kind="sensor", layer=layer, period=lattice.cell, lattice=lattice)
