"""What killed commands leave; `uv run python tests/kills.py` kills 500."""

import pytest
from kills import kill


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_half_written():
    counts, faults = kill(10, seed=1, kinds=("writes",))
    assert not faults
    assert counts["writes: killed"] == 10
    assert counts["leftovers of killed writers"] > 0
