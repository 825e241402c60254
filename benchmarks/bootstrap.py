"""The confidence interval of a mean: ours against scipy.stats.bootstrap."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from benchmarks.timing import interleaved, table
from perturb.stats.bootstrap import bca_interval

N = 10_000


def report() -> Iterator[str]:
    rng = np.random.default_rng(0)
    outcomes = {
        "3 distinct: one pair a photograph": rng.integers(-1, 2, N).astype(float),
        "17 distinct: eight pairs": rng.integers(-8, 9, N) / 8,
        "all distinct": rng.normal(size=N),
    }
    rows = []
    for name, values in outcomes.items():
        found: dict[str, tuple[float, float]] = {}

        def ours() -> None:
            found["ours"] = bca_interval(values, 0.95, N, rng)  # noqa: B023

        def scipys() -> None:
            made = stats.bootstrap((values,), np.mean, n_resamples=N, method="BCa", rng=rng, batch=1000)  # noqa: B023
            found["scipy"] = made.confidence_interval  # noqa: B023

        seconds = interleaved({"ours": ours, "scipy": scipys}, 3)
        intervals = ("[{:.4f}, {:.4f}]".format(*found[who]) for who in ("ours", "scipy"))
        rows.append(
            [name, *(f"{s:.3f} s" for s in seconds.values()), f"{seconds['scipy'] / seconds['ours']:.0f}", *intervals]
        )
    return table(["values", "ours", "scipy", "ratio", "our interval", "scipy's"], rows)
