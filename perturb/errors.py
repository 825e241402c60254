"""Errors that a user can cause. Each class has the exit code of the command line."""

from perturb.visible import plain

LONGEST = 4000  # characters of a message: a name in it may be of any length


def _line(message: object) -> str:
    told = " ".join(str(message).split("\n"))
    return plain(told if len(told) <= LONGEST else f"{told[: LONGEST // 2]} ... {told[-LONGEST // 2 :]}")


class PerturbError(Exception):
    """An error in one line: what was wanted, what was given, and how to fix it. Names in it cannot hide anything."""

    exit_code = 4

    def __init__(self, message: object = "") -> None:
        super().__init__(_line(message))


class UsageError(PerturbError):
    """A name, an option or a suite key that does not exist, or has a wrong value."""

    exit_code = 2


class InputError(PerturbError):
    """A model, a weights file or pictures that cannot be measured."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class PerturbWarning(UserWarning):
    """The run continues, but something was left out or assumed."""

    def __init__(self, message: object = "") -> None:
        super().__init__(_line(message))


class UnsupportedOperationError(InputError):
    """The structural map has no rule for an operation of the network; the message names it and its layer."""
