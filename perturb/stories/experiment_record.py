"""What a report says of one experiment: how it came about and what was seen, by arm."""

from dataclasses import fields, is_dataclass, replace
from typing import Literal

import numpy as np

from perturb.locations import middle_cell
from perturb.plan import ExperimentPlan
from perturb.quantities.by_phase import rates
from perturb.quantities.level_table import level_table
from perturb.quantities.levels import own_level
from perturb.quantities.measures import free_response, measures
from perturb.quantities.recall import recall
from perturb.records import (
    DEAD,
    LIVE,
    Contribution,
    Experiment,
    LevelTable,
    Locations,
    Miss,
    Observation,
    Phase,
)
from perturb.stories.experiment import Measured

SIZES = frozenset(["size", "sigma", "diameter", "width", "length", "longest", "font_size"])  # keys of perturbations


def experiment_record(found: Measured) -> Experiment:
    """The record of an experiment. Places are those of its first seed."""
    plan, seen = found.plan, own_level(found.measurement.seen)
    locations = found.measurement.conditions.locations[0]
    put = plan.task.perturbation
    return Experiment(
        name=plan.name,
        perturbation=repr(put),
        thing=getattr(put, "words", f"the perturbation {put!r}"),
        evaluator=plan.evaluator_name,
        verb=plan.evaluator.verb,
        clean=plan.point.clean,
        level=seen.levels[0],
        calibrated=plan.level is None,
        live_target=plan.live_target if plan.level is None else None,
        layer=found.contribution.layer,
        period=locations.period,
        dead_phases=_phases(_shown(locations, locations.dead, found.contribution)),
        live_phases=_phases(_shown(locations, locations.live, found.contribution)),
        balanced=locations.balanced,
        measures=measures(seen, seed=plan.seed),
        realised={"dead": float(seen.realised[..., DEAD].mean()), "live": float(seen.realised[..., LIVE].mean())},
        photographs=len(np.unique(seen.photograph)),
        pairs=seen.evidence[..., DEAD].size,
        worst=worst_pair(found),
        engine=found.engine,
        training=found.training,
        design=plan.design,
        threshold=None if plan.point.false_alarms is not None else _given(plan),
        free_response=free_response(seen),
        phases=found.contribution.rates if seen.phase is None else rates(seen),
        phases_of="calibration" if seen.phase is None else "judged",
        clipped=_clipped(seen),
        recall=recall(seen, found.measurement.trials[0], found.judged, seed=plan.seed),
        levels=_levels(found),
        point=plan.point,
        pinned_on=_pinned_on(plan),
        thresholds=_thresholds(seen),
        noise=plan.evaluator.noise,
    )


def _levels(found: Measured) -> LevelTable | None:
    """Detection by level where the suite asks for levels."""
    plan = found.plan
    if not plan.curve:
        return None
    table = level_table(found.measurement.seen, found.contribution, seed=plan.seed)
    return replace(table, side=max(plan.task.extent), series=_series(plan))


def _series(plan: ExperimentPlan) -> str:
    """What the experiment has in common with those whose object alone has another size; empty for an object of one."""
    put = plan.task.perturbation
    keys = [key.name for key in fields(put)] if is_dataclass(put) else []
    if not set(keys) & SIZES:
        return ""
    alike = {key: getattr(put, key) for key in keys if key not in SIZES}
    return f"{type(put).__name__} {alike}, {plan.evaluator!r}, {plan.design}"


def _clipped(seen: Observation) -> dict[str, float]:
    """The share of the change at dead and at live places that clipping took away."""
    if seen.clipped is None:
        return {}
    arms = {
        name: (float(seen.realised[..., arm].sum()), float(seen.clipped[..., arm].sum()))
        for name, arm in (("dead", DEAD), ("live", LIVE))
    }
    return {name: lost / (kept + lost) if lost else 0.0 for name, (kept, lost) in arms.items()}


def _shown(locations: Locations, arm: np.ndarray, contribution: Contribution) -> np.ndarray:
    """The phases of an arm; of pixels those in the cell in the middle, of which the report shows the map."""
    if not locations.pixels:
        return arm
    assert contribution.lattice is not None
    inside = arm - np.array(middle_cell(contribution.lattice))
    return np.asarray(inside[((inside >= 0) & (inside < locations.period)).all(1)])


def _given(plan: ExperimentPlan) -> float | None:
    """The user's own threshold; a label's is none of theirs."""
    threshold = plan.evaluator.threshold
    return None if isinstance(threshold, str) or plan.evaluator.needs_task else float(threshold)


def _pinned_on(plan: ExperimentPlan) -> Literal["calibration pictures", "clean shots of each crop"] | None:
    if plan.point.false_alarms is None:
        return None
    return "clean shots of each crop" if plan.evaluator.threshold == "image" else "calibration pictures"


def _thresholds(seen: Observation) -> tuple[float, float] | None:
    """The least and the largest over seeds and crops; None where one is not finite, as of a model without answers."""
    if not np.isfinite(seen.threshold).all():
        return None
    return float(seen.threshold.min()), float(seen.threshold.max())


def worst_pair(found: Measured) -> Miss | None:
    """Of the first seed's pairs missed at the dead and seen at the live place, the one whose evidence differs most."""
    trials, seen, judged = found.measurement.trials[0], found.measurement.seen, found.judged
    evidence, threshold = seen.evidence[0, 0], seen.threshold[0][:, None]
    dead, live = evidence[..., DEAD], evidence[..., LIVE]
    apart = np.where((dead <= threshold) & (live > threshold), live - dead, -np.inf)
    crop, pair = (int(i) for i in np.unravel_index(apart.argmax(), apart.shape))
    if apart[crop, pair] == -np.inf:
        return None
    return Miss(
        photograph=judged.names[judged.photograph[crop]],
        crop=crop,
        dead=_phases(trials.dead[crop, pair : pair + 1])[0],
        live=_phases(trials.live[crop, pair : pair + 1])[0],
        evidence_dead=float(dead[crop, pair]),
        evidence_live=float(live[crop, pair]),
        threshold=float(seen.threshold[0, crop]),
    )


def _phases(places: np.ndarray) -> tuple[Phase, ...]:
    return tuple((int(row), int(column)) for row, column in places)
