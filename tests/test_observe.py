"""What is shown, and what an observation holds of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from toys import network, window
from toyseen import PINNED

from perturb.blocks import Block
from perturb.errors import InputError, UsageError
from perturb.evaluators.change import ChangeDetector
from perturb.evaluators.label import Label
from perturb.evaluators.reading import Reading
from perturb.evaluators.score import Score
from perturb.incremental import Incremental
from perturb.locations import anywhere
from perturb.looking import Look, look_at
from perturb.observe import Experimenter, observe
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.records import CLEAN, CLEAN_LIVE, DEAD, LIVE, OperatingPoint, Trials
from perturb.showing import Exposure, shots_of, show
from perturb.stats.conformal import pin_threshold
from perturb.tasks.labels import Labels
from perturb.tasks.micro import Intensity, Presence
from perturb.trials import design, identity, only

LABELS = OperatingPoint(false_alarms=None, clean="right", chance=0.5)


def exposure(perturbation=None, *, levels=(0.25, 0.5), noise=0.02):
    return Exposure(task=Presence(perturbation=perturbation or Noise(size=2), level=1.0), levels=levels, noise=noise)


def designed(images, *, pairs=2, size=2):
    return design(images, anywhere(2), size=size, pairs=pairs, seed=0, purpose="test")


def pictures(shown):
    return np.concatenate([shown.clean, shown.changed])[shown.number]  # level, pair, arm


def test_a_trial_is_the_same_whatever_is_shown_beside_it(leaves):
    """Of two levels and of all images: the picture is bit for bit that of one level and image."""
    trials = designed(leaves)
    both = pictures(show(leaves, trials, 3, exposure()))
    one = only(leaves, np.array([3]))
    alone = pictures(show(one, designed(one), 0, exposure(levels=(0.5,))))
    np.testing.assert_array_equal(both[1], alone[0])


def test_level_zero_is_the_clean_twin(leaves):
    shown = pictures(show(leaves, designed(leaves), 0, exposure(levels=(0.0,))))
    for arm in (1, 2):
        np.testing.assert_array_equal(shown[:, :, arm], shown[:, :, 0])


def test_a_pair_shares_noise_and_texture_and_differs_by_the_place_alone(leaves):
    """Without clipping: dead and live pictures are the clean twin outside their patches, and changed alike inside."""
    grey = replace(leaves, pixels=np.full_like(leaves.pixels, 0.4))
    trials = designed(grey)
    shown = pictures(show(grey, trials, 0, exposure(levels=(0.25,))))
    patches = []
    for arm, places in ((1, trials.dead), (2, trials.live)):
        change = shown[0, 1, arm] - shown[0, 1, 0]
        row, column = places[0, 1]
        patches.append(change[:, row : row + 2, column : column + 2].copy())
        change[:, row : row + 2, column : column + 2] = 0
        assert not change.any()
    np.testing.assert_allclose(*patches, atol=1e-6)
    assert np.abs(shown[0, 0, 0] - shown[0, 1, 0]).max() > 0.02  # pairs have noise of their own


def test_without_noise_pairs_share_one_clean_picture(leaves):
    shown = show(leaves, designed(leaves, pairs=3), 0, exposure(noise=0))
    assert len(shown.clean) == 1
    np.testing.assert_array_equal(shown.clean[0], leaves.pixels[0])
    assert (shown.number[..., 0] == 0).all()
    assert set(shown.twin.tolist()) == {0}
    assert len(shown.twin) == 1 + len(np.unique(shown.number[..., [DEAD, LIVE]]))


def test_the_noise_is_what_it_says(leaves):
    grey = replace(leaves, pixels=np.full_like(leaves.pixels, 0.5))
    shots = shots_of(grey.pixels[0], "a picture/0", seed=0, noise=0.05, count=3)
    noise = (shots - 0.5).astype(float) / 0.05
    assert noise.mean((1, 2, 3)) == pytest.approx(0, abs=0.03)
    assert noise.std((1, 2, 3)) == pytest.approx(1, rel=0.03)
    assert kstest(noise.ravel(), "norm").pvalue > 0.001
    assert np.abs(np.corrcoef(noise.reshape(3, -1)) - np.eye(3)).max() < 0.04


def test_the_realised_change_is_after_clipping(leaves):
    """A white box added to a picture near white moves away from the bound: by its level, on every pixel."""
    bright = replace(leaves, pixels=np.full_like(leaves.pixels, 0.9))
    shown = show(bright, designed(bright), 0, exposure(Box(size=2), levels=(0.25,)))
    assert shown.realised[0, :, 0].tolist() == [0, 0]
    assert shown.realised[0, :, [DEAD, LIVE]].ravel().tolist() == pytest.approx([0.25] * 4)
    replaced = show(bright, designed(bright), 0, exposure(Box(size=2, mode="replace"), levels=(1.0,)))
    assert replaced.realised[0, 0, [DEAD, LIVE]].tolist() == pytest.approx([0.1, 0.1], abs=1e-6)


@dataclass(frozen=True, kw_only=True)
class Told(Reading):
    """Hands out what it is asked."""

    noise: float = 0.0
    layer: str = "output"
    what: str = "row"
    threshold: float = 0.0

    def evidence(self, outputs, asked, known):
        told = {
            "row": asked.place[:, 0],
            "truth": asked.truth,
            "twin": asked.twin,
            "size": np.full(len(asked.twin), asked.extent[0]),
        }
        return told[self.what]


def told(images, what, task, *, kind=Told, **changes):
    trials = designed(images, pairs=3)
    point = OperatingPoint(false_alarms=None, clean=task.clean, chance=0.5)
    by = Experimenter(
        look=Look(model=network(window(2)), layer="output"),
        evaluator=kind(what=what, **changes),
        task=task,
        levels=(0.5,),
        point=point,
        threshold=0.0,
    )
    return trials, observe(Block(images=images, trials=trials), by)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_an_evaluator_is_told_place_truth_size_and_twin(leaves, noise):
    few = only(leaves, np.arange(4))
    task = Intensity(perturbation=Box(size=2), level=0.5, outputs=3)
    trials, seen = told(few, "row", task, noise=noise)
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, 1], trials.dead[..., 0])
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, 2], trials.live[..., 0])
    assert np.isnan(seen.evidence[..., 0]).all()  # a clean picture has no intensity
    assert told(few, "truth", task, noise=noise)[1].evidence[0, 0, 0, :, 1].tolist() == [0, 1, 2]
    assert (told(few, "size", task, noise=noise)[1].evidence[..., [DEAD, LIVE]] == 2).all()
    twins = told(few, "twin", task, noise=noise)[1].evidence[0, 0, 0, :, 2].tolist()
    assert twins == ([0, 1, 2] if noise else [0, 0, 0])


@dataclass(frozen=True, kw_only=True)
class Local(Told):
    """Is asked place by place."""

    local = True


def test_clean_pictures_are_asked_at_both_places_of_a_pair(leaves):
    """The clean arms stand at the dead and at the live place, and each changed one has the twin of its own place."""
    few = only(leaves, np.arange(2))
    task = Presence(perturbation=Box(size=2), level=0.5)
    trials, seen = told(few, "row", task, kind=Local)
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, CLEAN], trials.dead[..., 0])
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, DEAD], trials.dead[..., 0])
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, LIVE], trials.live[..., 0])
    np.testing.assert_array_equal(seen.evidence[0, 0, :, :, CLEAN_LIVE], trials.live[..., 0])
    twins = told(few, "twin", task, kind=Local)[1].evidence[0, 0, 0, 0]
    assert twins[[CLEAN, DEAD, LIVE, CLEAN_LIVE]].tolist() == [CLEAN, CLEAN, CLEAN_LIVE, CLEAN_LIVE]


def test_labels_are_the_photographs_own_or_the_models():
    from perturb.images import load_images

    digits = load_images("digits", shape=(3, 16, 16), count=6)
    task = Labels(perturbation=Pixel(), level=0.5, outputs=10)
    point = OperatingPoint(false_alarms=None, clean="right", chance=0.1)
    trials = design(digits, anywhere(2), size=1, pairs=2, seed=0, purpose="test")
    by = Experimenter(
        look=Look(model=network(window(2), shape=(3, 16, 16)), layer="output"),
        evaluator=Told(what="truth"),
        task=task,
        levels=(0.5,),
        point=point,
        threshold=0.0,
    )
    seen = observe(Block(images=digits, trials=trials), by)
    np.testing.assert_array_equal(seen.evidence[0, 0, :, 0, 2], digits.labels)
    unlabelled = observe(Block(images=replace(digits, labels=None), trials=trials), by)
    assert (unlabelled.evidence == -1).all()


def experimenter(model, **changes):
    given = Experimenter(
        look=Look(model=model, layer="0"),
        evaluator=ChangeDetector(layer="0", shots=4),
        task=Presence(perturbation=Pixel(), level=1.0),
        levels=(0.25, 0.5),
        point=PINNED,
        threshold=None,
    )
    return replace(given, **changes)


def test_the_engine_changes_nothing_but_rounding(leaves):
    few, model = only(leaves, np.arange(3)), network(window(3, padding=1))
    block = Block(images=few, trials=designed(few, pairs=3, size=1))
    dense = observe(block, experimenter(model))
    swift = observe(block, experimenter(model, look=Look(model=model, layer="0", engine=Incremental(model, "0"))))
    np.testing.assert_allclose(swift.evidence, dense.evidence, rtol=1e-3)
    np.testing.assert_array_equal(swift.threshold, dense.threshold)


@pytest.mark.parametrize("batch", [1, 7])
def test_batch_size_changes_nothing_but_rounding(leaves, batch):
    few, model = only(leaves, np.arange(3)), network(window(3, padding=1))
    block = Block(images=few, trials=designed(few, size=1))
    whole = observe(block, experimenter(model))
    model.batch = batch
    np.testing.assert_allclose(observe(block, experimenter(model)).evidence, whole.evidence, rtol=1e-4)


def even(pictures):
    """Two scores: 1/2, and the brightest value at even rows and columns."""
    seen = pictures[:, :, ::2, ::2].amax((1, 2, 3))
    return torch.stack([torch.full_like(seen, 0.5), seen], 1)


class Even(torch.nn.Module):
    def forward(self, x):
        return even(x)


def test_a_classifier_that_sees_even_pixels_only(leaves):
    dim = replace(only(leaves, np.arange(5)), pixels=leaves.pixels[:5] * 0.4)
    cells = design(dim, anywhere(2), size=1, pairs=4, seed=0, purpose="test").dead // 2 * 2
    trials = Trials(dead=cells + 1, live=cells, photograph=dim.photograph, seed=0, purpose="test")
    by = Experimenter(
        look=look_at(network(Even()), "output", "dense"),
        evaluator=Label(),
        task=Presence(perturbation=Box(size=1, mode="replace"), level=1.0),
        levels=(1.0,),
        point=OperatingPoint(false_alarms=None, clean="absent", chance=0.5),
        threshold=0.0,
        flips=True,
    )
    seen = observe(Block(images=dim, trials=trials), by)
    clean, dead, live, _ = np.moveaxis(seen.evidence, -1, 0)
    np.testing.assert_array_equal(dead, clean)
    assert (clean < 0).all()
    assert (live == 0.5).all()
    assert (seen.measures["unflipped"][..., 1] == 1).all()
    assert (seen.measures["unflipped"][..., 2] == 0).all()
    assert (seen.measures["flipping-amplitude"][..., 1] == 1).all()
    brightness = dim.pixels[0][:, cells[0, 0, 0], cells[0, 0, 1]].max()
    assert seen.measures["flipping-amplitude"][0, 0, 0, 0, 2] == pytest.approx(0.5 - brightness, abs=0.03)
    assert np.isnan(seen.measures["unflipped"][..., 0]).all()


def test_evidence_that_is_no_number_is_refused(leaves):
    few = only(leaves, np.arange(2))
    block = Block(images=few, trials=designed(few, size=1))

    class Broken(Reading):
        noise, layer, threshold = 0.0, "output", 0.0

        def evidence(self, outputs, asked, known):
            return self.value(outputs)

    for value, words in (
        (lambda outputs: outputs.flatten(1)[:, 0] * np.nan, "not finite"),
        (lambda outputs: outputs.flatten(1)[:, :3], r"numbers of shape \(3,\) a picture, wanted one number"),
    ):
        broken = Broken()
        broken.value = value
        by = experimenter(
            network(window(2)), look=Look(model=network(window(2)), layer="output"), evaluator=broken, threshold=0.0
        )
        with pytest.raises(InputError, match=words):
            observe(block, by)


class Eyes:
    """A model that shows its outputs alone."""

    name, digest, input_shape, untrained = "eyes", "0", (3, 64, 64), False
    device = torch.device("cpu")

    def gives_tensor(self, layer):
        return True

    def measure(self, pictures, layer="output"):
        return even(pictures)


def test_a_model_that_shows_its_outputs_alone(leaves):
    few = only(leaves, np.arange(2))
    by = experimenter(None, look=look_at(Eyes(), "output", "auto"), evaluator=Score(target=1), threshold=0.5)
    seen = observe(Block(images=few, trials=designed(few, size=1)), by)
    np.testing.assert_allclose(seen.evidence[0, 0, :, 0, 0], few.pixels[:, :, ::2, ::2].max((1, 2, 3)))
    with pytest.raises(UsageError, match="eyes shows its outputs alone, not `last`"):
        look_at(Eyes(), "last", "auto")


def test_a_look_in_double_precision_leaves_the_module_as_it_was(leaves):
    model = network(window(3))
    look = look_at(model, "output", "auto", double=True)
    assert look.plain(torch.from_numpy(leaves.pixels[:1])).dtype == torch.float64
    assert next(model.module.parameters()).dtype == torch.float32
    assert look.name == "dense"


@pytest.mark.parametrize(
    ("n", "rate", "rank"), [(19, 0.05, 19), (20, 0.05, 20), (39, 0.05, 38), (99, 0.1, 90), (8, 0.05, 8)]
)
def test_a_threshold_is_the_conformal_rank_of_clean_shots(n, rate, rank):
    """ceil((n + 1)(1 - a)) of n values that are their own ranks, and the largest where that is beyond them."""
    ranks = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert pin_threshold(ranks, rate) == rank
    assert pin_threshold(np.stack([ranks, -ranks]), rate).tolist() == [rank, rank - n - 1]


def test_an_images_threshold_comes_from_its_own_shots(leaves):
    """Three shots at 50 % false alarms: the second smallest; what else was studied reaches the evidence."""

    @dataclass(frozen=True, kw_only=True)
    class Mean(Reading):
        noise: float = 0.02
        layer: str = "output"
        shots: int = 3

        def study(self, outputs):
            means = outputs.mean((1, 2, 3))
            return means.amax(), means

        def evidence(self, outputs, asked, known):
            return known.expand(len(outputs))

    few = only(leaves, np.arange(2))
    trials, model = designed(few, size=1), network(torch.nn.Identity())
    by = experimenter(
        None,
        look=Look(model=model, layer="output"),
        evaluator=Mean(),
        point=OperatingPoint(false_alarms=0.5, clean="absent", chance=0.5),
    )
    seen = observe(Block(images=few, trials=trials), by)
    names = [identity(few, image) for image in (0, 1)]
    shots = [shots_of(few.pixels[i], name, seed=0, noise=0.02, count=3) for i, name in enumerate(names)]
    means = [np.sort(each.mean((1, 2, 3))) for each in shots]
    assert seen.threshold[0].tolist() == pytest.approx([means[0][1], means[1][1]], rel=1e-5)
    assert seen.evidence[0, 0, :, 0, 0].tolist() == pytest.approx([means[0][2], means[1][2]], rel=1e-5)


def test_clipping_is_recorded_beside_the_change(leaves):
    """0.9 and a box that brightens by 0.25: 0.1 shows and 0.15 is clipped; darker, nothing is."""
    bright = replace(leaves, pixels=np.full_like(leaves.pixels, 0.9))
    for polarity, change in (("brighter", (0.1, 0.15)), ("darker", (0.25, 0.0))):
        shown = show(bright, designed(bright), 0, exposure(Box(size=2, polarity=polarity), levels=(0.25,)))
        assert shown.realised[0, :, DEAD].tolist() == pytest.approx([change[0]] * 2, abs=1e-6)
        assert shown.clipped[0, :, DEAD].tolist() == pytest.approx([change[1]] * 2, abs=1e-6)
        assert shown.clipped[0, :, LIVE].tolist() == pytest.approx([change[1]] * 2, abs=1e-6)
        assert shown.clipped[0, :, 0].tolist() == [0, 0]


def test_clipping_of_noise_is_that_of_the_same_noise(leaves):
    """On white, half of the noise of [-1, 1] is clipped: what is taken and what is left make up the whole."""
    white = replace(leaves, pixels=np.ones_like(leaves.pixels))
    shown = show(white, designed(white), 0, exposure(Noise(size=8), levels=(0.5,)))
    both = (shown.realised + shown.clipped)[0, :, [DEAD, LIVE]]
    assert both.ravel().tolist() == pytest.approx([0.25] * 4, abs=0.04)
    assert (shown.clipped / (shown.realised + shown.clipped + 1e-12))[0, 0, DEAD] == pytest.approx(0.5, abs=0.15)
