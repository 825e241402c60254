"""What can go wrong at the edge: each kind carries the exit code that the command line ends with."""


class PerturbError(Exception):
    """Wanted, got, way out - in one line."""

    exit_code = 4


class UsageError(PerturbError):
    """A name, an option or a suite's key that does not exist or does not fit."""

    exit_code = 2


class InputError(PerturbError):
    """A model, a weights file or pictures that cannot be measured."""


class PerturbWarning(UserWarning):
    """Something was left out or assumed, and the run went on."""


class UnsupportedOperationError(InputError):
    """A network does something for which the structural map has no rule; the operation and its layer are named."""
