"""What is published of a network: as built and with its kernels padded, each with several draws of its weights."""

import re
from collections.abc import Iterator
from pathlib import Path

from perturb.contribution import structural
from perturb.errors import InputError
from perturb.locations import choose
from perturb.model import Network, load, load_network
from perturb.plan import plan
from perturb.protocols import Progress, Sees, quiet
from perturb.records import Locations, Pictures, Remedy
from perturb.remedies import apply_remedy
from perturb.report import Report
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, qualify, set_up
from perturb.suite import Suite


def published(
    reference: str,
    suite: Suite,
    *,
    seeds: int,
    command: str,
    weights: Path | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Iterator[tuple[str, Report]]:
    """(name, report) of each run: one of a trained network, a function or a task; else `seeds` as built and padded.

    A padded network has its weights drawn afresh, and is measured at the dead and live places of the one as built. A
    run with `weights` has the name of their file.
    """
    first = load(reference, weights=weights, device=device)
    bench, name = set_up(suite, first.input_shape), slug(reference) if weights is None else weights.stem
    drawn = weights is None and _is_drawn(first, reference, device)
    if suite.task is not None or not drawn:
        yield name, qualify(first, suite, Context(bench=bench, wanted=Wanted(progress=progress), command=command))
        return
    for seed in range(seeds):
        built = load_network(reference, device=device, seed=seed)
        padded, remedy = _padded(built, seed)
        wanted = Wanted(places=_places(built, suite, bench.pictures), progress=progress)
        for model, done, suffix in ((built, None, ""), (padded, remedy, "-padded")):
            if model is not None:
                report = qualify(model, suite, Context(bench=bench, wanted=wanted, command=command, remedy=done))
                yield f"{name}{suffix}-{seed}", report


def slug(reference: str) -> str:
    """A file's name from the last part of a reference."""
    last = re.split("[:/]", reference.replace(".py:", "-"))[-1]
    return re.sub(r"[^\w.-]+", "-", last)


def _is_drawn(first: Sees, reference: str, device: str) -> bool:
    """Whether another seed gives other weights."""
    return isinstance(first, Network) and load_network(reference, device=device, seed=1).digest != first.digest


def _padded(built: Network, seed: int) -> tuple[Network | None, Remedy | None]:
    try:
        module, remedy = apply_remedy(built, "padding:fresh", seed=seed)
    except InputError:  # no odd kernel with an even stride
        return None, None
    return built.with_module(module), remedy


def _places(built: Network, suite: Suite, pictures: Pictures) -> dict[str, Locations]:
    """The dead and live places of the network as built, by check: from its structure alone."""
    share = suite.map.share
    return {
        check.name: choose(
            structural(built, check.experiment.map_layer),
            size=check.experiment.task.size,
            share=share,
            seed=suite.seed,
        )
        for check in plan(suite, built, pictures.judged)
    }
