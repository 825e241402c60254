"""The pytest plugin: hooks only. `*.perturb.toml` files are collected; fixtures serve people's own tests.

Loads neither torch nor numpy: collected models are measured in processes of their own.
"""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perturb.plugin.fixtures import DOUBTED, perturb, perturb_model, perturb_report  # noqa: F401 - pytest finds them
from perturb.plugin.options import OPTIONS, SHARED, check_settings, setting

if TYPE_CHECKING:
    from perturb.plugin.nodes import SuiteFile


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("perturb", "small-perturbation qualification of vision models")
    for option in OPTIONS:
        option.add(parser, group)


def pytest_configure(config: pytest.Config) -> None:
    check_settings(config)
    config.stash[DOUBTED] = []
    if shared := getattr(config, "workerinput", {}).get("perturb_shared"):
        config.stash[SHARED] = Path(shared)
    config.addinivalue_line("markers", "perturb(suite): the suite that the fixture `perturb_report` measures.")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist, in the process that hands out the tests: its workers measure each model once among them."""
    stash = node.config.stash
    stash[SHARED] = stash.get(SHARED, None) or Path(tempfile.mkdtemp(prefix="perturb-"))
    node.workerinput["perturb_shared"] = str(stash[SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    if (shared := config.stash.get(SHARED, None)) is not None and not hasattr(config, "workerinput"):
        shutil.rmtree(shared, ignore_errors=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SuiteFile | None":
    if not file_path.name.endswith(".perturb.toml"):
        return None
    from perturb.plugin.nodes import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Suite digest, models, device and seed, where any suite was collected."""
    models: dict[str, list[str]] = {}
    for item in items:
        if (line := getattr(item.parent, "suite_line", None)) is not None:
            models.setdefault(line, []).append(item.parent.name)  # type: ignore[union-attr]
    device = setting(config, "device")
    return [f"perturb: {line}, device {device}: {', '.join(dict.fromkeys(of))}" for line, of in models.items()]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was measured goes with pytest's report, under xdist to the controller too; doubts become a diagnosis."""
    report = yield
    if call.when == "call" and (row := getattr(item, "row", None)) is not None:
        report.perturb = row  # type: ignore[attr-defined]
    doubted = item.config.stash[DOUBTED]
    if report.failed:
        report.sections += [("perturb", f"{text}\n  again: pytest {item.nodeid}") for text in dict.fromkeys(doubted)]
    doubted.clear()
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    rows = {report.nodeid: report.perturb for report in reports if hasattr(report, "perturb")}
    if not rows:
        return
    from perturb.plugin.summary import table

    terminalreporter.section("perturb")
    for line in table(list(rows.values())):
        terminalreporter.write_line(line)
