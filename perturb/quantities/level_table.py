"""What a report says of detection against level: shares, fitted curves, a50, a90, a90/95, the penalty, by arm."""

from perturb.quantities.levels import METHOD, PENALTY_DB, Answers, ByArm, answers, curve_of, reached
from perturb.records import ArmLevels, Contribution, LevelTable, Observation, Rate
from perturb.stats.betting import betting_interval
from perturb.stats.levels import clusters_needed, reversals

CONFIDENCE = 0.95
ARMS: tuple[ByArm, ...] = ("dead", "live")


def level_table(seen: Observation, contribution: Contribution, *, seed: int) -> LevelTable:
    """Of the levels after the check's own. Every interval holds for every distribution of photographs."""
    dead, live = (answers(seen, arm) for arm in ARMS)
    photographs = dead.table.shape[1]
    return LevelTable(
        levels=dead.levels,
        dead=_arm(dead),
        live=_arm(live),
        penalty=PENALTY_DB.effect(seen, contribution, confidence=CONFIDENCE, seed=seed),
        method=METHOD.format(photographs),
        enough=clusters_needed(0.9, 1 - CONFIDENCE),
        warnings=(*_warnings("dead", dead), *_warnings("live", live)),
    )


def _arm(arm: Answers) -> ArmLevels:
    curve, error = curve_of(arm), (1 - CONFIDENCE) / 2
    return ArmLevels(
        rates=tuple(_rate(arm, number) for number in range(len(arm.levels))),
        fit=curve,
        a50=reached(arm, curve, 0.5, error),
        a90=reached(arm, curve, 0.9, error),
        surely=reached(arm, curve, 0.9, 1 - CONFIDENCE).high,
    )


def _rate(arm: Answers, number: int) -> Rate:
    means = arm.table[number]
    low, high = betting_interval(means, (0, 1), CONFIDENCE)
    return Rate(value=float(means.mean()), low=low, high=high, n=len(means), trials=int(arm.trials[number]))


def _warnings(name: ByArm, arm: Answers) -> tuple[str, ...]:
    """The clearest fall of detection with the level, where one is shown: the error is shared by both arms' pairs."""
    shares = arm.shares
    falls = reversals(arm.table, (1 - CONFIDENCE) / len(ARMS))
    if not falls:
        return ()
    low, high = max(falls, key=lambda pair: float(shares[pair[0]] - shares[pair[1]]))
    return (
        f"at {name} places less is detected at level {arm.levels[high]:.3g} than at {arm.levels[low]:.3g} "
        f"({shares[high]:.2f} and {shares[low]:.2f}): a90 is then the level from which on all are detected so often",
    )
