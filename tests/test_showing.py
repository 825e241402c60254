"""The design in which the picture moves: the object stays where it lies, and lands on a dead or a live phase."""

import numpy as np
import pytest

from perturb.errors import InputError
from perturb.images import load_images
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.perturbations.print import Print
from perturb.records import CLEAN, CLEAN_LIVE, DEAD, LIVE, Locations
from perturb.showing import Exposure, show
from perturb.tasks.micro import Presence
from perturb.trials import Scenes, design

ROW_THREE = np.array([[3, column] for column in range(8)])
ROW_SIX = ROW_THREE + np.array([3, 0])
ROWS = Locations(dead=ROW_THREE, live=ROW_SIX, period=8, balanced=False)
PIXELS = Locations(dead=np.array([[1, 2]]), live=np.array([[0, 3]]), period=4, balanced=False)


@pytest.fixture(scope="module")
def noise():
    return load_images("noise", shape=(3, 96, 96), count=3)


def scenes(images, locations, *, put=None, pairs=3, apart=None, noise=0.0, level=0.5):
    put = put or Pixel()
    trials = design(images, locations, size=put.size, pairs=pairs, seed=0, purpose="test", scenes=Scenes(apart=apart))
    exposure = Exposure(task=Presence(perturbation=put, level=1.0), levels=(level,), noise=noise)
    shown = show(images, trials, 0, exposure)
    return trials, shown, np.concatenate([shown.clean, shown.changed])


@pytest.mark.parametrize(("locations", "period"), [(ROWS, 8), (PIXELS, 4)])
def test_objects_land_on_their_phases_by_a_move_of_less_than_a_period(noise, locations, period):
    trials, _, _ = scenes(noise, locations, pairs=6)
    for arm in ("dead", "live"):
        phases = {tuple(phase) for phase in getattr(trials, arm).reshape(-1, 2) % period}
        assert phases <= {tuple(phase) for phase in getattr(locations, arm)}
        moves = trials.scene - getattr(trials, arm)
        assert moves.min() >= 0
        assert moves.max() < period


def test_a_lattice_of_rows_moves_the_picture_down_and_never_to_the_right(noise):
    trials, _, _ = scenes(noise, ROWS, pairs=6)
    assert (trials.scene[..., 1] == trials.dead[..., 1]).all()
    assert (trials.scene[..., 1] == trials.live[..., 1]).all()


def test_both_arms_show_one_scene_through_two_windows(noise):
    """Object and background are the same in both; an arm's clean twin is the same window without the object."""
    trials, shown, pictures = scenes(noise, PIXELS, put=Box(size=3))
    for pair in range(3):
        at = shown.number[0, pair]
        moves = [trials.scene[0, pair] - place for place in (trials.dead[0, pair], trials.live[0, pair])]
        least = np.maximum(*moves)
        parts = []
        for arm, move in zip((DEAD, LIVE), moves, strict=True):
            down, right = least - move
            parts.append(pictures[at[arm]][:, down : 90 + down, right : 90 + right])
        np.testing.assert_array_equal(*parts)
        for arm, clean, place in ((DEAD, CLEAN, trials.dead), (LIVE, CLEAN_LIVE, trials.live)):
            row, column = place[0, pair]
            changed = (pictures[at[arm]] != pictures[at[clean]]).any(0)
            assert changed[row : row + 3, column : column + 3].all()
            assert changed.sum() == 9
            assert shown.twin[at[arm]] == at[clean]


def test_the_unmoved_picture_is_the_picture_and_its_edge_is_repeated(noise):
    trials, shown, pictures = scenes(noise, PIXELS)
    down, right = trials.scene[0, 0] - trials.dead[0, 0]
    seen, whole = pictures[shown.number[0, 0, CLEAN]], noise.pixels[0]
    np.testing.assert_array_equal(seen[:, : 96 - down, : 96 - right], whole[:, down:, right:])
    if down:
        np.testing.assert_array_equal(seen[:, -1, : 96 - right], whole[:, -1, right:])


def test_objects_that_lie_together_share_a_picture_for_each_move(noise):
    """Five words in one scene; as many pictures as moves, with and without the words; no word touches another."""
    trials, shown, pictures = scenes(noise, ROWS, put=Print(digits=2), pairs=4, apart=(10, 10))
    moves = {tuple(m) for place in (trials.dead, trials.live) for m in trials.scene[0] - place[0]}
    assert len(pictures) == 2 * len(moves)
    for pair in range(4):
        number = shown.number[0, pair]
        for other, place in enumerate(trials.dead[0]):
            if shown.number[0, other, DEAD] == number[DEAD]:
                row, column = place
                window = (slice(None), slice(row, row + 5), slice(column, column + 7))
                assert (pictures[number[DEAD]][window] <= pictures[number[CLEAN]][window]).all()
    distance = np.abs(trials.scene[0][:, None] - trials.scene[0][None])
    assert (distance.max(-1)[~np.eye(4, dtype=bool)] >= 10).all()
    assert shown.realised[0, :, [DEAD, LIVE]].min() > 0


def test_more_objects_than_a_picture_holds_are_one_line(noise):
    with pytest.raises(InputError, match=r"a picture holds \d+ such objects that do not disturb one another"):
        scenes(noise, ROWS, pairs=500, apart=(20, 20))


def test_the_noise_of_a_pair_is_the_same_in_its_twins(noise):
    trials, shown, pictures = scenes(noise, PIXELS, noise=0.02)
    for pair in range(3):
        at = shown.number[0, pair]
        for arm, clean, place in ((DEAD, CLEAN, trials.dead), (LIVE, CLEAN_LIVE, trials.live)):
            difference = np.abs(pictures[at[arm]] - pictures[at[clean]]).max(0)
            difference[tuple(place[0, pair])] = 0
            assert not difference.any()


@pytest.mark.parametrize("moves", [True, False])
def test_an_object_that_belongs_somewhere_is_put_nowhere_else(moves):
    lines = load_images("number-lines", shape=(1, 48, 176), count=4)
    put = Scenes() if moves else None
    trials = design(lines, PIXELS, size=1, pairs=2, seed=0, purpose="test", scenes=put)
    for arm in ("dead", "live"):
        places = getattr(trials, arm)
        assert (places % 4 == getattr(PIXELS, arm)[0]).all()
        assert np.abs(places - lines.spots[:, None]).max() < 4
    assert (trials.scene is None) == (not moves)
    if moves:
        np.testing.assert_array_equal(trials.scene, lines.spots[:, None].repeat(2, 1))


def test_a_full_scene_keeps_its_objects_apart():
    """As many objects as a picture holds: each lies ten rows or ten columns from every other, over many draws."""
    wide = load_images("noise", shape=(1, 160, 160), count=6)
    with pytest.raises(InputError) as caught:
        design(wide, ROWS, size=7, pairs=500, seed=0, purpose="test", scenes=Scenes(apart=(10, 10)))
    most = int(str(caught.value).split()[3])
    trials = design(wide, ROWS, size=7, pairs=most, seed=0, purpose="test", scenes=Scenes(apart=(10, 10)))
    assert most > 8
    for scene in trials.scene:
        distance = np.abs(scene[:, None] - scene[None]).max(-1)
        assert distance[~np.eye(most, dtype=bool)].min() >= 10


def test_each_pair_has_a_texture_of_its_own(noise):
    trials, shown, pictures = scenes(noise, PIXELS, put=Noise(size=3, mode="replace"), pairs=2, level=1.0)
    patches = []
    for pair, (row, column) in enumerate(trials.dead[0]):
        patches.append(pictures[shown.number[0, pair, DEAD]][:, row : row + 3, column : column + 3])
    assert np.abs(patches[0] - patches[1]).max() > 0.1
