"""A threshold with a false-alarm rate, from clean pictures."""

import math

import numpy as np
from jaxtyping import Float


def pin_threshold(clean: Float[np.ndarray, "... shot"], false_alarms: float) -> Float[np.ndarray, "..."]:
    """The evidence that one further clean picture exceeds with probability `false_alarms` at most.

    The ceil((n + 1)(1 - a))-th smallest of n: exact for exchangeable pictures (split conformal prediction), as are
    shots of one picture. Shots of several photographs are not exchangeable with those of another: pinned on 8
    photographs, 5 % may come out at 8, which is why the rate is measured on the judged ones. With n below 1/a - 1 it is
    the largest, and the rate is 1/(n + 1).
    """
    n = clean.shape[-1]
    rank = min(math.ceil((n + 1) * (1 - false_alarms)), n)
    return np.asarray(np.sort(clean, -1)[..., rank - 1])
