"""The demonstration: a network as built and with its kernels padded, at the same places; or a trained one."""

from collections.abc import Iterable, Iterator

from perturb.contribution import structural
from perturb.locations import choose, fold
from perturb.model import Network, load_network
from perturb.protocols import Progress, quiet
from perturb.remedies import apply_remedy
from perturb.report import Report, Side
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, qualify, set_up
from perturb.suite import Suite


def before_and_after(
    reference: str, suite: Suite, *, seeds: Iterable[int], device: str = "auto", progress: Progress = quiet
) -> Iterator[Side]:
    """For each seed of the initial weights: the network as built, then padded with weights drawn afresh.

    Both are measured on the same pictures at the dead and live places of the first one's structural map, each at the
    level that its own calibration finds.
    """
    check, bench = suite.check[0], None
    for seed in seeds:
        built = load_network(reference, device=device, seed=seed)
        bench = bench or set_up(suite, built.input_shape)
        contribution = structural(built, built.find_layer(suite.evaluator.layer))
        places = {check.name: choose(contribution, share=suite.map.share, seed=suite.seed)}
        module, remedy = apply_remedy(built, "padding:fresh", seed=seed)
        for name, model, done in (("as built", built, None), ("kernels padded", built.with_module(module), remedy)):
            wanted = Wanted(places=places, progress=progress)
            context = Context(bench=bench, wanted=wanted, remedy=done, command="perturb demo")
            report = qualify(model, suite, context)
            yield Side(name=name, seed=seed, report=report, lattice=_lattice(model, report, contribution.period))


def trained(reference: str, suite: Suite, *, device: str = "auto", progress: Progress = quiet) -> Side:
    """A trained network at the places of its energy map: training moves the lattice, so its structure does not tell."""
    measured = suite.model_copy(update={"map": suite.map.model_copy(update={"kind": "energy"})})
    model = load_network(reference, device=device)
    report = qualify(model, measured, Context(wanted=Wanted(progress=progress), command="perturb demo --pretrained"))
    return Side(name="trained", seed=0, report=report, lattice=report.map.phases)


def _lattice(model: Network, report: Report, period: int) -> tuple[tuple[float, ...], ...]:
    phases = fold(structural(model, report.map.layer), period)
    return tuple(tuple(float(value) for value in row) for row in phases)
