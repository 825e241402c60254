"""perturb: find a vision model's dead pixels, measure the detection accuracy they cost, decide.

docs/contributing.md shows the package layout. Public names load their modules when they are first used, so importing
perturb costs nothing.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "InputError": "perturb.errors",
    "PerturbError": "perturb.errors",
    "UsageError": "perturb.errors",
    "BlackBox": "perturb.model",
    "Network": "perturb.model",
    "Preprocessing": "perturb.model",
    "ask_twice": "perturb.model",
    "load": "perturb.model",
    "tiled": "perturb.model",
    "Tiling": "perturb.tiling",
    "Suite": "perturb.suite",
    "load_suite": "perturb.suite",
    "lint": "perturb.stories.lint",
    "apply_remedy": "perturb.remedies",
    "qualify": "perturb.stories.qualify",
    "Report": "perturb.report",
    "ContributionDisplay": "perturb.render.displays",
    "DetectionDisplay": "perturb.render.displays",
    "IntervalDisplay": "perturb.render.displays",
}

_SHOWN = {("perturb.report", "Report"): "report", ("perturb.records", "Contribution"): "contribution"}

if TYPE_CHECKING:
    from perturb.errors import InputError, PerturbError, UsageError
    from perturb.model import BlackBox, Network, Preprocessing, ask_twice, load, tiled
    from perturb.remedies import apply_remedy
    from perturb.render.displays import ContributionDisplay, DetectionDisplay, IntervalDisplay
    from perturb.report import Report
    from perturb.stories.lint import lint
    from perturb.stories.qualify import qualify
    from perturb.suite import Suite, load_suite
    from perturb.tiling import Tiling


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perturb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _show_in_notebooks() -> None:
    """Inside IPython, records show themselves; what draws them is loaded when the first one is shown."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    if not shell:
        return
    for (home, record), function in _SHOWN.items():
        shell.display_formatter.formatters["text/html"].for_type_by_name(home, record, _drawn_by(function))


def _drawn_by(function: str) -> Any:
    return lambda record: getattr(import_module("perturb.render.notebook"), function)(record)


_show_in_notebooks()


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


__all__ = [
    "BlackBox",
    "ContributionDisplay",
    "DetectionDisplay",
    "InputError",
    "IntervalDisplay",
    "Network",
    "PerturbError",
    "Preprocessing",
    "Report",
    "Suite",
    "Tiling",
    "UsageError",
    "apply_remedy",
    "ask_twice",
    "lint",
    "load",
    "load_suite",
    "qualify",
    "tiled",
]
