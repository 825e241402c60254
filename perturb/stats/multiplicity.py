"""Several checks, one promise: Holm's (1979) step-down procedure, written for intervals."""

from collections.abc import Callable, Sequence


def holm(decides: Sequence[Callable[[float], bool]], confidences: Sequence[float]) -> list[float]:
    """The confidence at which each check is to be read, so that the chance of any wrong decision keeps its level.

    `decides[i](c)` tells whether check i is decided by its interval at confidence c. Of m open checks each is read at
    1 - a/m; those decided leave, and the rest are read again with what is freed. The order of rejection is Holm's.
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
