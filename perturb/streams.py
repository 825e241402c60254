"""Randomness: each consumer has an independent generator, so that a new check changes no other number."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LARGEST = 2**63 - 1  # of a seed: torch, NumPy and a signed number of 64 bits hold it


def stream(seed: int, name: str) -> "np.random.Generator":
    """The generator for the consumer `name` in a run with this `seed` (>= 0); the same on every machine."""
    import numpy as np  # here: the command line's options name the largest seed, and load nothing

    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
