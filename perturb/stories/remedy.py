"""Remedies side by side: what each costs, what it does to the lattice, and what loss is left."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch

from perturb.answers import part_of
from perturb.comparisons import Treated
from perturb.contribution import structural
from perturb.errors import InputError, UsageError
from perturb.locations import fold, imbalance
from perturb.model import ASK_TWICE, BlackBox, Network, ask_twice, shifts_of
from perturb.plan import plan, seen_by
from perturb.protocols import Progress, Sees, Tick, quiet
from perturb.quantities.detection import detected
from perturb.quantities.statistics import by_photograph, mean_effect
from perturb.records import Effect, Images, Observation, Remedy
from perturb.remedies import apply_remedy
from perturb.runs import Run
from perturb.stories.experiment import Wanted
from perturb.stories.prepare import as_shown
from perturb.stories.qualify import Bench, Context, examine, set_up
from perturb.suite import Suite
from perturb.trials import only

BUILT = "as built"
CONFIDENCE = 0.95
TIMED, ROUNDS = 4, 5  # pictures that are timed, and how often


def compare(
    load: Callable[[int], Network | BlackBox],
    remedies: Sequence[str],
    *,
    suite: Suite | None = None,
    seeds: Sequence[int] = (0,),
    progress: Progress = quiet,
) -> tuple[list[Treated], dict[str, str]]:
    """The model as built and under each remedy; and those that do not apply, with the reason.

    `load` gives the model drawn with a seed; a trained one is measured once. Without a suite only what is exact is
    told. With one, its first check is measured on each model at that model's own dead and live places, by its energy
    map, or by the answers where the suite's map is a response: a remedy that only moves the lattice gains nothing. Of
    several seeds the loss is their mean, with Student's t interval over seeds; of one seed its interval is over
    photographs. Times are relative to the model as built, which takes turns with the others.
    Raises UsageError for what a black box cannot be asked: anything without a suite, or a changed network.
    """
    built = load(seeds[0])
    _check(built, remedies, suite)
    seeds = seeds if built.untrained else seeds[:1]
    bench = set_up(suite, built.input_shape) if suite else None
    layer = (suite.check[0].evaluator or suite.evaluator).layer if suite else "output"
    layer = built.find_layer(layer) if isinstance(built, Network) else "output"
    rows, refused, first = [], {}, list[Run]()
    models: list[Sees] = []
    for name in (BUILT, *remedies):
        try:
            if suite and bench and shifts_of(name):
                _check_joined(built, suite, bench.pictures.judged)
            model, done = _treat(built, name, seeds[0], ask=suite is not None)
        except InputError as error:
            refused[name] = (
                str(error).removeprefix(f"{built.name}: ").removeprefix(f"remedy `{name.partition(':')[0]}` ")
            )
            continue
        runs = _measure(load, name, suite, bench, seeds, progress) if suite and bench else []
        first = first or runs
        rows.append(_measured(_exact(name, built, model, done, layer), runs, first))
        models.append(model)
    if suite and bench:
        times = _times([seen_by(suite, model) for model in models], suite, bench.pictures.judged)
        rows = [replace(row, time=time) for row, time in zip(rows, times, strict=True)]
    return marked(rows), refused


def _check(built: Network | BlackBox, remedies: Sequence[str], suite: Suite | None) -> None:
    if isinstance(built, Network):
        return
    if suite is None:
        raise UsageError(f"{built.name} is a plain function, of which nothing is known without asking: name --suite.")
    if inside := [name for name in remedies if not shifts_of(name)]:
        raise UsageError(f"{built.name} is a plain function, which `{inside[0]}` cannot change: use {ASK_TWICE}.")


def _check_joined(built: Network | BlackBox, suite: Suite, judged: Images) -> None:
    """Raises InputError where the joined answers cannot be measured by this suite."""
    if built.untrained:
        raise InputError("the network is untrained; name weights.")
    asked = plan(suite, seen_by(suite, built), judged)[0].experiment
    if part_of(asked.evaluator.layer) is None or asked.map.kind != "response":
        raise InputError("it joins answers: use a suite whose evaluator reads them, with [map] kind = 'response'.")


def _treat(
    built: Network | BlackBox, name: str, seed: int, *, ask: bool = True
) -> tuple[Network | BlackBox, Remedy | None]:
    if name == BUILT:
        return built, None
    if shifts := shifts_of(name):
        done = Remedy(kind=name, weights="kept", changed=())
        return ask_twice(built, shifts=shifts) if ask else built, done
    assert isinstance(built, Network)
    module, done = apply_remedy(built, name, seed=seed)
    return built.with_module(module), done


def _measure(
    load: Callable[[int], Network | BlackBox],
    name: str,
    suite: Suite,
    bench: Bench,
    seeds: Sequence[int],
    progress: Progress,
) -> list[Run]:
    kind = suite.map.kind if suite.map.kind == "response" else "energy"
    only = {"check": suite.check[:1], "map": suite.map.model_copy(update={"kind": kind})}
    asked, runs = suite.model_copy(update=only), []
    for seed in seeds:
        model, done = _treat(load(seed), name, seed)

        def told(stage: str, steps: int, seed: int = seed) -> Tick:
            return progress(f"{name}, seed {seed}: {stage}", steps)

        runs.append(examine(model, asked, Context(bench=bench, wanted=Wanted(progress=told), remedy=done)))
    return runs


def _exact(name: str, built: Network | BlackBox, model: Network | BlackBox, done: Remedy | None, layer: str) -> Treated:
    """What is known without asking the model."""
    looks = shifts_of(name) or 1
    network = built if looks > 1 else model
    parameters = adds = ratio = None
    cost = float(looks**2)
    if isinstance(network, Network) and isinstance(built, Network):
        parameters, adds = network.parameters, looks**2 * network.multiply_adds
        cost = adds / built.multiply_adds
        ratio = imbalance(best_look(fold(structural(network, layer)), looks))
    return Treated(
        name=name,
        done=done,
        parameters=parameters,
        multiply_adds=adds,
        layer=layer,
        structural=ratio if ratio is not None and np.isfinite(ratio) else None,
        cost=cost,
    )


def best_look(phases: np.ndarray, shifts: int) -> np.ndarray:
    """The contribution of each phase (row, column) in the best of shifts x shifts looks, a pixel apart."""
    return np.max([np.roll(phases, move, (0, 1)) for move in np.ndindex(shifts, shifts)], 0)


def _measured(row: Treated, runs: list[Run], built: list[Run]) -> Treated:
    """The row with what was seen of it; of one seed also the penalty in dB, where the suite has levels."""
    if not runs:
        return row
    reports = [run.report for run in runs]
    rates = [report.experiments[0].detected for report in reports]
    levels = reports[0].experiments[0].levels if len(runs) == 1 else None
    return replace(
        row,
        energy=_mean([report.map.imbalance or np.inf for report in reports]),
        dead=_mean([rate.dead.value for rate in rates]),
        live=_mean([rate.live.value for rate in rates]),
        accuracy=_mean([float(np.mean([*right(_seen(run)).values()])) for run in runs]),
        loss=_over_seeds([report.findings[0].effect for report in reports]),
        kept=_kept(runs, built),
        penalty=levels.penalty if levels else None,
    )


def _seen(run: Run) -> Observation:
    return next(iter(run.measured.values())).seen


def right(seen: Observation) -> dict[int, float]:
    """Share of right answers by photograph: what a model is worth beside its dead pixels.

    Where the clean picture has a right answer of its own, the share right there. Where the perturbation is to be found,
    the share right on as many clean pictures as perturbed ones, half of these at dead places.
    """
    dead, live, clean = (
        by_photograph(detected(seen, arm)[:, 0], seen.photograph).mean(0) for arm in ("dead", "live", "clean")
    )
    found = (dead + live) / 2
    shares = {"right": clean, "absent": (found + 1 - clean) / 2}.get(seen.point.clean, found)
    return dict(zip(np.unique(seen.photograph).tolist(), shares.tolist(), strict=True))


def _kept(runs: list[Run], built: list[Run]) -> Effect:
    """Share of right answers minus that as built, on the photographs that all were asked about."""
    shares = [right(_seen(run)) for run in (*runs, *built)]
    both = sorted(set.intersection(*map(set, shares)))
    ours, theirs = np.split(np.array([[share[one] for one in both] for share in shares]), 2)
    return mean_effect(ours - theirs, confidence=CONFIDENCE, seed=0, limit=1)


def _times(models: Sequence[Sees], suite: Suite, judged: Images) -> list[float]:
    """How long each takes in units of the first: the median of ROUNDS rounds in which they take turns."""
    task = plan(suite, models[0], judged)[0].experiment.task
    few = as_shown(models[0].input_shape, task, only(judged, slice(TIMED)))
    pictures = torch.from_numpy(np.asarray(few.pixels[:]))
    took = np.empty((ROUNDS, len(models)))
    for number, turn in np.ndindex(took.shape):
        begun = perf_counter()
        models[turn].measure(pictures)
        took[number, turn] = perf_counter() - begun
    return np.median(took / took[:, :1], 0).tolist()


def marked(rows: Sequence[Treated]) -> list[Treated]:
    """The rows with the Pareto front marked: what no other equals in loss, cost and right answers and beats in one."""
    if any(row.loss is None for row in rows):
        return list(rows)
    points = np.array([(max(0.0, row.loss.value), row.cost, -(row.accuracy or 0)) for row in rows if row.loss])
    beaten = [((points <= point).all(1) & (points < point).any(1)).any() for point in points]
    return [replace(row, front=not worse) for row, worse in zip(rows, beaten, strict=True)]


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
