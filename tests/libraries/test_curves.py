"""Curves of detection against level, beside statsmodels (the same likelihood) and psignifit 4 (with priors)."""

import math
import warnings

import numpy as np
import pytest

from perturb.stats.detection_curve import fit_curve, level_of, probability

statsmodels = pytest.importorskip("statsmodels.api")
psignifit = pytest.importorskip("psignifit")


def test_without_guesses_and_lapses_it_is_a_logistic_regression():
    """200 random tables of 5 to 13 levels; coefficients to 1e-8."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        levels = np.geomspace(1 / 64, 1, rng.integers(5, 14))
        trials = rng.integers(20, 200, len(levels))
        slope, half = rng.uniform(0.5, 4), rng.uniform(0.05, 0.5)
        hits = rng.binomial(trials, 1 / (1 + (half / levels) ** slope))
        design = statsmodels.add_constant(np.log(levels))
        counts = np.stack([hits, trials - hits], 1)
        theirs = statsmodels.GLM(counts, design, family=statsmodels.families.Binomial()).fit(tol=1e-14, maxiter=200)
        ours = fit_curve(levels, hits / trials, trials.astype(float), 0.0, lapses=(0.0,))
        np.testing.assert_allclose([ours.intercept, ours.slope], theirs.params, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("kind", "guess"), [("yes/no", 0.05), ("2AFC", 0.5)])
def test_thresholds_and_widths_are_near_those_of_psignifit(kind, guess):
    """Its estimate has priors, ours has none: thresholds within 5 %, widths within 15 %, at 300 trials a level."""
    levels = np.geomspace(0.05, 1, 9)
    truth = guess + (1 - guess - 0.02) / (1 + (0.25 / levels) ** 3)
    hits = np.random.default_rng(1).binomial(300, truth)
    data = np.stack([np.log(levels), hits, np.full(9, 300)], 1)
    fixed = {"gamma": guess, "eta": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = psignifit.psignifit(
            data, sigmoid="logistic", experiment_type=kind, fixed_parameters=fixed
        ).parameter_estimate
    ours = fit_curve(levels, hits / 300, np.full(9, 300.0), guess)
    half = level_of(ours, guess + (1 - guess - ours.lapse) / 2)
    assert half == pytest.approx(math.exp(theirs["threshold"]), rel=0.05)
    assert 2 * math.log(19) / ours.slope == pytest.approx(theirs["width"], rel=0.15)
    assert np.abs(probability(ours, levels) - hits / 300).max() < 0.06
