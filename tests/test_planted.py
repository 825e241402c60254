"""Networks with a planted cause are named right."""

import pytest
from planted import PLANTED, found

from perturb.records import Cause


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*cannot be evaluated incrementally")
@pytest.mark.parametrize(
    "name", ["3 x 3", "2 x 2, one phase near 0", "2 x 2, faint edge", "2 x 2 of the middle", "1 x 1"]
)
def test_a_planted_cause_is_found(name):
    """`tests/planted.py` does so 100 times for each."""
    cause = found(PLANTED[name], 3, count=48)
    assert isinstance(cause, Cause)
    assert cause.kind == PLANTED[name].cause
