"""Errors that a user can cause. Each class has the exit code of the command line."""

from perturb.visible import plain


class PerturbError(Exception):
    """An error in one line: what was wanted, what was given, and how to fix it. Names in it cannot hide anything."""

    exit_code = 4

    def __init__(self, message: object = "") -> None:
        super().__init__(plain(" ".join(str(message).split("\n"))))


class UsageError(PerturbError):
    """A name, an option or a suite key that does not exist, or has a wrong value."""

    exit_code = 2


class InputError(PerturbError):
    """A model, a weights file or pictures that cannot be measured."""


class PerturbWarning(UserWarning):
    """The run continues, but something was left out or assumed."""

    def __init__(self, message: object = "") -> None:
        super().__init__(plain(" ".join(str(message).split("\n"))))


class UnsupportedOperationError(InputError):
    """The structural map has no rule for an operation of the network; the message names it and its layer."""
