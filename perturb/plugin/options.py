"""Options with one prefix, each also an ini key: `--perturb-device`, `perturb_device`."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    name: str
    default: Any
    help: str
    choices: tuple[str, ...] | None = None

    def add(self, parser: pytest.Parser, group: Any) -> None:
        many = isinstance(self.default, list)
        kind: Literal["linelist", "string"] = "linelist" if many else "string"
        group.addoption(
            f"--perturb-{self.name}",
            action="append" if many else "store",
            default=None,
            choices=self.choices,
            help=f"{self.help} [default: {self.default if self.default else 'none'}]",
        )
        parser.addini(f"perturb_{self.name}", self.help, type=kind, default=self.default)


OPTIONS = (
    Option(name="model", default=[], help="A model to qualify, in place of the suites' [models]; repeatable."),
    Option(
        name="inconclusive",
        default="fail",
        choices=("fail", "xfail", "pass"),
        help="What an undecided check counts as.",
    ),
    Option(name="device", default="auto", help="auto, cpu or cuda."),
    Option(name="images", default="", help="Pictures in place of the suites' own."),
    Option(name="timeout", default="3600", help="Seconds after which a model's measurement is given up."),
    Option(name="reports", default="", help="Folder in which each model's report is kept."),
    Option(name="junit", default="on", choices=("on", "off"), help="Whether numbers go into JUnit properties."),
)


def setting(config: pytest.Config, name: str) -> Any:
    """The command line's value, else the ini file's, else the default. Raises UsageError for one out of choice."""
    value = config.getoption(f"--perturb-{name}")
    if value is None:
        value = config.getini(f"perturb_{name}")
        option = next(o for o in OPTIONS if o.name == name)
        if option.choices and value not in option.choices:
            raise pytest.UsageError(f"perturb_{name} = {value!r}: expected one of {list(option.choices)}.")
    return value
