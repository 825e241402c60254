"""What each check of a suite can decide: how often it would PASS and FAIL if this much were lost, by simulation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, isclose

from perturb.comparisons import Chance, Enough, Outlook
from perturb.plan import CheckPlan
from perturb.quantities.detection import Paired, Share
from perturb.quantities.levels import OfLevels
from perturb.quantities.of_map import OfMap
from perturb.records import Effect
from perturb.stats.chances import (
    Clusters,
    Rule,
    chances,
    clusters_to_pass,
    difference_of,
    everything_or_nothing,
    share_of,
    spread_like,
)
from perturb.streams import stream

TIMES = (0.0, 0.5, 1.0, 1.5, 2.0)  # the claim: true values that are tried
POWERS = (0.8, 0.9)
KNOWN = ((-1, 1), (0, 1))  # ranges of differences of shares, and of shares
CORRELATION = 0.05  # between trials on one photograph; ResNet-18 on the built-in photographs had 0.06 and 0.00


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Photographs: those that are judged, how many to supply for each, and the crops of each."""

    judged: int
    a_judged: float
    crops: float


def outlooks(checks: Sequence[CheckPlan], supply: Supply, earlier: dict[str, Effect]) -> tuple[Outlook, ...]:
    """For each check the chances of PASS and FAIL, and how many photographs would PASS where nothing is lost.

    The simulated runs are decided by the bets that decide real ones. A FAIL is counted at the confidence that Holm's
    procedure leaves to the only check that fails. `earlier` has effects of a run by check, whose spread is taken.
    """
    sampled = sum(not isinstance(check.quantity, OfMap) for check in checks)
    return tuple(_outlook(check, supply, earlier.get(check.name), sampled) for check in checks)


def _outlook(check: CheckPlan, supply: Supply, earlier: Effect | None, sampled: int) -> Outlook:
    claim, quantity = check.claim, check.quantity
    error = (1 - claim.confidence) / 2
    plain = partial(
        Outlook, check=check.name, quantity=claim.quantity, at_most=claim.at_most, error=error, judged=supply.judged
    )
    if isinstance(quantity, OfLevels):
        least = ceil(quantity.least(claim.confidence) * supply.a_judged)
        why = f"a level has no chances by photograph; fewer than {least} photographs to supply cannot PASS"
        return plain(assumed=f"nothing: {why}", usual=(), rare=(), enough=())
    if not isinstance(quantity, Paired | Share) or quantity.range not in KNOWN:
        why = "a number of the map, without sampling" if isinstance(quantity, OfMap) else "no mean of one number"
        return plain(assumed=f"nothing: it is {why}, which is not simulated", usual=(), rare=(), enough=())
    rule = Rule(margin=claim.at_most, passes=error, fails=error / sampled)
    words, of = _photographs(check, quantity, supply, earlier)
    truths = [true for true in dict.fromkeys(times * claim.at_most for times in TIMES) if _possible(check, true)]

    def chance(true: float, clusters: Clusters) -> Chance:
        passes, fails = chances(clusters, supply.judged, rule, stream(0, f"plan/{check.name}/{true:g}"))
        return Chance(true=true, passes=passes, fails=fails)

    return plain(
        assumed=words,
        usual=tuple(chance(true, of(true)) for true in truths),
        rare=tuple(chance(true, everything_or_nothing(true, quantity.range)) for true in truths),
        enough=tuple(_enough(check.name, of(0.0), supply, rule, power) for power in POWERS),
    )


def _possible(check: CheckPlan, true: float) -> bool:
    """Whether so much can be lost of what is detected at live places; or is a share."""
    most = check.experiment.live_target if isinstance(check.quantity, Paired) else 1.0
    return 0 <= true <= most or isclose(true, most)


def _photographs(
    check: CheckPlan, quantity: Paired | Share, supply: Supply, earlier: Effect | None
) -> tuple[str, Callable[[float], Clusters]]:
    """How one photograph's value is distributed, in words and as a function of the true mean."""
    plan = check.experiment
    if earlier is not None:
        words = f"photographs spread by {earlier.spread:.2f} (standard deviation), as in the earlier run"
        return words, partial(spread_like, spread=earlier.spread, bounds=quantity.range)
    trials = max(1, round(supply.crops * plan.pairs)) * plan.training.seeds
    words = f"{trials} pairs a photograph, beta-binomial with correlation {CORRELATION:g}"
    if isinstance(quantity, Share):
        return words, lambda true: share_of(trials, true, CORRELATION)
    live = plan.live_target
    return (
        f"{words}; {live:.0%} detected at live places",
        lambda true: difference_of(trials, live, min(true, live), CORRELATION),
    )


def _enough(name: str, clusters: Clusters, supply: Supply, rule: Rule, power: float) -> Enough:
    judged = clusters_to_pass(clusters, rule, power, lambda: stream(0, f"plan/{name}/enough"))
    return Enough(probability=power, photographs=None if judged is None else ceil(judged * supply.a_judged))
