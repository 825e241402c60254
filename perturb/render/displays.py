"""Plots for notebooks and papers, as scikit-learn's displays are used: `ContributionDisplay(found).plot(ax=None)`.

`plot` draws on the axes given or on new ones, keeps them as `ax_` and `figure_`, and returns the display.
"""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from perturb.errors import UsageError
from perturb.figures import Figures, LevelCurve
from perturb.records import Contribution, Experiment, Finding
from perturb.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEAD, LIVE = "#5b3fa0", "#117a52"


class _Display:
    ax_: "Axes"
    figure_: "Figure"

    def _on(self, ax: "Axes | None") -> "Axes":
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise UsageError("plots need matplotlib: pip install 'perturb-suite[plot]'") from error
        self.ax_ = pyplot.subplots()[1] if ax is None else ax
        self.figure_ = self.ax_.get_figure(root=True)  # type: ignore[assignment]
        return self.ax_


class ContributionDisplay(_Display):
    """A contribution map in units of its mean, dark dead and bright live."""

    def __init__(self, contribution: Contribution) -> None:
        self.contribution = contribution

    @classmethod
    def from_report(cls, report: Report) -> Self:
        """Raises UsageError for a report read back from JSON, which holds no map."""
        return cls(_figures(report).contribution)

    def plot(self, ax: "Axes | None" = None, **image: Any) -> Self:
        """`image` goes to imshow."""
        values, axes = self.contribution.values / self.contribution.values.mean(), self._on(ax)
        shown = axes.imshow(values, **({"vmin": 0, "vmax": np.percentile(values, 99.5), "cmap": "viridis"} | image))
        self.figure_.colorbar(shown, ax=axes, label="contribution / mean")
        axes.set(xlabel="column", ylabel="row", title=f"{self.contribution.kind} map of {self.contribution.layer}")
        return self


class DetectionDisplay(_Display):
    """Share noticed against level at dead and live places, with 95 % bands."""

    def __init__(self, sweep: LevelCurve, experiment: Experiment) -> None:
        self.sweep, self.experiment = sweep, experiment

    @classmethod
    def from_report(cls, report: Report, experiment: str | None = None) -> Self:
        """The sweep of the experiment of that name, by default of the first one that has any."""
        sweeps = _figures(report).sweeps
        name = experiment or next(iter(sweeps), None)
        if name not in sweeps:
            raise UsageError(f"`experiment` (={name!r}): no level was sought there, expected one of {list(sweeps)}.")
        return cls(sweeps[name], next(e for e in report.experiments if e.name == name))

    def plot(self, ax: "Axes | None" = None) -> Self:
        axes = self._on(ax)
        for arm, colour, style in (("dead", DEAD, "v--"), ("live", LIVE, "o-")):
            rates = getattr(self.sweep, arm)
            axes.plot(self.sweep.levels, [rate.value for rate in rates], style, color=colour, label=arm)
            low, high = [rate.low for rate in rates], [rate.high for rate in rates]
            axes.fill_between(self.sweep.levels, low, high, color=colour, alpha=0.16)
        axes.axvline(self.experiment.level, color="grey", linestyle=":", label="level used")
        axes.set(xscale="log", ylim=(0, 1), xlabel="level", ylabel="share noticed")
        axes.legend()
        return self


class IntervalDisplay(_Display):
    """Each check's estimate and interval against its margin; checks of one quantity."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings

    @classmethod
    def from_report(cls, report: Report, quantity: str | None = None) -> Self:
        """The checks of that quantity, by default of the first check's."""
        quantity = quantity or report.findings[0].claim.quantity
        return cls(tuple(f for f in report.findings if f.claim.quantity == quantity))

    def plot(self, ax: "Axes | None" = None) -> Self:
        axes, rows = self._on(ax), range(len(self.findings))
        effects = [f.effect for f in self.findings]
        spans = [[e.value - e.low for e in effects], [e.high - e.value for e in effects]]
        axes.errorbar([e.value for e in effects], rows, xerr=spans, fmt="o", color="black")
        axes.plot(
            [f.claim.at_most for f in self.findings], rows, "|", color=LIVE, markersize=20, label="claimed at most"
        )
        axes.set_yticks(rows, [f.check for f in self.findings])
        axes.set(xlabel=self.findings[0].claim.quantity, ylim=(len(rows) - 0.5, -0.5))
        axes.legend(markerscale=0.6)
        return self


def _figures(report: Report) -> Figures:
    if report.figures is None:
        raise UsageError("a report read from JSON holds no map and no curves; plot the one that `qualify` gave.")
    return report.figures
