"""Probability of detection against level: a logistic curve with guesses and lapses, photographs being clusters."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, logit

LAPSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # among which the most likely one is taken
TINY = 1e-12
STEEPEST = 50.0  # slope on the natural logarithm of the level; steeper ones cannot be told from a step

ByPhotograph = Float[np.ndarray, "level photograph"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionCurve:
    """POD(a) = guess + (1 - guess - lapse) expit(intercept + slope ln a)."""

    intercept: float
    slope: float
    guess: float
    lapse: float
    influence: Float[np.ndarray, "photograph 2"]  # of each photograph on (intercept, slope)

    def at(self, level: Float[np.ndarray, " level"]) -> Float[np.ndarray, " level"]:
        """The probability of detection."""
        return np.asarray(
            self.guess + (1 - self.guess - self.lapse) * expit(self.intercept + self.slope * np.log(level))
        )

    def covariance(self) -> Float[np.ndarray, "2 2"]:
        """Of intercept and slope: the sandwich over photographs, n / (n - 1) times the sum of their influences squared."""
        n = len(self.influence)
        return np.asarray(self.influence.T @ self.influence * n / max(n - 1, 1))

    def rises(self, confidence: float) -> bool:
        """Whether the slope is shown to be positive, at this one-sided confidence."""
        n = len(self.influence)
        if n < 2:
            return False
        error = float(self.covariance()[1, 1] ** 0.5)
        return self.slope > float(stats.t.ppf(confidence, n - 1)) * error

    def log_level(self, share: float) -> tuple[float, Float[np.ndarray, " photograph"]]:
        """The logarithm of the level at which `share` is detected, and each photograph's influence on it; NaN where none.

        The influences follow by the delta method.
        """
        reach = (share - self.guess) / (1 - self.guess - self.lapse)
        if not 0 < reach < 1 or self.slope <= 0:
            return np.nan, np.full(len(self.influence), np.nan)
        where = (float(logit(reach)) - self.intercept) / self.slope
        return where, -(self.influence @ np.array([1.0, where])) / self.slope

    def surely(self, share: float, confidence: float) -> float:
        """The level from which on at least `share` is detected, with this confidence: a90/95 for 0.9 and 0.95.

        It is where the curve's lower confidence bound reaches the share (Fieller's method, with Student's t over
        photographs; MIL-HDBK-1823A reads a90/95 off such a bound). NaN where the bound never does.
        """
        where, _ = self.log_level(share)
        if np.isnan(where) or not self.rises(confidence):
            return np.nan
        n = len(self.influence)
        covariance, t = self.covariance(), float(stats.t.ppf(confidence, n - 1))
        # (z - intercept - slope x)^2 = t^2 (v00 + 2 v01 x + v11 x^2): the larger root
        gap = self.slope * where
        a = self.slope**2 - t**2 * covariance[1, 1]
        b = -2 * (self.slope * gap + t**2 * covariance[0, 1])
        c = gap**2 - t**2 * covariance[0, 0]
        return float(np.exp((-b + max(b * b - 4 * a * c, 0.0) ** 0.5) / (2 * a)))


def fit_curve(
    levels: Float[np.ndarray, " level"],
    hits: ByPhotograph,
    trials: ByPhotograph,
    guess: float,
    *,
    lapses: tuple[float, ...] = LAPSES,
) -> DetectionCurve:
    """The most likely curve, as if trials were independent; its errors respect that those of one photograph are not.

    `guess` is the measured false-alarm rate. Of `lapses` the most likely is taken, and then counts as known.
    Raises ValueError for fewer than two levels.
    """
    if len(levels) < 2:
        raise ValueError(f"`levels` ({levels}): a curve needs at least 2.")
    x = np.log(levels)
    fits = [_Fit(x, hits, trials, guess, lapse) for lapse in lapses]
    best = max(fits, key=lambda fit: fit.log_likelihood(fit.most_likely))
    intercept, slope = best.most_likely
    return DetectionCurve(
        intercept=float(intercept),
        slope=float(slope),
        guess=guess,
        lapse=best.lapse,
        influence=best.scores(best.most_likely) @ np.linalg.pinv(best.information(best.most_likely)),
    )


class _Fit:
    """The likelihood of (intercept, slope), with guess and lapse given."""

    def __init__(self, x: np.ndarray, hits: ByPhotograph, trials: ByPhotograph, guess: float, lapse: float) -> None:
        self.design = np.stack([np.ones_like(x), x], 1)
        self.hits, self.trials = hits, trials
        self.guess, self.lapse = guess, lapse
        self.most_likely = self._climbed()

    def _climbed(self) -> np.ndarray:
        """By L-BFGS, the slope within its bounds, then by Fisher scoring to the last digits."""
        centre = self.design[:, 1].mean()

        def down(given: np.ndarray) -> tuple[float, np.ndarray]:
            beta = np.array([given[0] - given[1] * centre, given[1]])
            score = self.scores(beta).sum(0)
            return -self.log_likelihood(beta), -np.array([score[0], score[1] - centre * score[0]])

        bounds = [(-50 * STEEPEST, 50 * STEEPEST), (-STEEPEST, STEEPEST)]
        found = minimize(down, [0.0, 1.0], jac=True, method="L-BFGS-B", bounds=bounds).x
        beta = np.array([found[0] - found[1] * centre, found[1]])
        for _ in range(20):
            step = np.linalg.pinv(self.information(beta)) @ self.scores(beta).sum(0)
            if abs(beta[1] + step[1]) > STEEPEST or self.log_likelihood(beta + step) < self.log_likelihood(beta):
                break
            beta = beta + step
        return beta

    def _shares(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability by level and its derivative by the linear predictor."""
        rise, scale = expit(self.design @ beta), 1 - self.guess - self.lapse
        share = np.clip(self.guess + scale * rise, TINY, 1 - TINY)[:, None]
        return share, (scale * rise * (1 - rise))[:, None]

    def log_likelihood(self, beta: np.ndarray) -> float:
        share, _ = self._shares(beta)
        return float((self.hits * np.log(share) + (self.trials - self.hits) * np.log1p(-share)).sum())

    def scores(self, beta: np.ndarray) -> Float[np.ndarray, "photograph 2"]:
        """The gradient of each photograph's log likelihood."""
        share, rate = self._shares(beta)
        return ((self.hits - self.trials * share) / (share * (1 - share)) * rate).T @ self.design

    def information(self, beta: np.ndarray) -> Float[np.ndarray, "2 2"]:
        """Fisher's."""
        share, rate = self._shares(beta)
        weight = self.trials.sum(1) * (rate**2 / (share * (1 - share)))[:, 0]
        return self.design.T @ (weight[:, None] * self.design)
