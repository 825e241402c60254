"""A suite file holds models, a model holds checks: `suite.perturb.toml::torchvision:resnet18::accuracy-loss`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perturb.errors import PerturbError
from perturb.plugin.measure import MeasurementError, measure
from perturb.plugin.options import setting
from perturb.suite import ModelTable, Suite, load_suite

if TYPE_CHECKING:
    from perturb.changes import Changes
    from perturb.report import Report


class ClaimNotMet(AssertionError):  # noqa: N818 - an outcome, not a fault
    """The check was measured and its claim does not hold."""


class Undecided(ClaimNotMet):
    """The check was measured and the numbers decide nothing."""


class SuiteFile(pytest.File):
    """A broken suite is one collection error with file and key."""

    def collect(self) -> Iterator["ModelNode"]:
        try:
            suite = load_suite(str(self.path))
        except PerturbError as error:
            raise self.CollectError(str(error)) from error
        given = setting(self.config, "model")
        models: dict[str, ModelTable | str] = {name: name for name in given} or suite.models
        for name, model in (models or {"no-model": ""}).items():
            table = ModelTable(reference=model) if isinstance(model, str) else model
            yield ModelNode.from_parent(self, name=name, suite=suite, model=table)


class ModelNode(pytest.Collector):
    """Measured once, when its first check is set up, for all its checks."""

    def __init__(self, *, suite: Suite, model: ModelTable, **rest: Any) -> None:
        super().__init__(**rest)
        self.suite, self.model = suite, model
        self.suite_line = f"{suite.name} {suite.digest[:12]}, seed {suite.seed}"
        self._measured: tuple[Report, Changes | None] | MeasurementError | None = None

    def collect(self) -> Iterator["MeasuredItem"]:
        for check in self.suite.check:
            item = CheckItem.from_parent(self, name=check.name)
            if (reason := self.suite.expected_failures.get(check.name)) is not None:
                item.add_marker(pytest.mark.xfail(reason=reason, raises=ClaimNotMet, strict=True))
            yield item
        if self.model.baseline is not None:
            yield ChangeItem.from_parent(self, name="baseline")

    def measured(self) -> "tuple[Report, Changes | None]":
        """Raises MeasurementError, each time, where it could not be measured."""
        if self._measured is None:
            try:
                self._measured = measure(self.config, self.path, self.name, self.model)
            except MeasurementError as error:
                self._measured = error
        if isinstance(self._measured, MeasurementError):
            raise self._measured
        return self._measured


class MeasuredItem(pytest.Item):
    """Not measurable: an error in set-up. Measured and not met: a failure."""

    parent: ModelNode
    report: "Report"
    changes: "Changes | None"

    def setup(self) -> None:
        if not self.parent.model.reference:
            pytest.skip("no model: give --perturb-model or write [models] into the suite")
        fault = None
        try:
            self.report, self.changes = self.parent.measured()
        except MeasurementError as error:
            fault = str(error)
        if fault is not None:  # here, so that it is told once and not as raised while another was handled
            pytest.fail(fault, pytrace=False)

    def undecided(self, text: str) -> None:
        """What the option makes of it."""
        counts_as = setting(self.config, "inconclusive")
        if counts_as == "xfail":
            pytest.xfail(text.splitlines()[0])
        if counts_as == "fail":
            raise Undecided(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, ClaimNotMet):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.parent.name} {self.name}"  # no tail of the node id: pytest would split its dots


class CheckItem(MeasuredItem):
    """The claim of one check."""

    row: dict[str, Any] | None = None

    def setup(self) -> None:
        super().setup()
        from perturb.verdict import WITHOUT_ERROR

        finding = next(f for f in self.report.findings if f.check == self.name)
        effect = finding.effect
        sampled = effect.method not in WITHOUT_ERROR  # else it has neither an interval nor a number of photographs
        self.row = {
            "suite": self.report.suite.name,
            "model": self.parent.name,
            "check": self.name,
            "quantity": effect.quantity,
            "value": effect.value,
            **({"low": effect.low, "high": effect.high, "n": effect.n} if sampled else {}),
            "at_most": finding.claim.at_most,
            "verdict": str(finding.verdict),
        }
        if setting(self.config, "junit") == "on":
            told = [key for key in ("value", "low", "high", "n", "verdict") if key in self.row]
            self.user_properties += [(f"perturb_{key}", self.row[key]) for key in told]

    def runtest(self) -> None:
        from perturb.render.diagnosis import diagnosis

        assert self.row is not None
        if self.row["verdict"] == "PASS":
            return
        text = diagnosis(self.report, self.name)
        if self.row["verdict"] == "FAIL":
            raise ClaimNotMet(text)
        self.undecided(text)


class ChangeItem(MeasuredItem):
    """What changed since the model's baseline."""

    def runtest(self) -> None:
        from perturb.render.changes import summary

        assert self.changes is not None
        text = summary(self.changes)
        if self.changes.verdict in ("REGRESSED", "INCOMPARABLE"):
            raise ClaimNotMet(text)
        if self.changes.verdict == "INCONCLUSIVE":
            self.undecided(text)
