"""Remedies side by side: what each costs, what it does to the lattice, and what loss is left."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from perturb.comparisons import Treated
from perturb.contribution import structural
from perturb.errors import InputError
from perturb.locations import fold, imbalance
from perturb.model import Network
from perturb.protocols import Progress, Tick, quiet
from perturb.quantities.statistics import mean_effect
from perturb.records import Effect, Experiment, Remedy
from perturb.remedies import apply_remedy
from perturb.report import Report
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Bench, Context, qualify, set_up
from perturb.suite import Suite

BUILT = "as built"
CONFIDENCE = 0.95


def compare(
    load: Callable[[int], Network],
    remedies: Sequence[str],
    *,
    suite: Suite | None = None,
    seeds: Sequence[int] = (0,),
    progress: Progress = quiet,
) -> tuple[list[Treated], dict[str, str]]:
    """The network as built and under each remedy; and those that do not apply, with the reason.

    `load` gives the network drawn with a seed; a trained one is measured once. Without a suite only what is exact is
    told. With one, its first check is measured on each network at that network's own dead and live places, by its
    energy map: a remedy that only moves the lattice gains nothing. Of several seeds the loss is their mean, with
    Student's t interval over seeds; of one seed its interval is over photographs.
    """
    built = load(seeds[0])
    seeds = seeds if built.untrained else seeds[:1]
    bench = set_up(suite, built.input_shape) if suite else None
    layer = built.find_layer((suite.check[0].evaluator or suite.evaluator).layer) if suite else "output"
    rows, refused = [], {}
    for name in (BUILT, *remedies):
        try:
            network, done = _treat(built, name, seeds[0])
        except InputError as error:
            refused[name] = str(error).removeprefix(f"{built.name}: ")
            continue
        reports = _measure(load, name, suite, bench, seeds, progress) if suite and bench else []
        rows.append(_row(name, network, done, layer, reports))
    return rows, refused


def _treat(built: Network, name: str, seed: int) -> tuple[Network, Remedy | None]:
    if name == BUILT:
        return built, None
    module, done = apply_remedy(built, name, seed=seed)
    return built.with_module(module), done


def _measure(
    load: Callable[[int], Network], name: str, suite: Suite, bench: Bench, seeds: Sequence[int], progress: Progress
) -> list[Report]:
    only = {"check": suite.check[:1], "map": suite.map.model_copy(update={"kind": "energy"})}
    asked, reports = suite.model_copy(update=only), []
    for seed in seeds:
        network, done = _treat(load(seed), name, seed)

        def told(stage: str, steps: int, seed: int = seed) -> Tick:
            return progress(f"{name}, seed {seed}: {stage}", steps)

        reports.append(qualify(network, asked, Context(bench=bench, wanted=Wanted(progress=told), remedy=done)))
    return reports


def _row(name: str, network: Network, done: Remedy | None, layer: str, reports: list[Report]) -> Treated:
    ratio = imbalance(fold(structural(network, layer)))
    lattices = [report.map.imbalance or np.inf for report in reports]
    rates = [report.experiments[0].detected for report in reports]
    return Treated(
        name=name,
        done=done,
        parameters=network.parameters,
        multiply_adds=network.multiply_adds,
        layer=layer,
        structural=ratio if np.isfinite(ratio) else None,
        energy=_mean(lattices),
        dead=_mean([rate.dead.value for rate in rates]),
        live=_mean([rate.live.value for rate in rates]),
        accuracy=_mean([accuracy(report.experiments[0]) for report in reports]),
        loss=_over_seeds([report.findings[0].effect for report in reports]) if reports else None,
    )


def accuracy(found: Experiment) -> float:
    """Share of right answers of a network: what it is worth beside its dead pixels.

    Where the clean picture has a right answer of its own, the share right there. Where the perturbation is to be found,
    the share right on as many clean pictures as perturbed ones, half of these at dead places.
    """
    rates = found.detected
    seen = (rates.dead.value + rates.live.value) / 2
    if rates.clean is None:
        return seen
    return rates.clean.value if found.clean == "right" else (seen + 1 - rates.clean.value) / 2


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values and np.isfinite(values).all() else None


def _over_seeds(effects: list[Effect]) -> Effect:
    if len(effects) == 1:
        return effects[0]
    values = np.array([[effect.value for effect in effects]])
    found = mean_effect(values, confidence=CONFIDENCE, seed=0)
    first = effects[0]
    return replace(
        found,
        quantity=first.quantity,
        version=first.version,
        words=first.words,
        method=found.method.replace("clusters", "seeds"),
        saturated=next((effect.saturated for effect in effects if effect.saturated), ""),
    )
