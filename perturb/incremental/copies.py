"""Pictures that are copies of clean ones with small changes: the engine computes only what changed."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from perturb.errors import InputError
from perturb.incremental.engine import Incremental, Patches, halving
from perturb.protocols import Differentiable

CLEAN_AT_ONCE = {"cpu": 4, "cuda": 32}  # clean pictures whose activations are held in memory


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


def measure_copies(
    engine: Incremental,
    clean: Float[Tensor, "clean channel row column"],
    pictures: Float[Tensor, "picture channel row column"],
    copied: Int[np.ndarray, " picture"],
) -> Tensor:
    """What the engine's layer gives for `pictures`: picture i is clean picture `copied[i]` with a change.

    Clean pictures are taken a few at a time, and fewer where memory runs out.
    """

    def measure_families(families: np.ndarray) -> tuple[np.ndarray, Tensor]:
        members = np.flatnonzero(np.isin(copied, families))
        copies = ChangedCopies(engine, clean[families])
        return members, copies.measure(pictures[members], copied[members] - families[0])

    at_once = CLEAN_AT_ONCE[engine.device.type]
    families = np.split(np.arange(len(clean)), range(at_once, len(clean), at_once))
    order, parts = zip(*(found for _, found in halving(families, measure_families)), strict=True)
    return torch.cat(parts)[np.argsort(np.concatenate(order))]


def patches_between(
    model: Differentiable, after: Tensor, before: Tensor, picture: Int[np.ndarray, " trial"]
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
