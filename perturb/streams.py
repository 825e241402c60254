"""Randomness: each consumer has an independent generator, so that a new check changes no other number."""

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator for the consumer `name` in a run with this `seed` (>= 0); the same on every machine."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
