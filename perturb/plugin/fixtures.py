"""For people's own tests: `assert perturb.qualify(net, suite="single-pixel")`, `assert perturb.lint(net).balanced`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from perturb.plugin.options import setting

if TYPE_CHECKING:
    from torch import nn

    from perturb.model import Network, Preprocessing
    from perturb.records import Contribution
    from perturb.report import Report

DOUBTED = pytest.StashKey[list[str]]()  # diagnoses of what the running test found false


@dataclass(frozen=True, eq=False)
class Qualification:
    """A report that is true when its verdict is PASS. A test that doubts it ends in its diagnosis."""

    report: "Report"
    doubted: list[str]

    def __bool__(self) -> bool:
        from perturb.render.diagnosis import diagnosis

        if self.report.verdict == "PASS":
            return True
        self.doubted.extend(diagnosis(self.report, f.check) for f in self.report.findings if f.verdict != "PASS")
        self.doubted.extend(
            f"INVALID: {c.name}: expected {c.expected}; got {c.observed}" for c in self.report.controls if not c.passed
        )
        return False

    def __repr__(self) -> str:
        from perturb.render.diagnosis import headline

        worst = next((f for f in self.report.findings if f.verdict != "PASS"), self.report.findings[0])
        return f"<{headline(self.report, worst)}>"


class Certificate:
    """What `perturb lint` finds, its keys as attributes: `balanced`, `period`, `imbalance`, `phases`, `layers`, ..."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.__dict__.update(found)

    def __repr__(self) -> str:
        found = self.__dict__
        makers = [layer["name"] for layer in found["layers"] if not layer["balanced"]]
        made = f", made by {', '.join(makers)}" if makers else ""
        ratio = "infinite" if found["imbalance"] is None else f"{found['imbalance']:.4g}"
        return f"<{found['model']}: period {found['period']}, liveliest / deadest {ratio}{made}>"


class Perturb:
    """Measures in this process, lazily, each model and suite once."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: dict[tuple[str, str, str], Report] = {}

    def qualify(
        self, net: "nn.Module | Network | str", *, suite: str, preprocessing: "Preprocessing | None" = None
    ) -> Qualification:
        """Measured by a shipped suite's name or a file; `net` is a module, a Network or a reference."""
        from perturb.stories.qualify import qualify
        from perturb.suite import load_suite

        model, asked = self._model(net, preprocessing), load_suite(suite).reading(setting(self._config, "images"))
        key = (model.name, model.digest, asked.digest)
        if key not in self._reports:
            self._reports[key] = qualify(model, asked)
        return Qualification(self._reports[key], self._config.stash[DOUBTED])

    def lint(self, net: "nn.Module | Network | str", *, layer: str = "output") -> Certificate:
        from perturb.stories.lint import lint

        return Certificate(lint(self._model(net, None), layer))

    def map(self, net: "nn.Module | Network | str", *, layer: str = "output") -> "Contribution":
        """The structural map: exact, without pictures."""
        from perturb.contribution import structural

        model = self._model(net, None)
        return structural(model, model.find_layer(layer))

    def _model(self, net: "nn.Module | Network | str", preprocessing: "Preprocessing | None") -> "Network":
        from perturb.model import Network, load_network

        if isinstance(net, Network):
            return net
        device = setting(self._config, "device")
        if isinstance(net, str):
            return load_network(net, device=device)
        return Network(net, name=type(net).__name__, preprocessing=preprocessing)


@pytest.fixture(scope="session")
def perturb(pytestconfig: pytest.Config) -> Perturb:
    """Lint, map and qualify models; what was measured is shared by the session's tests."""
    return Perturb(pytestconfig)


@pytest.fixture(scope="session")
def perturb_model(pytestconfig: pytest.Config) -> "Network":
    """The model that `--perturb-model` names (the first of several)."""
    from perturb.model import load_network

    given = setting(pytestconfig, "model")
    if not given:
        pytest.skip("no model: give --perturb-model")
    return load_network(given[0], device=setting(pytestconfig, "device"))


@pytest.fixture
def perturb_report(request: pytest.FixtureRequest, perturb: Perturb, perturb_model: "Network") -> Qualification:
    """`perturb_model` qualified by the suite that the test's marker names: `@pytest.mark.perturb("single-pixel")`."""
    marker = request.node.get_closest_marker("perturb")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError('`perturb_report` needs the marker @pytest.mark.perturb("SUITE") on its test.')
    return perturb.qualify(perturb_model, suite=marker.args[0])
