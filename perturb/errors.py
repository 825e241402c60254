"""Errors that a user can cause. Each class has the exit code of the command line."""


class PerturbError(Exception):
    """An error in one line: what was wanted, what was given, and how to fix it."""

    exit_code = 4


class UsageError(PerturbError):
    """A name, an option or a suite key that does not exist, or has a wrong value."""

    exit_code = 2


class InputError(PerturbError):
    """A model, a weights file or pictures that cannot be measured."""


class PerturbWarning(UserWarning):
    """The run continues, but something was left out or assumed."""


class UnsupportedOperationError(InputError):
    """The structural map has no rule for an operation of the network; the message names it and its layer."""
