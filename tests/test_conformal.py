"""The threshold of a false-alarm rate: the conformal rank, and the rate that it keeps."""

import numpy as np
import pytest

from perturb.stats.conformal import pin_threshold


@pytest.mark.parametrize(
    ("clean", "rate", "threshold"),
    [
        (np.arange(20.0), 0.05, 19),  # of 20 the largest: exceeded once in 21
        (np.arange(1, 40.0), 0.05, 38),  # rank ceil(40 x 0.95) = 38
        (np.arange(5.0), 0.05, 4),  # too few: the largest
        (np.arange(9.0)[::-1], 0.5, 4),  # rank 5 of 9, whatever their order
    ],
)
def test_the_threshold_is_the_conformal_quantile(clean, rate, threshold):
    assert pin_threshold(clean, rate) == threshold


def test_each_row_has_a_threshold_of_its_own():
    rows = np.stack([np.arange(20.0), np.arange(20.0) + 100])
    assert pin_threshold(rows, 0.05).tolist() == [19, 119]


@pytest.mark.parametrize(("count", "rate"), [(20, 0.05), (39, 0.05), (99, 0.1), (19, 0.2)])
def test_a_further_picture_exceeds_it_at_most_at_the_rate(count, rate, rng):
    """Exact for exchangeable pictures: the probability is (n + 1 - rank) / (n + 1)."""
    shots = rng.normal(size=(20_000, count + 1))
    share = (shots[:, -1] > pin_threshold(shots[:, :-1], rate)).mean()
    exact = (count + 1 - min(np.ceil((count + 1) * (1 - rate)), count)) / (count + 1)
    assert exact <= rate + 1e-12
    assert share == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))
