"""Pictures that are copies of clean ones with small changes: the engine computes only what changed."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from perturb.errors import InputError
from perturb.incremental.engine import Incremental, Patches, halving
from perturb.protocols import Model

CLEAN_AT_ONCE = {"cpu": 4, "cuda": 32}  # clean pictures whose activations are held in memory


class ChangedBatch:
    """The engine's model for a batch in which picture i is a copy of picture `twin[i]` with a small change.

    A picture that is its own twin is clean. Batches of another size, and other layers, go to the model itself.
    """

    def __init__(self, engine: Incremental, twin: Int[np.ndarray, " picture"]) -> None:
        self.engine, self.twin, self.model = engine, twin, engine.model
        self.name, self.module, self.input_shape = self.model.name, self.model.module, self.model.input_shape
        self.device, self.untrained = self.model.device, self.model.untrained

    def normalise(self, pictures: Tensor) -> Tensor:
        return self.model.normalise(pictures)

    def propagate(self, x: Tensor, layer: str = "output", *, folded: bool = False) -> Tensor:
        return self.model.propagate(x, layer, folded=folded)

    def find_layer(self, wanted: str) -> str:
        return self.model.find_layer(wanted)

    def stride_of(self, layer: str) -> int:
        return self.model.stride_of(layer)

    def measure(self, pictures: Float[Tensor, "picture channel row column"], layer: str = "output") -> Tensor:
        if layer != self.engine.layer or len(pictures) != len(self.twin):
            return self.model.measure(pictures, layer)
        clean, family = np.unique(self.twin, return_inverse=True)
        at_once = CLEAN_AT_ONCE[self.engine.device.type]

        def measure_families(families: np.ndarray) -> tuple[np.ndarray, Tensor]:
            members = np.flatnonzero(np.isin(family, families))
            copies = ChangedCopies(self.engine, pictures[clean[families]])
            return members, copies.measure(pictures[members], family[members] - families[0])

        families = np.split(np.arange(len(clean)), range(at_once, len(clean), at_once))
        order, parts = zip(*(found for _, found in halving(families, measure_families)), strict=True)
        return torch.cat(parts)[np.argsort(np.concatenate(order))]


class ChangedCopies:
    """Clean pictures, and the outputs of the engine's layer for copies of them with small changes."""

    def __init__(self, engine: Incremental, clean: Float[Tensor, "clean channel row column"]) -> None:
        self.model, self.layer, self.clean = engine.model, engine.layer, clean
        self.activations = engine.run_clean(clean)

    def measure(
        self, pictures: Float[Tensor, "picture channel row column"], copied: Int[np.ndarray, " picture"]
    ) -> Tensor:
        """The layer's output for pictures of which picture i is clean picture `copied[i]` with a change.

        Raises InputError if an output is not finite.
        """
        moved, patches = patches_between(self.model, pictures, self.clean[copied], copied)
        found = self.activations.with_patches(copied, moved, patches)
        if not torch.isfinite(found).all():
            raise InputError(f"{self.model.name}: `{self.layer}` is not finite (NaN or infinity) for some pictures.")
        return found


def patches_between(
    model: Model, after: Tensor, before: Tensor, picture: Int[np.ndarray, " trial"]
) -> tuple[Int[np.ndarray, " moved"], Patches]:
    """Which trials differ from their clean picture, and their differences in patches of one size."""
    differs = (after != before).any(1)
    (top, bottom), (left, right) = (_ends(differs.any(axis).cpu().numpy()) for axis in (2, 1))
    moved = np.flatnonzero(bottom > top)
    size = max(1, int((bottom - top).max(initial=0))), max(1, int((right - left).max(initial=0)))
    start = np.minimum(np.stack([top, left], 1)[moved], np.array(differs.shape[1:]) - size)
    new, old = (_cut(pictures, moved, start, size) for pictures in (after, before))
    values = (model.normalise(new.double()) - model.normalise(old.double())).float()
    return moved, Patches(picture=picture[moved], start=start, values=values)


def _ends(differs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first position that differs and the one after the last; 0 and 0 where none differs."""
    some = differs.any(1)
    return np.where(some, differs.argmax(1), 0), np.where(some, differs.shape[1] - differs[:, ::-1].argmax(1), 0)


def _cut(pictures: Tensor, which: np.ndarray, start: np.ndarray, size: tuple[int, int]) -> Tensor:
    cuts = [
        pictures[trial, :, row : row + size[0], column : column + size[1]]
        for trial, (row, column) in zip(which, start, strict=True)
    ]
    return torch.stack(cuts) if cuts else pictures.new_zeros(0, pictures.shape[1], *size)
