"""Why checks fail: what the architecture reads where, beside where a run lost what it lost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from perturb.plan import CheckPlan
from perturb.quantities.cause import Evidence, cause_of
from perturb.records import Finding, Images, Trials, Verdict
from perturb.stories.experiment import Measured
from perturb.stories.run_checks import Results
from perturb.stories.structure import Reading, Structure


def explained(findings: Sequence[Finding], checks: Sequence[CheckPlan], results: Results) -> tuple[Finding, ...]:
    """Each FAIL of what is detected with its cause."""
    found = {each.plan.name: each for each in results.measured}
    return tuple(
        _explained(finding, check, found[check.experiment.name], results.structures)
        for finding, check in zip(findings, checks, strict=True)
    )


def _explained(finding: Finding, check: CheckPlan, found: Measured, structures: Mapping[str, Structure]) -> Finding:
    by_cause: Any = getattr(check.quantity, "by_cause", None)
    seen = by_cause(found.measurement.seen) if by_cause and finding.verdict == Verdict.FAIL else None
    if seen is None:
        return finding
    structure, trials = structures[found.contribution.layer], found.measurement.trials
    extents = [_extents(each, found.judged, found.plan.task.extent) for each in trials]
    shape = found.experimenter.look.model.input_shape[1:]
    read = None
    if structure.values is not None:
        arms = (
            np.stack([read_of(structure.values, getattr(t, arm), e) for t, e in zip(trials, extents, strict=True)])
            for arm in ("dead", "live")
        )
        read = next(arms), next(arms)
    evidence = Evidence(
        seen=seen,
        photograph=found.measurement.seen.photograph,
        edge=np.stack([_from_edge(t.dead, e, shape) for t, e in zip(trials, extents, strict=True)]),
        read=read,
        unknown=structure.unknown,
    )
    return replace(finding, cause=cause_of(evidence, finding.claim.at_most))


def read_of(
    values: Reading, place: Int[np.ndarray, "image pair 2"], extent: Int[np.ndarray, "image pair 2"]
) -> Float[np.ndarray, "image pair"]:
    """The mean of the map under objects of these rows and columns, top left at these places; exactly 0 where all is 0.

    An object counts as far as it lies in the picture.
    """
    limit = np.array(values.shape)
    (top, left), (bottom, right) = (np.moveaxis(at.clip(0, limit), -1, 0) for at in (place, place + extent))

    def under(what: np.ndarray) -> np.ndarray:
        sums = np.pad(what.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        return np.asarray(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

    read = under((values > 0).astype(np.int64))  # of floats, a sum of zeros is no zero
    return np.where(read > 0, under(values) / extent.prod(-1), 0.0)


def _extents(trials: Trials, judged: Images, extent: tuple[int, int]) -> Int[np.ndarray, "image pair 2"]:
    """Rows and columns of each trial's object: its own box, where objects are annotated."""
    if trials.asked is None or judged.objects is None:
        return np.broadcast_to(np.array(extent), trials.dead.shape)
    boxes = np.take_along_axis(judged.objects.boxes, trials.asked[..., None], 1)
    return np.maximum(1, boxes[..., 2:].round().astype(np.int64))


def _from_edge(
    place: Int[np.ndarray, "image pair 2"], extent: Int[np.ndarray, "image pair 2"], shape: tuple[int, ...]
) -> Float[np.ndarray, "image pair"]:
    return np.asarray(np.minimum(place, np.array(shape) - place - extent).min(-1), dtype=float)
