"""A threshold that was pinned on other pictures must keep its rate of false alarms on those that are judged."""

import numpy as np
from jaxtyping import Float

from perturb.quantities.detection import detected
from perturb.quantities.statistics import by_photograph
from perturb.records import Control, Observation
from perturb.stats.betting import betting_interval
from perturb.stats.clusters import spread
from perturb.stats.power import least_mean_found
from perturb.stories.experiment import Measured

LIMIT = 2.0  # times the pinned rate, up to which a threshold counts as carried over
MOST = 4.0  # times that limit: further alarms of a photograph are not counted, so that their mean has an interval
CONFIDENCE = 0.95
POWER = 0.8


def keeps_its_rate(found: Measured) -> Control | None:
    """Whether it is not shown that the rate is above LIMIT times the pinned one; None where there is none to keep.

    By the betting interval over photographs (values within 0 and 1, or of reports a picture within 0 and MOST limits):
    a rate at the limit fails in (1 - CONFIDENCE) / 2 of all runs at most.
    """
    pinned, alarms = found.plan.point.false_alarms, _alarms(found.measurement.seen)
    if pinned is None or alarms is None:
        return None
    limit, error = LIMIT * pinned, (1 - CONFIDENCE) / 2
    counted = found.measurement.seen.point.clean == "unmatched"
    bounds = (0.0, MOST * limit if counted else 1.0)
    values = alarms.clip(*bounds)
    low, high = betting_interval(values, bounds, CONFIDENCE)
    caught = least_mean_found(spread(values), limit, bounds, error, have=len(values), power=POWER)
    would = f"would have caught {caught:.2f} or more" if caught is not None else "would have caught no rate"
    return Control(
        name=f"false alarms of {found.plan.name}",
        expected=f"pinned to {pinned:g}: not shown to be above {limit:g}; up to {limit:g} it fails in at most "
        f"{error:.1%} of runs",
        observed=f"{values.mean():.3f} [{low:.3f}, {high:.3f}] over {len(values)} photographs, which {would} in "
        f"{POWER:.0%} of runs",
        passed=low <= limit,
    )


def _alarms(seen: Observation) -> Float[np.ndarray, " photograph"] | None:
    """False alarms by photograph: the share of clean pictures, or of annotated pictures the reports of no object."""
    if seen.point.clean == "unmatched":
        if seen.alarms is None:
            return None
        counts = (seen.alarms > seen.threshold[..., None]).sum(-1)[..., None]
        return by_photograph(counts.astype(float), seen.photograph).mean(0)
    clean = detected(seen, "clean")[:, 0]
    return None if np.isnan(clean).any() else by_photograph(clean, seen.photograph).mean(0)
