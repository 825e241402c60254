"""The instrument on networks whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window

from perturb.contribution import structural
from perturb.detectors import AsIs, Probe, Reference
from perturb.errors import UsageError
from perturb.images import load_images, split
from perturb.locations import anywhere, choose
from perturb.outcomes import collect, fit, pin_threshold
from perturb.perturbation import Box, Pixel
from perturb.quantities import KINDS, accuracy_loss, detected, told_apart
from perturb.records import Claim, Outcomes, Verdict
from perturb.stories import experiment
from perturb.stories.asked import detector_of
from perturb.stories.controls import prove
from perturb.stories.experiment import Protocol, _crossing, run
from perturb.suite import DetectorTable
from perturb.tasks import Presence
from perturb.trials import design
from perturb.verdict import decide


def protocol(**changes):
    given = {
        "name": "toy",
        "perturbation": Pixel(),
        "detector": Reference(layer="0"),
        "level": None,
        "live_target": 0.85,
        "false_alarms": 0.05,
        "pairs": 6,
        "seed": 0,
    }
    return Protocol(**(given | changes))


def measured(module, images, *, seed=0, share=0.3, **changes):
    model = network(module)
    calibration, judged = split(images, share=share, seed=seed)
    contribution = structural(model, "0")
    outcomes, account = run(model, protocol(seed=seed, **changes), choose(contribution, seed=seed), calibration, judged)
    return outcomes, account, accuracy_loss(outcomes, contribution, confidence=0.95, seed=seed)


def verdict(effect, at_most=0.1):
    return decide(Claim(quantity="accuracy-loss", at_most=at_most, confidence=0.95), effect)[0]


def test_strictly_dead_pixels_come_out_at_chance(leaves):
    """The network cannot know: evidence is bit for bit that of the clean twin, detection that of false alarms."""
    outcomes, account, effect = measured(window(1), leaves)
    np.testing.assert_array_equal(outcomes.dead, outcomes.clean)
    assert (told_apart(outcomes, "dead") == 0.5).all()
    assert account.rates["dead"] == account.rates["clean"]
    assert verdict(effect) == Verdict.FAIL


def test_a_balanced_network_passes():
    """2 x 2 kernels with stride 2, 300 independent pictures: no loss, and one of 0.1 would have been seen."""
    many = load_images("dead-leaves", shape=(3, 64, 64), count=300)
    _, account, effect = measured(window(2), many, share=0.1)
    assert account.balanced
    assert verdict(effect) == Verdict.PASS
    assert effect.method == "BCa bootstrap over 270 clusters"


def test_a_planted_loss_fails(leaves):
    """A 3 x 3 kernel with stride 2 meets phase (1, 1) four times as often as (0, 0)."""
    _, account, effect = measured(window(3, padding=1), leaves)
    assert account.dead_phases == ((0, 0),)
    assert account.live_phases == ((1, 1),)
    assert verdict(effect) == Verdict.FAIL


def test_null_experiments_fail_within_their_level():
    """200 whole experiments on a balanced network, claimed at most 0: FAIL in at most 2.5 %, plus simulation error."""
    pictures = load_images("dead-leaves", shape=(3, 32, 32), count=16)
    verdicts = []
    for seed in range(200):
        model = network(window(2, channels=8, seed=seed), shape=(3, 32, 32))
        calibration, judged = split(pictures, share=0.3, seed=seed)
        places = choose(structural(model, "0"), seed=seed)
        outcomes, _ = run(
            model,
            protocol(seed=seed, level=0.25, pairs=3, detector=Reference(layer="0", shots=8)),
            places,
            calibration,
            judged,
        )
        effect = accuracy_loss(outcomes, None, confidence=0.95, seed=seed)
        verdicts.append(verdict(effect, at_most=0.0))
    assert verdicts.count(Verdict.FAIL) <= 12  # P(X > 12) < 0.5 % for X ~ B(200, 0.025)
    assert Verdict.PASS not in verdicts


def test_swapping_the_arms_flips_the_sign(leaves):
    outcomes, _, effect = measured(window(3, padding=1), leaves)
    swapped = type(outcomes)(
        clean=outcomes.clean,
        dead=outcomes.live,
        live=outcomes.dead,
        realised_dead=outcomes.realised_live,
        realised_live=outcomes.realised_dead,
        threshold=outcomes.threshold,
        photograph=outcomes.photograph,
    )
    other = accuracy_loss(swapped, None, confidence=0.95, seed=0)
    assert other.value == -effect.value
    assert (other.low, other.high) == pytest.approx((-effect.high, -effect.low), abs=1e-6)


def test_false_alarms_keep_their_rate(leaves):
    outcomes, account, _ = measured(window(3, padding=1), leaves, pairs=20)
    assert account.rates["clean"].low <= 0.05 <= account.rates["clean"].high
    assert detected(outcomes, "clean").mean() == pytest.approx(0.05, abs=0.03)


def test_calibration_hits_its_target_on_other_images(leaves):
    _, account, _ = measured(window(3, padding=1), leaves, pairs=20)
    assert account.rates["live"].value == pytest.approx(0.85, abs=0.12)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_size_changes_nothing(leaves, batch):
    model = network(window(3, padding=1))
    trials = design(leaves, anywhere(2), size=1, pairs=2, seed=0, purpose="test")
    task = Presence(perturbation=Pixel(), levels=(0.5,), noise=0.02)
    whole = collect(model, Reference(layer="0"), task, leaves, trials, ("clean", "dead", "live"))
    model.batch = batch
    parts = collect(model, Reference(layer="0"), task, leaves, trials, ("clean", "dead", "live"))
    np.testing.assert_allclose(parts.retakes, whole.retakes, rtol=1e-4)


def test_a_trial_is_the_same_whatever_is_shown_beside_it(leaves):
    trials = design(leaves, anywhere(2), size=1, pairs=2, seed=0, purpose="test")
    task = Presence(perturbation=Pixel(), levels=(0.25, 0.5), noise=0.02)
    both = next(task.show(leaves, trials, ("clean", "dead", "live"), shots=2)).retakes[1, 2]
    alone = next(Presence(perturbation=Pixel(), levels=(0.5,), noise=0.02).show(leaves, trials, ("live",), shots=1))
    np.testing.assert_array_equal(both, alone.retakes[0, 0])


def test_level_zero_is_the_clean_twin(leaves):
    trials = design(leaves, anywhere(2), size=1, pairs=2, seed=0, purpose="test")
    shown = next(
        Presence(perturbation=Box(), levels=(0.0,), noise=0.02).show(leaves, trials, ("clean", "live"), shots=1)
    )
    np.testing.assert_array_equal(shown.retakes[0, 0], shown.retakes[0, 1])


def test_pinned_threshold_is_the_conformal_quantile():
    assert pin_threshold(np.arange(20.0), 0.05) == 19
    assert pin_threshold(np.arange(1, 40.0), 0.05) == 38
    assert pin_threshold(np.arange(5.0), 0.05) == 4


def test_crossing_interpolates_and_stays_in_range():
    assert _crossing((0.25, 0.5, 1.0), [0.0, 0.5, 1.0], 0.75) == pytest.approx(0.5**0.5)
    assert _crossing((0.25, 0.5, 1.0), [0.0, 0.1, 0.2], 0.85) == 1.0
    assert _crossing((0.25, 0.5, 1.0), [0.9, 1.0, 1.0], 0.85) == 0.25


class Brightest(nn.Module):
    """A detector of hot pixels that sees every second pixel of every second row only."""

    def forward(self, x):
        return x[:, :, ::2, ::2].amax((1, 2, 3))[:, None]


def test_as_is_yes_no_and_2afc():
    """The model's own output as evidence: hot pixels at seen phases are told, at the others not."""
    images = load_images("dead-leaves", shape=(3, 64, 64), count=80)
    dim = type(images)(
        pixels=images.pixels * 0.5, photograph=images.photograph, names=images.names, source=images.source
    )
    calibration, judged = split(dim, share=0.4, seed=0)
    places = choose(structural(network(window(1)), "0"))
    hot = Box(size=1, mode="replace")
    outcomes, _ = run(
        network(Brightest()), protocol(detector=AsIs(), perturbation=hot, level=1.0), places, calibration, judged
    )
    assert detected(outcomes, "live").mean() == told_apart(outcomes, "live").mean() == 1
    assert detected(outcomes, "clean").mean() <= 0.15
    np.testing.assert_array_equal(detected(outcomes, "dead"), detected(outcomes, "clean"))
    assert (told_apart(outcomes, "dead") == 0.5).all()
    with pytest.raises(UsageError, match="outputs 0 to 0"):
        run(network(Brightest()), protocol(detector=AsIs(output=3), level=1.0), places, calibration, judged)


def test_the_probe_learns_and_is_blind_where_the_network_is():
    images = load_images("dead-leaves", shape=(3, 64, 64), count=60)
    smooth = type(images)(
        pixels=images.pixels * 0.2 + 0.3, photograph=images.photograph, names=images.names, source=images.source
    )
    module = nn.Sequential(window(1, channels=32), nn.ReLU())
    outcomes, account, effect = measured(module, smooth, share=0.5, detector=Probe(layer="1", noise=0.01), level=1.0)
    assert account.rates["live"].value > 0.8
    assert detected(outcomes, "dead").mean() < 0.2
    assert verdict(effect) == Verdict.FAIL


def test_a_probe_is_tried_on_photographs_that_did_not_teach_it(monkeypatch):
    images = load_images("dead-leaves", shape=(3, 64, 64), count=12)
    crops = replace(images, photograph=np.repeat(np.arange(3), 4), names=images.names[:3])
    taught, tried = [], []

    def fitted(model, detector, task, pictures, trials):
        taught.append(set(pictures.photograph))
        return fit(model, detector, task, pictures, trials)

    def collected(model, detector, task, pictures, *rest, **more):
        tried.append(set(pictures.photograph))
        return collect(model, detector, task, pictures, *rest, **more)

    monkeypatch.setattr(experiment, "fit", fitted)
    monkeypatch.setattr(experiment, "collect", collected)
    model = network(nn.Sequential(window(1, channels=8), nn.ReLU()))
    places = choose(structural(model, "0"), seed=0)
    run(model, protocol(detector=Probe(layer="1", noise=0.01), level=1.0), places, crops, crops)
    assert taught
    assert all(not lessons & trial for lessons, trial in zip(taught, tried, strict=True))


def test_told_from_its_twin_chance_is_a_half_and_the_floor_lies_above(rng):
    """Coins: a visible change that tells nothing is no small loss."""
    evidence = rng.random((3, 40, 8))
    coins = Outcomes(
        clean=evidence[0],
        dead=evidence[1],
        live=evidence[2],
        realised_dead=np.ones((40, 8)),
        realised_live=np.ones((40, 8)),
        threshold=np.zeros(40),
        photograph=np.arange(40),
    )
    effect = KINDS["accuracy-loss-2afc"](coins, None, confidence=0.95, seed=0)
    assert effect.saturated == "floor"
    assert verdict(effect, at_most=0.5) == Verdict.INCONCLUSIVE


def test_rarer_false_alarms_take_more_shots(leaves):
    model = network(window(3, padding=1))
    for rate, shots in ((0.05, 20), (0.01, 99)):
        assert detector_of(model, DetectorTable(layer="0", false_alarms=rate)).shots == shots


def test_the_controls_of_a_run(leaves):
    assert all(control.passed for control in prove(*split(leaves, share=0.4, seed=0), seed=0))


def test_other_quantities(leaves):
    outcomes, _, _ = measured(window(3, padding=1), leaves)
    contribution = structural(network(window(3, padding=1)), "0")
    asked = {name: kind(outcomes, contribution, confidence=0.95, seed=0) for name, kind in KINDS.items()}
    assert asked["imbalance"].value == pytest.approx(4)
    assert asked["dead-share"].value == 0.25
    assert asked["miss-rate"].value == pytest.approx(1 - detected(outcomes, "dead").mean())
    assert asked["accuracy-loss-2afc"].low > 0


def test_reference_evidence_ignores_channels_that_noise_does_not_move(leaves):
    """A channel that is constant has no spread: it must not divide by zero."""
    module = window(2)
    module[0].weight.data[3] = 0
    model = network(module)
    detector = Reference(layer="0")
    known, clean = detector.study(
        model,
        torch.from_numpy(leaves.pixels[:2]).unsqueeze(1).repeat(1, 4, 1, 1, 1) + 0.02 * torch.randn(2, 4, 3, 64, 64),
    )
    assert torch.isfinite(clean).all()
    assert torch.isinf(known.spread[:, 0, 3]).all()
