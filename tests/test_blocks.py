"""Blocks: what is cut and what is put together again."""

from dataclasses import replace

import numpy as np
import pytest
from toys import network, window
from toyseen import PINNED, observed

from perturb.blocks import cut, joined, stacked
from perturb.evaluators.change import ChangeDetector
from perturb.images import load_images
from perturb.incremental import Incremental
from perturb.locations import anywhere
from perturb.looking import Look
from perturb.observe import Experimenter, observe
from perturb.perturbations.patches import Noise
from perturb.records import Images
from perturb.tasks.micro import Presence
from perturb.trials import design, only


@pytest.fixture(scope="module")
def crops() -> Images:
    return only(load_images("built-in", shape=(3, 64, 64), crops=3), np.arange(18))


def test_crops_of_a_photograph_stay_together(crops):
    trials = design(crops, anywhere(2), size=1, pairs=2, seed=0, purpose="test")
    blocks = cut(crops, trials, photographs=4)
    owners = [set(block.images.photograph) for block in blocks]
    assert [len(owner) for owner in owners] == [4, 2]
    assert not owners[0] & owners[1]
    np.testing.assert_array_equal(np.concatenate([b.trials.dead for b in blocks]), trials.dead)


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("photographs", [1, 4])
def test_a_block_shows_and_gives_what_the_whole_gives_bit_for_bit(crops, photographs, incremental):
    """Evidence, thresholds and realised changes, at two levels, under sensor noise."""
    model = network(window(3, padding=1))
    by = Experimenter(
        look=Look(model=model, layer="0", engine=Incremental(model, "0") if incremental else None),
        evaluator=ChangeDetector(layer="0", shots=4),
        task=Presence(perturbation=Noise(size=3), level=1.0),
        levels=(0.25, 0.5),
        point=PINNED,
        threshold=None,
    )
    trials = design(crops, anywhere(2), size=3, pairs=2, seed=0, purpose="test")
    (whole,) = (observe(block, by) for block in cut(crops, trials, photographs=99))
    parts = joined([observe(block, by) for block in cut(crops, trials, photographs=photographs)])
    for name in ("evidence", "threshold", "realised", "clipped", "photograph", "truth"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert whole.evidence.shape == (1, 2, 18, 2, 4)


def test_joining_and_stacking_put_each_axis_where_it_belongs():
    one, other = observed([[1, 2]], [[3, 4]], threshold=0.1), observed([[5, 6]], [[7, 8]], threshold=0.2)
    images = joined([one, replace(other, photograph=np.array([9]))])
    assert images.evidence[0, 0, :, 0, 1].tolist() == [1, 5]
    assert (images.threshold.tolist(), images.photograph.tolist()) == ([[0.1, 0.2]], [0, 9])
    seeds = stacked([one, other])
    measured = [replace(part, measures={"score": part.evidence + 10}) for part in (one, other)]
    assert joined(measured).measures["score"][0, 0, :, 0, 1].tolist() == [11, 15]
    assert stacked(measured).measures["score"][:, 0, 0, 1, 2].tolist() == [14, 18]
    assert seeds.evidence[:, 0, 0, 1, 2].tolist() == [4, 8]
    assert (seeds.threshold.tolist(), seeds.photograph.tolist()) == ([[0.1], [0.2]], [0])
