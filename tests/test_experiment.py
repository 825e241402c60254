"""Whole experiments on networks whose answer is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import network, window
from toyseen import a_plan, experiment

from perturb.evaluators.change import ChangeDetector
from perturb.evaluators.features import Features
from perturb.evaluators.label import Label
from perturb.evaluators.score import Score
from perturb.images import load_images
from perturb.looking import look_at
from perturb.observe import Observing
from perturb.perturbations.patches import Box, Pixel
from perturb.plan import Training
from perturb.quantities.detection import ACCURACY_LOSS, detected, told_apart
from perturb.quantities.measures import measures
from perturb.records import ARMS, Claim, Conditions, Locations, OperatingPoint, Pictures, Verdict
from perturb.showing import Exposure, show
from perturb.stories import calibrate as calibration
from perturb.stories.calibrate import _crossing
from perturb.stories.experiment import Wanted, measure
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Presence
from perturb.trials import design, only
from perturb.verdict import decide

CLEAN, DEAD, LIVE, _ = range(len(ARMS))


def verdict(effect, at_most=0.1):
    return decide(Claim(quantity="accuracy-loss", at_most=at_most, confidence=0.95), effect)[0]


def rates(found):
    return measures(found.measurement.seen, seed=0)[0]


def test_strictly_dead_pixels_come_out_at_chance(leaves):
    """The network cannot know: evidence is bit for bit that of the clean twin, detection that of false alarms."""
    found, effect = experiment(window(1), leaves)
    seen = found.measurement.seen
    np.testing.assert_array_equal(seen.evidence[..., DEAD], seen.evidence[..., CLEAN])
    assert (told_apart(seen, "dead") == 0.5).all()
    assert rates(found).dead == rates(found).clean
    assert verdict(effect) == Verdict.FAIL


@pytest.mark.slow
def test_a_balanced_network_passes():
    """2 x 2 kernels with stride 2, 300 independent pictures: no loss, and one of 0.1 would have been seen."""
    many = load_images("dead-leaves", shape=(3, 64, 64), count=300)
    found, effect = experiment(window(2), many, share=0.1)
    assert found.measurement.conditions.locations[0].balanced
    assert verdict(effect) == Verdict.PASS
    assert effect.method == "betting over 270 photographs"


def test_a_planted_loss_fails(leaves):
    """A 3 x 3 kernel with stride 2 meets phase (1, 1) four times as often as (0, 0)."""
    found, effect = experiment(window(3, padding=1), leaves)
    (locations,) = found.measurement.conditions.locations
    assert (locations.dead.tolist(), locations.live.tolist()) == ([[0, 0]], [[1, 1]])
    assert verdict(effect) == Verdict.FAIL


@pytest.mark.slow
def test_null_experiments_fail_within_their_level():
    """200 whole experiments on a balanced network, claimed at most 0: FAIL in at most 2.5 %, plus simulation error."""
    pictures = load_images("dead-leaves", shape=(3, 32, 32), count=16)
    verdicts = []
    for seed in range(200):
        _, effect = experiment(
            window(2, channels=8, seed=seed),
            pictures,
            seed=seed,
            level=0.25,
            pairs=3,
            evaluator=ChangeDetector(layer="0", shots=8),
            wanted=Wanted(engine="dense"),
        )
        verdicts.append(verdict(effect, at_most=0.0))
    assert verdicts.count(Verdict.FAIL) <= 12  # P(X > 12) < 0.5 % for X ~ B(200, 0.025)
    assert Verdict.PASS not in verdicts


def test_false_alarms_keep_their_rate(leaves):
    found, _ = experiment(window(3, padding=1), leaves, pairs=20)
    clean = rates(found).clean
    assert clean.low <= 0.05 <= clean.high
    assert clean.value == pytest.approx(0.05, abs=0.03)


def test_calibration_hits_its_target_on_other_images(leaves):
    found, _ = experiment(window(3, padding=1), leaves, pairs=20)
    assert rates(found).live.value == pytest.approx(0.85, abs=0.12)
    assert found.sweep.levels == calibration.LEVELS
    assert [rate.value for rate in found.sweep.live][-1] > 0.95


def test_crossing_interpolates_and_stays_in_range():
    assert _crossing((0.25, 0.5, 1.0), [0.0, 0.5, 1.0], 0.75) == pytest.approx(0.5**0.5)
    assert _crossing((0.25, 0.5, 1.0), [0.0, 0.5, 1.0], 0.6) == pytest.approx(0.5**0.8)
    assert _crossing((0.25, 0.5, 1.0), [0.5, 0.3, 1.0], 0.75) == pytest.approx(0.5**0.5)  # a rate that fell is noise
    assert _crossing((0.25, 0.5, 0.75, 1.0), [0.0, 0.85, 0.85, 1.0], 0.85) == 0.5
    assert _crossing((0.25, 0.5, 1.0), [0.0, 0.1, 0.2], 0.85) == 1.0
    assert _crossing((0.25, 0.5, 1.0), [0.9, 1.0, 1.0], 0.85) == 0.25


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_common_threshold_is_the_rank_of_the_clean_pictures(leaves, noise):
    """38 pictures at 5 % false alarms: the 38th; with noise each pair has a clean picture, so the 74th of 76."""
    images = only(leaves, np.arange(38))
    plan = a_plan(evaluator=Score(noise=noise), evaluator_name="score", level=0.5, map_layer="output")
    model = network(Brightest())
    look = look_at(model, "output", "dense")
    places = Locations(dead=np.array([[0, 0]]), live=np.array([[0, 0]]), period=2, balanced=False)
    found = calibration.calibrate(
        plan.evaluator, calibration.Setting(plan=plan, look=look, locations=places, images=images)
    )
    trials = design(images, places, size=1, pairs=2, seed=0, purpose="toy/calibration")
    exposure = Exposure(task=plan.task, levels=(0.5,), noise=noise)
    clean = np.concatenate([show(images, trials, image, exposure).clean for image in range(38)])
    brightest = np.sort(clean[:, :, ::2, ::2].max((1, 2, 3)))
    assert len(brightest) == (76 if noise else 38)
    assert found.threshold == pytest.approx(brightest[(74 if noise else 38) - 1], abs=1e-6)


class Brightest(nn.Module):
    """A detector of hot pixels that sees every second pixel of every second row only."""

    def forward(self, x):
        return x[:, :, ::2, ::2].amax((1, 2, 3))[:, None]


def lattice(dead, live, period=2):
    return Locations(dead=np.array([dead]), live=np.array([live]), period=period, balanced=False)


def test_a_score_yes_no_and_2afc():
    """The model's own output as evidence: hot pixels at seen phases are told, at the others not."""
    images = load_images("dead-leaves", shape=(3, 64, 64), count=80)
    dim = replace(images, pixels=np.asarray(images.pixels) * 0.5)
    task = Presence(perturbation=Box(size=1, mode="replace"), level=1.0)
    wanted = Wanted(places={"toy": lattice((1, 1), (0, 0))})
    found, _ = experiment(
        Brightest(), dim, share=0.4, evaluator=Score(), level=1.0, task=task, wanted=wanted, map_layer="output"
    )
    seen = found.measurement.seen
    assert detected(seen, "live").mean() == told_apart(seen, "live").mean() == 1
    assert detected(seen, "clean").mean() <= 0.15
    np.testing.assert_array_equal(detected(seen, "dead"), detected(seen, "clean"))
    assert (told_apart(seen, "dead") == 0.5).all()


def test_features_learn_and_are_blind_where_the_network_is():
    images = load_images("dead-leaves", shape=(3, 64, 64), count=60)
    smooth = replace(images, pixels=np.asarray(images.pixels) * 0.2 + 0.3)
    module = nn.Sequential(window(1, channels=32), nn.ReLU())
    features = Features(layer="1", noise=0.01)
    found, effect = experiment(module, smooth, share=0.5, evaluator=features, level=1.0)
    assert rates(found).live.value > 0.8
    assert rates(found).dead.value < 0.2
    assert verdict(effect) == Verdict.FAIL


@dataclass(frozen=True, kw_only=True)
class Given(Score):
    threshold: float = 0.7


@dataclass(frozen=True, kw_only=True)
class Taught(Given):
    """Learns nothing: it stands for a learner whose threshold is given."""

    def learn(self, clean, perturbed):
        return self


@pytest.mark.parametrize("evaluator", [Given(), Given(threshold=1), Taught(), Taught(threshold=1)])
@pytest.mark.parametrize("level", [None, 1.0])
def test_a_given_threshold_is_the_one_that_judges(leaves, evaluator, level):
    """Whether or not a level is calibrated or something is learnt, and be it a whole number."""
    few = only(leaves, np.arange(12))
    few = replace(few, names=few.names[:12], digests=few.digests[:12])
    point = OperatingPoint(false_alarms=None, clean="absent", chance=0.5)
    found, _ = experiment(
        Brightest(), few, share=0.5, evaluator=evaluator, level=level, point=point, pairs=2, map_layer="output"
    )
    assert (found.measurement.seen.threshold == evaluator.threshold).all()


def test_features_are_tried_on_photographs_that_did_not_teach_them(monkeypatch):
    images = load_images("dead-leaves", shape=(3, 64, 64), count=12)
    crops = replace(images, photograph=np.repeat(np.arange(3), 4), names=images.names[:3], digests=images.digests[:3])
    taught, tried = [], []
    show = calibration.show

    def shown(pictures, *rest):
        taught.append(set(pictures.photograph))
        return show(pictures, *rest)

    class Noting(Observing):
        def __call__(self, block):
            tried.append(set(block.images.photograph))
            return super().__call__(block)

    monkeypatch.setattr(calibration, "show", shown)
    monkeypatch.setattr(calibration, "Observing", Noting)
    model = network(nn.Sequential(window(1, channels=8), nn.ReLU()))
    plan = a_plan(evaluator=Features(layer="1", noise=0.01), level=1.0, map_layer="1")
    measure(model, plan, Pictures(calibration=crops, judged=crops), Wanted(), {})
    assert taught
    assert tried
    assert not set.union(*taught) & set.union(*tried)


def test_two_seeds_are_two_trainings_with_places_of_their_own(leaves):
    """Fine-tuned for an epoch: the first axis of what is seen counts them, and each has its own trials."""
    from perturb.training import RECIPES

    few = only(leaves, np.arange(12))
    few = replace(few, names=few.names[:12], digests=few.digests[:12])
    module = nn.Sequential(
        window(3, padding=1, channels=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    recipe = replace(RECIPES["short"], epochs=1)
    found, effect = experiment(
        module,
        few,
        share=0.7,
        evaluator=Label(),
        evaluator_name="label, fine-tuned",
        point=OperatingPoint(false_alarms=None, clean="absent", chance=0.5),
        training=Training(regime="fine-tuned", recipe=recipe, seeds=2),
        level=1.0,
        pairs=2,
    )
    seen = found.measurement.seen
    assert seen.evidence.shape[:2] == (2, 1)
    first, second = found.measurement.trials
    assert (first.seed, second.seed) == (0, 1)
    assert (first.dead != second.dead).any()
    assert [t.seed for t in found.training] == [0, 1]
    assert effect.method.endswith(", for these 2 seeds")


@pytest.mark.slow
def test_a_baselines_conditions_are_measured_anew_only_where_they_differ(leaves):
    own, _ = experiment(window(3, padding=1), leaves, level=0.25)
    same = Wanted(conditions={"toy": own.measurement.conditions})
    again, _ = experiment(window(3, padding=1), leaves, level=0.25, wanted=same)
    assert again.repeated.seen is not None
    np.testing.assert_array_equal(again.repeated.seen.evidence, own.measurement.seen.evidence)
    other = Conditions(level=0.5, locations=(lattice((1, 0), (0, 1)),))
    there, _ = experiment(window(3, padding=1), leaves, level=0.25, wanted=Wanted(conditions={"toy": other}))
    assert there.repeated.seen.levels == (0.5,)
    assert (there.repeated.trials[0].dead % 2 == [1, 0]).all()
    np.testing.assert_array_equal(there.measurement.seen.evidence, own.measurement.seen.evidence)
    assert (again.own, own.own) == (None, None)
    stronger, _ = experiment(window(3, padding=1), leaves, level=0.5)
    assert there.own.conditions.level == 0.5
    np.testing.assert_array_equal(there.own.trials[0].dead, own.measurement.trials[0].dead)
    np.testing.assert_array_equal(there.own.seen.evidence, stronger.measurement.seen.evidence)


def test_a_faint_level_is_read_in_double_precision(leaves):
    """1e-4 of the range on a network as it is: differences are right to a millionth, by a closed form."""

    class Sum(nn.Module):
        def forward(self, x):
            total = x.sum((1, 2, 3))
            return torch.stack([total, -total], 1)

    few = only(leaves, np.arange(8))
    few = replace(few, pixels=few.pixels * 0.2 + 0.3, names=few.names[:8], digests=few.digests[:8])
    found, _ = experiment(
        Sum(),
        few,
        evaluator=Label(),
        task=Labels(perturbation=Pixel(), level=1e-4, outputs=2),
        point=OperatingPoint(false_alarms=None, clean="right", chance=0.5),
        level=1e-4,
        map_layer="output",
        wanted=Wanted(places={"toy": lattice((1, 1), (0, 0))}),
    )
    change = found.measurement.seen.measures["absolute-change"][..., [DEAD, LIVE]]
    np.testing.assert_allclose(change, 3e-4, rtol=1e-3)


def test_the_loss_does_not_depend_on_the_executor(leaves):
    """Blocks in any order of work, results in their own."""

    def backward(work, blocks):
        return reversed([work(block) for block in reversed(list(blocks))])

    plain, effect = experiment(window(3, padding=1), leaves, level=0.25)
    other, same = experiment(window(3, padding=1), leaves, level=0.25, wanted=Wanted(executor=backward))
    np.testing.assert_array_equal(other.measurement.seen.evidence, plain.measurement.seen.evidence)
    assert same == effect
    assert ACCURACY_LOSS.version == 2
