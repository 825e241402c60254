"""Command-line options that belong together, handed to a command as one record."""

from collections.abc import Callable
from functools import wraps
from typing import Any

Command = Callable[..., Any]


def as_record(
    name: str, record: Callable[..., Any], *options: Callable[[Command], Command]
) -> Callable[[Command], Command]:
    """Adds click options and arguments; the command takes them as its argument `name`, a `record` of their values."""

    def decorate(command: Command) -> Command:
        given: list[str] = []

        @wraps(command)
        def with_record(**values: Any) -> Any:
            mine = {each: values.pop(each) for each in given}
            return command(**{name: record(**mine)}, **values)

        decorated: Command = with_record
        before = len(getattr(command, "__click_params__", ()))
        for option in reversed(options):
            decorated = option(decorated)
        given.extend(parameter.name for parameter in decorated.__click_params__[before:])  # type: ignore[attr-defined]
        return decorated

    return decorate
