"""The bootstrap of a mean, without a loop over resamples."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

AT_ONCE = 10_000_000  # draws held in memory
DRAWS_A_COUNT = 16  # values drawn one by one in the time that it takes to draw one count of a multinomial


def resampled_means(
    values: Float[np.ndarray, " value"], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, " resample"]:
    """Means of resamples of `values`: each has as many values, drawn with replacement.

    Where there are few distinct values, the number of times that each occurs is drawn instead, as a multinomial: the
    distribution of the means is the same.
    """
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if DRAWS_A_COUNT * len(distinct) <= n:
        drawn: Float[np.ndarray, " resample"] = rng.multinomial(n, counts / n, resamples) @ distinct / n
        return drawn
    index = np.uint16 if n <= 2**16 else np.int64
    parts = np.array_split(np.empty(resamples), -(-resamples * n // AT_ONCE))
    return np.concatenate([values[rng.integers(n, size=(len(part), n), dtype=index)].mean(1) for part in parts])


def bca_interval(
    values: Float[np.ndarray, " value"], confidence: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean: Efron (1987).

    The acceleration of a mean has a closed form: a = sum (x - mean)^3 / (6 (sum (x - mean)^2)^(3/2)). A resample
    whose mean equals that of `values`, up to the rounding of the sum, counts half below it and half above.
    Undefined where all values are equal.
    """
    found = resampled_means(values, resamples, rng)
    mean = values.mean()
    away = values - mean
    acceleration = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    tie = 1e-12 * np.ptp(values)
    bias = ndtri(((found < mean - tie).mean() + (found <= mean + tie).mean()) / 2)
    z = bias + ndtri(np.array([1 - confidence, 1 + confidence]) / 2)
    low, high = np.quantile(found, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)
