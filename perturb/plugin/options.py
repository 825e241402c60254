"""Options with one prefix, each also an ini key: `--perturb-device`, `perturb_device`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

SHARED = pytest.StashKey[Path]()  # a folder that the workers of one pytest-xdist session have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    name: str
    help: str
    default: str = ""
    choices: tuple[str, ...] | None = None
    many: bool = False  # repeatable; a line each in the ini file

    def add(self, parser: pytest.Parser, group: Any) -> None:
        kind: Literal["linelist", "string"] = "linelist" if self.many else "string"
        group.addoption(
            f"--perturb-{self.name}",
            action="append" if self.many else "store",
            default=None,
            choices=self.choices,
            help=f"{self.help} [default: {self.default or 'none'}]",
        )
        parser.addini(f"perturb_{self.name}", self.help, type=kind, default=[] if self.many else self.default)


OPTIONS = (
    Option(name="model", help="A model to qualify, in place of the suites' [models]; repeatable.", many=True),
    Option(
        name="inconclusive",
        help="What an undecided check counts as.",
        default="fail",
        choices=("fail", "xfail", "pass"),
    ),
    Option(name="device", help="auto, cpu or cuda.", default="auto", choices=("auto", "cpu", "cuda")),
    Option(name="images", help="Pictures in place of the suites' own."),
    Option(name="timeout", help="Seconds after which a model's measurement is given up.", default="3600"),
    Option(name="memory", help="GiB of memory beyond which a measurement is ended; without it, 9/10 of what is free."),
    Option(name="reports", help="Folder in which each model's report is kept."),
    Option(name="junit", help="Whether numbers go into JUnit properties.", default="on", choices=("on", "off")),
)


def setting(config: pytest.Config, name: str) -> Any:
    """The command line's value, else the ini file's, else the default."""
    value = config.getoption(f"--perturb-{name}")
    return config.getini(f"perturb_{name}") if value is None else value


def given_in(config: pytest.Config, name: str) -> Path:
    """The folder that a path in this setting is relative to: where it was typed, or the ini file's."""
    if config.getoption(f"--perturb-{name}") is not None:
        return config.invocation_params.dir
    return config.inipath.parent if config.inipath else config.rootpath


def check_settings(config: pytest.Config) -> None:
    """Raises pytest's UsageError for a value that does not fit, wherever it was given."""
    for option in OPTIONS:
        value = setting(config, option.name)
        if option.choices and value not in option.choices:
            raise pytest.UsageError(f"perturb_{option.name} = {value!r}: expected one of {list(option.choices)}.")
    for name, unit in (("timeout", "seconds"), ("memory", "GiB")):
        limit = setting(config, name)
        if (limit or name == "timeout") and (not limit.replace(".", "", 1).isdecimal() or float(limit) == 0):
            raise pytest.UsageError(f"perturb_{name} = {limit!r}: expected {unit} above 0.")
