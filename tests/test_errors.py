"""The kinds of errors and the exit codes that they end the command line with."""

import pytest

from perturb import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.PerturbError, 4),
        (errors.UsageError, 2),
        (errors.InputError, 4),
        (errors.UnsupportedOperationError, 4),
    ],
)
def test_each_kind_has_its_exit_code(kind, code):
    """2 for what the user typed, 4 for what cannot be measured: as the README tells."""
    assert kind.exit_code == code
    assert issubclass(kind, errors.PerturbError)


def test_whoever_catches_broken_input_catches_an_unsupported_operation():
    """And nobody who catches broken input catches a wrong option."""
    assert issubclass(errors.UnsupportedOperationError, errors.InputError)
    assert not issubclass(errors.UsageError, errors.InputError)


def test_a_warning_can_be_silenced_alone():
    assert issubclass(errors.PerturbWarning, UserWarning)
    assert not issubclass(errors.PerturbWarning, DeprecationWarning | errors.PerturbError)


def test_every_kind_is_listed_above():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert {kind.__name__ for kind in kinds} == {
        "PerturbError",
        "UsageError",
        "InputError",
        "UnsupportedOperationError",
        "PerturbWarning",
    }
