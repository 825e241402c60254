"""Probability of detection against level as a logistic curve with guesses and lapses: point estimates, for reading."""

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from perturb.records import FittedCurve

LAPSES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)  # among which the most likely one is taken
TINY = 1e-12
STEEPEST = 50.0  # slope on the natural logarithm of the level; steeper ones cannot be told from a step
STEPS, HALVINGS = 100, 30

Shares = Float[np.ndarray, " level"]


def probability(curve: FittedCurve, levels: Shares) -> Shares:
    """POD(a) = guess + (1 - guess - lapse) expit(intercept + slope ln a): MIL-HDBK-1823A, Wichmann and Hill (2001)."""
    rise = expit(curve.intercept + curve.slope * np.log(levels))
    return np.asarray(curve.guess + (1 - curve.guess - curve.lapse) * rise)


def level_of(curve: FittedCurve, share: float) -> float | None:
    """The level at which `share` is detected; None where the curve does not rise, or not through that share."""
    rise = (share - curve.guess) / (1 - curve.guess - curve.lapse)
    if not 0 < rise < 1 or curve.slope <= 0:
        return None
    return float(np.exp((logit(rise) - curve.intercept) / curve.slope))


def fit_curve(
    levels: Shares, detected: Shares, trials: Shares, guess: float, *, lapses: tuple[float, ...] = LAPSES
) -> FittedCurve:
    """The most likely curve for shares `detected` among so many independent `trials` at each level.

    `guess` is the measured false-alarm rate; of `lapses` the most likely is taken. Trials on one photograph are not
    independent, so the curve has no interval. Raises ValueError for fewer than two levels.
    """
    if len(levels) < 2:
        raise ValueError(f"`levels` ({levels}): a curve needs at least 2.")
    fits = [_Fit(np.log(levels), detected * trials, trials, guess, lapse) for lapse in lapses if lapse < 1 - guess]
    best = max(fits, key=lambda fit: fit.likelihood(fit.best))
    intercept, slope = (float(number) for number in best.best)
    return FittedCurve(intercept=intercept, slope=slope, guess=guess, lapse=best.lapse)


class _Fit:
    """The likelihood of (intercept, slope), and where it is largest, with guess and lapse given."""

    def __init__(self, x: Shares, hits: Shares, trials: Shares, guess: float, lapse: float) -> None:
        self.centre = float(x.mean())
        self.x, self.hits, self.trials = x - self.centre, hits, trials
        self.guess, self.lapse = guess, lapse
        found = self._climbed()
        self.best = np.array([found[0] - found[1] * self.centre, found[1]])

    def likelihood(self, best: Float[np.ndarray, " 2"]) -> float:
        """Logarithm of the likelihood of (intercept, slope)."""
        return self._value(np.array([best[0] + best[1] * self.centre, best[1]]))

    def _climbed(self) -> np.ndarray:
        """By Fisher scoring; a step that does not lead upwards is halved. The slope stays within STEEPEST."""
        given = np.array([0.0, 1.0])
        value = self._value(given)
        for _ in range(STEPS):
            step = np.linalg.pinv(self._information(given)) @ self._score(given)
            for _ in range(HALVINGS):
                to = np.array([given[0] + step[0], np.clip(given[1] + step[1], -STEEPEST, STEEPEST)])
                if (reached := self._value(to)) > value:
                    break
                step = step / 2
            else:
                return given
            given, value = to, reached
        return given

    def _shares(self, given: np.ndarray) -> tuple[Shares, Shares]:
        """The probability at each level, and its derivative by the linear predictor."""
        rise, scale = expit(given[0] + given[1] * self.x), 1 - self.guess - self.lapse
        return np.clip(self.guess + scale * rise, TINY, 1 - TINY), scale * rise * (1 - rise)

    def _value(self, given: np.ndarray) -> float:
        share, _ = self._shares(given)
        return float((self.hits * np.log(share) + (self.trials - self.hits) * np.log1p(-share)).sum())

    def _score(self, given: np.ndarray) -> np.ndarray:
        share, rate = self._shares(given)
        pull = (self.hits - self.trials * share) / (share * (1 - share)) * rate
        return np.array([pull.sum(), pull @ self.x])

    def _information(self, given: np.ndarray) -> np.ndarray:
        """Fisher's."""
        share, rate = self._shares(given)
        weight, design = self.trials * rate**2 / (share * (1 - share)), np.stack([np.ones_like(self.x), self.x])
        return np.asarray((design * weight) @ design.T)
