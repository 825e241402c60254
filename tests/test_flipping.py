"""The search for the smallest amplitude that changes an answer."""

import numpy as np
import pytest

from perturb.flipping import flipping


def brightest(pictures):
    """The brightest value at even rows and columns is above 1/2."""
    return pictures[:, :, ::2, ::2].max((1, 2, 3)) > 0.5


def test_the_smallest_flipping_amplitude_is_found_and_failures_are_infinite():
    """A grey of 0.2 flips at 0.3 more, where it is seen at all."""
    picture = np.full((3, 16, 16), 0.2, dtype=np.float32)
    found = flipping(brightest, picture, np.array([[4, 4], [5, 5], [4, 6]]), 1, 1.0)
    assert found[[0, 2]] == pytest.approx([0.3, 0.3], abs=0.02)
    assert (found[[0, 2]] > 0.3).all()
    assert found[1] == np.inf
    assert flipping(brightest, picture, np.array([[4, 4]]), 1, 0.25)[0] == np.inf


def test_the_search_goes_both_ways():
    """Everything is at the top: only taking away can flip."""
    found = flipping(lambda p: brightest(1 - p), np.ones((1, 8, 8), np.float32), np.array([[2, 2]]), 1, 1.0)
    assert found[0] == pytest.approx(0.5, abs=0.03)


def test_every_pixel_of_the_patch_is_changed():
    """At (3, 3) a 1 x 1 patch is unseen; a 2 x 2 patch reaches the seen pixel (4, 4)."""
    picture = np.full((1, 12, 12), 0.2, dtype=np.float32)
    places = np.array([[3, 3]])
    assert np.isinf(flipping(brightest, picture, places, 1, 1.0))
    assert flipping(brightest, picture, places, 2, 1.0)[0] == pytest.approx(0.3, abs=0.02)
