"""pytester unloads what its tests were first to load; compiled modules cannot be loaded twice, so they come first."""

import dataclasses

import pytest
import vl_convert  # noqa: F401
from toy_project import LOSS, NET, SHAPE, suite
from toys import network, window

from perturb.files import encode
from perturb.plugin import measure, nodes  # noqa: F401
from perturb.records import Control, Needed, Verdict
from perturb.report import Report
from perturb.stories.qualify import qualify
from perturb.suite import parse_suite

AROUND = {"PASS": (-0.05, 0.05), "FAIL": (0.2, 0.4), "INCONCLUSIVE": (0.05, 0.15)}  # the claim, at most 0.1


@pytest.fixture
def project(pytester):
    (pytester.path / "net.py").write_text(NET)
    return pytester


@pytest.fixture(scope="session")
def measured() -> Report:
    """A real report of both checks, whose verdict a test may replace."""
    return qualify(network(window(2)), parse_suite(suite(LOSS, SHAPE), "tiny"))


@pytest.fixture
def reporting(measured, monkeypatch):
    """In place of a process that measures: one that leaves a report in which the loss has this verdict."""

    def reporting(verdict: str) -> None:
        bent = Control(name="ruler", expected="straight", observed="bent", passed=False)
        findings = [dataclasses.replace(f, needed=Needed(photographs=77, least=50, most=90)) for f in measured.findings]
        low, high = AROUND.get(verdict, AROUND["INCONCLUSIVE"])
        effect = dataclasses.replace(findings[0].effect, value=(low + high) / 2, low=low, high=high, saturated="")
        findings[0] = dataclasses.replace(findings[0], verdict=Verdict(verdict), effect=effect)
        report = dataclasses.replace(
            measured,
            verdict=Verdict(verdict),
            findings=tuple(findings),
            controls=(bent,) if verdict == "INVALID" else measured.controls,
        )

        def run(command, out, config):
            (config.rootpath / out).mkdir(parents=True, exist_ok=True)
            (config.rootpath / out / "report.json").write_text(encode(report))
            return {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}[verdict]

        monkeypatch.setattr(measure, "_run", run)

    return reporting
