"""One error rate for several checks: Holm's (1979) step-down procedure, written for intervals."""

from collections.abc import Callable, Sequence


def holm(decides: Sequence[Callable[[float], bool]], confidences: Sequence[float]) -> list[float]:
    """The confidence for each check's interval, so that any wrong decision at all stays as rare as one check allows.

    `decides[i](c)` tells whether check i is decided by its interval at confidence c. While m checks are open, each is
    read at 1 - a/m, where 1 - a is its own confidence. Those decided keep that confidence and leave; the rest are read
    again with the smaller m, until none is decided. The checks decided are those that Holm's procedure rejects.
    """
    used = list(confidences)
    waiting = list(range(len(decides)))
    while waiting:
        for i in waiting:
            used[i] = 1 - (1 - confidences[i]) / len(waiting)
        undecided = [i for i in waiting if not decides[i](used[i])]
        if len(undecided) == len(waiting):
            break
        waiting = undecided
    return used
