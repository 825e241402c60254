"""Photographs are told apart by their content: a digest of each, and copies are dropped."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from perturb.images.account import COPY, TWO_CLASSES, Ledger
from perturb.records import Images
from perturb.stack import Stack


def gathered(
    pixels: Float[np.ndarray, "image channel row column"] | Stack,
    names: tuple[str, ...],
    source: str,
    *,
    labels: Int[np.ndarray, " image"] | None = None,
    classes: tuple[str, ...] = (),
    spots: Int[np.ndarray, "image 2"] | None = None,
    cut: Float[np.ndarray, "image 4"] | None = None,
    files: tuple[Path, ...] = (),
    ledger: Ledger | None = None,
    looked_at: int | None = None,
) -> Images:
    """Images of one photograph each, told apart by their pixels.

    Of copies the first is kept; none is, where they have several labels. The ledger has them, and becomes the account.
    """
    ledger = Ledger() if ledger is None else ledger
    digests = [hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest() for picture in pixels]
    owners: dict[str, set[int]] = {}
    for i, digest in enumerate(digests):
        owners.setdefault(digest, set()).add(0 if labels is None else int(labels[i]))
    keep: list[int] = []
    kept: set[str] = set()
    for i, (digest, name) in enumerate(zip(digests, names, strict=True)):
        if len(owners[digest]) > 1:
            ledger.note(TWO_CLASSES, name)
        elif digest in kept:
            ledger.note(COPY, name)
        else:
            kept.add(digest)
            keep.append(i)
    chosen = np.array(keep, dtype=np.int64)
    every = len(keep) == len(names)
    account = ledger.close(len(names) if looked_at is None else looked_at)
    return Images(
        pixels=pixels if every else pixels[chosen],
        photograph=np.arange(len(keep)),
        crop=np.zeros(len(keep), dtype=np.int64),
        names=tuple(names[i] for i in keep),
        digests=tuple(digests[i] for i in keep),
        source=source,
        labels=None if labels is None else labels[chosen],
        classes=classes,
        spots=None if spots is None else spots[chosen],
        cut=None if cut is None else cut[chosen],
        files=tuple(files[i] for i in keep) if files else (),
        account=account if account.notes else None,
    )
