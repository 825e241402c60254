"""Random streams: independent for each consumer, and the same on every machine."""

import numpy as np
import pytest

from perturb import errors
from perturb.streams import stream


def test_a_stream_is_the_same_for_the_same_seed_and_name():
    np.testing.assert_array_equal(stream(3, "trials").random(5), stream(3, "trials").random(5))


@pytest.mark.parametrize(("seed", "name"), [(4, "trials"), (3, "trials/1"), (3, "Trials"), (3, "")])
def test_another_seed_or_name_is_an_independent_stream(seed, name):
    a, b = stream(3, "trials").random(4000), stream(seed, name).random(4000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(4000)


def test_streams_are_the_same_in_every_version():
    """Published numbers depend on these: numpy keeps PCG64 and SeedSequence stable (NEP 19)."""
    assert stream(0, "images/split").integers(1000, size=4).tolist() == [830, 508, 998, 442]


def test_the_global_generators_are_left_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    stream(0, "x").random(100)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 2),
        (errors.InputError, 4),
        (errors.UnsupportedOperationError, 4),
        (errors.PerturbError, 4),
    ],
)
def test_exit_codes(error, code):
    """2 for a mistake in a name or an option, 4 for input that cannot be measured; all are PerturbErrors."""
    assert error("x").exit_code == code
    assert issubclass(error, errors.PerturbError)
    assert not issubclass(errors.InputError, errors.UsageError)
