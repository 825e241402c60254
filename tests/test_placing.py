"""Objects within a region: masks, boxes and rules become places, and no trial lies outside."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from toys import network, plain

from perturb import load_suite, qualify
from perturb.errors import InputError, PerturbError, PerturbWarning, UsageError
from perturb.images import Region, load_images
from perturb.images.content import gathered
from perturb.images.region import crop_at
from perturb.locations import anywhere
from perturb.placing import fits, nearest, placed
from perturb.plan import pictures_for
from perturb.records import Locations
from perturb.render.terminal import region as in_words
from perturb.stories.experiment import Wanted
from perturb.stories.qualify import Context, examine
from perturb.suite import parse_suite
from perturb.trials import Scenes, only

PLACES = Locations(dead=np.array([[0, 1], [3, 3]]), live=np.array([[2, 0], [1, 1], [3, 2]]), period=4, balanced=False)
CHECK = """
[[check]]
name = "speck"
perturbation = { kind = "box", size = 3, polarity = "darker" }
level = 0.8
pairs = 4
claim = { quantity = "accuracy-loss", at_most = 0.1 }
"""


def images_with(regions, seed=0):
    pixels = np.random.default_rng(seed).random((len(regions), 1, *np.shape(regions)[1:]), dtype=np.float32)
    names = tuple(f"p{i}" for i in range(len(regions)))
    return replace(gathered(pixels, names, "test"), region=np.asarray(regions))


def blobs(count, side=24, seed=0):
    """Rough regions of random rectangles."""
    rng = np.random.default_rng(seed)
    regions = np.zeros((count, side, side), dtype=bool)
    for region in regions:
        for _ in range(3):
            top, left = rng.integers(0, side - 2, 2)
            region[top : top + rng.integers(2, 11), left : left + rng.integers(2, 11)] = True
    return regions


@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 9))
def test_an_object_fits_where_all_of_it_is_allowed(seed, rows, columns):
    region = np.random.default_rng(seed).random((6, 8)) < 0.8
    expected = [
        [i + rows <= 6 and j + columns <= 8 and bool(region[i : i + rows, j : j + columns].all()) for j in range(8)]
        for i in range(6)
    ]
    assert fits(region, (rows, columns)).tolist() == expected


def wholly(region, place, extent):
    (row, column), (rows, columns) = place, extent
    patch = region[row : row + rows, column : column + columns]
    return min(row, column) >= 0 and patch.shape == extent and bool(patch.all())


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.integers(0, 999), st.sampled_from([(1, 1), (2, 4), (3, 2)]))
def test_trials_are_those_of_a_search_of_every_cell(seed, extent):
    """The images with room, and the cells that are met, are those that a loop over cells and phases finds."""
    regions = blobs(6, seed=seed)
    images = images_with(regions)
    expected = [
        {
            (r, c)
            for r in range(0, 24, 4)
            for c in range(0, 24, 4)
            if any(wholly(region, (r + a, c + b), extent) for a, b in PLACES.dead)
            and any(wholly(region, (r + a, c + b), extent) for a, b in PLACES.live)
        }
        for region in regions
    ]
    room = [number for number, cells in enumerate(expected) if cells]
    if len(room) < 2:
        with pytest.raises(InputError, match=f"has room for 1 object of .* in {len(room)} photographs"):
            placed(images, PLACES, extent=extent, size=4, pairs=1000, seed=seed, purpose="t")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerturbWarning)
        which, trials = placed(images, PLACES, extent=extent, size=4, pairs=1000, seed=seed, purpose="t")
    assert which.tolist() == room
    for number, dead, live in zip(which, trials.dead, trials.live, strict=True):
        np.testing.assert_array_equal(dead // 4, live // 4)
        assert {tuple(cell) for cell in (dead // 4 * 4).tolist()} == expected[number]  # 1000 pairs meet all
        for places, phases in ((dead, PLACES.dead), (live, PLACES.live)):
            assert {tuple(p) for p in (places % 4).tolist()} <= {tuple(p) for p in phases.tolist()}
            assert all(wholly(regions[number], place, extent) for place in places)


def test_where_all_is_allowed_phases_serve_alike_up_to_the_border():
    images = images_with(np.ones((3, 16, 16), dtype=bool))
    which, trials = placed(images, anywhere(4), extent=(1, 1), size=1, pairs=16, seed=0, purpose="t")
    assert which.tolist() == [0, 1, 2]
    for arm in (trials.dead, trials.live):
        for places in arm:
            assert len({(r % 4, c % 4) for r, c in places}) == 16
    assert trials.dead.min() < 4  # no margin is kept


def test_trials_do_not_depend_on_what_lies_beside_an_image():
    images = images_with(blobs(8, seed=3) | np.eye(24, dtype=bool))
    how = {"extent": (1, 1), "size": 1, "pairs": 5, "seed": 1, "purpose": "t"}
    _, whole = placed(images, PLACES, **how)
    order = np.arange(8)[::-1]
    _, backward = placed(only(images, order), PLACES, **how)
    np.testing.assert_array_equal(backward.dead, whole.dead[order])
    np.testing.assert_array_equal(backward.live, whole.live[order])


@pytest.mark.parametrize("apart", [None, (5, 6)])
def test_where_the_picture_moves_the_object_lies_in_the_region_of_its_scene(apart):
    regions = blobs(8, side=40, seed=1)
    regions[:4] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerturbWarning)
        which, trials = placed(
            images_with(regions),
            PLACES,
            extent=(2, 3),
            size=3,
            pairs=4,
            seed=0,
            purpose="t",
            scenes=Scenes(apart=apart),
        )
    assert {0, 1, 2, 3} <= set(which)
    assert trials.together == bool(apart)
    for number, scene, dead, live in zip(which, trials.scene, trials.dead, trials.live, strict=True):
        assert all(wholly(regions[number], place, (2, 3)) for place in scene)
        for landed, phases in ((dead, PLACES.dead), (live, PLACES.live)):
            assert ((scene - landed >= 0) & (scene - landed < 4)).all()
            assert landed.min() >= 0
            assert {tuple(p) for p in (landed % 4).tolist()} <= {tuple(p) for p in phases.tolist()}
        if apart:
            gaps = np.abs(scene[:, None] - scene)[np.triu_indices(4, 1)]
            assert (gaps >= apart).any(1).all()


def test_photographs_without_room_are_named_once():
    regions = np.zeros((4, 16, 16), dtype=bool)
    regions[1:3] = True
    regions[3, 5, 5] = True
    with pytest.warns(PerturbWarning, match=r"left out p0, p3: no room for 1 object of 2 x 2 pixels at period 4"):
        which, trials = placed(images_with(regions), PLACES, extent=(2, 2), size=2, pairs=3, seed=0, purpose="t")
    assert (which.tolist(), trials.photograph.tolist()) == ([1, 2], [1, 2])


def test_the_nearest_place_of_each_phase():
    free = np.zeros((8, 8), dtype=bool)
    free[0, 0] = free[5, 2] = free[7, 7] = True
    found = nearest(free, np.array([6, 6]), np.array([[1, 0], [0, 0], [1, 1]]), (2, 2))
    assert found.tolist() == [[5, 2], [0, 0], [7, 7]]
    without = nearest(free, np.array([6, 6]), np.array([[0, 1], [1, 1], [1, 0]]), (2, 2))
    assert without.tolist() == [[7, 7], [5, 2], [7, 7]]


# regions of photographs


def test_boxes_masks_and_rules_hold_together():
    picture = np.zeros((3, 20, 30), dtype=np.float32)
    picture[:, :, 15:] = 0.9
    assert Region(boxes=((2, 3, 5, 9), (10, 0, 11, 30))).allowed(picture, "a").sum() == 3 * 6 + 30
    bright = Region(brighter_than=0.45).allowed(picture, "a")
    dark = Region(darker_than=0.45).allowed(picture, "a")
    assert (bright.any(0).argmax(), dark.any(0).sum()) == (15, 15)  # of 9 columns five are bright at column 15
    assert not (bright & dark).any()
    both = Region(boxes=((2, 3, 5, 20),), brighter_than=0.45).allowed(picture, "a")
    assert both.sum() == 3 * 5
    assert Region(boxes=((50, 50, 60, 60),)).allowed(picture, "a").sum() == 0


def test_brightness_is_the_mean_over_nine_pixels_of_all_channels():
    picture = np.random.default_rng(0).random((3, 12, 14), dtype=np.float32)
    padded = np.pad(picture.mean(0), 4, mode="edge")
    means = np.array([[padded[i : i + 9, j : j + 9].mean() for j in range(14)] for i in range(12)])
    found = Region(brighter_than=0.47, darker_than=0.52).allowed(picture, "a")
    np.testing.assert_array_equal(found, (means > 0.47) & (means < 0.52))


def test_a_margin_is_kept_from_the_regions_border_and_the_photographs():
    picture = np.zeros((1, 20, 30), dtype=np.float32)
    found = np.argwhere(Region(boxes=((0, 4, 10, 30),), margin=2).allowed(picture, "a"))
    assert (found.min(0).tolist(), found.max(0).tolist()) == ([2, 6], [7, 27])


def a_folder(tmp_path, count=5, size=(60, 80), mask=None):
    """Photographs whose mask is where they are white."""
    (tmp_path / "photos/sub").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        values = rng.integers(0, 200, (*size, 3), dtype=np.uint8)
        top, left = rng.integers(0, 30, 2)
        inside = np.zeros(size, dtype=bool)
        inside[top : top + 20, left : left + 25] = True
        values[inside] = 255
        name = f"sub/p{number}" if number == 0 else f"p{number}"
        Image.fromarray(values).save(tmp_path / f"photos/{name}.png")
        Image.fromarray(np.uint8(inside) * (1 if number % 2 else 255)).save(tmp_path / f"masks/p{number}.png")
    return f"folder:{tmp_path / 'photos'}"


def test_masks_are_cut_as_their_photographs_are(tmp_path):
    """A photograph in a subfolder finds its mask beside the others; each crop holds a part of the region."""
    source = a_folder(tmp_path)
    images = load_images(source, shape=(3, 32, 32), crops=6, region=Region(masks=tmp_path / "masks"))
    np.testing.assert_array_equal(images.region, np.asarray(images.pixels).min(1) == 1)
    assert all(region.any() for region in images.region)
    assert len({region.tobytes() for region in images.region}) > 20
    whole = load_images(source, shape=(3, 32, 32), crops=6)
    assert whole.region is None
    assert (np.asarray(whole.pixels) != images.pixels).any()


def test_a_crop_holds_the_allowed_pixel_even_in_the_corners():
    stored = np.zeros((1, 50, 60), dtype=np.uint8)
    for corner in ((0, 0), (49, 59), (0, 59), (25, 30)):
        allowed = np.zeros((50, 60), dtype=bool)
        allowed[corner] = True
        stored[0, corner[0], corner[1]] = 255
        tops = set()
        for seed in range(20):
            crop, (top, left, height, width) = crop_at(stored, allowed, (1, 16, 20), np.random.default_rng(seed))
            assert crop.shape == (1, 16, 20)
            assert crop.max() == 1
            assert (height, width) == (16, 20)
            assert 0 <= top <= 34
            assert 0 <= left <= 40
            np.testing.assert_array_equal(
                crop[0] * 255, stored[0, int(top) : int(top) + 16, int(left) : int(left) + 20]
            )
            tops.add(top)
        assert len(tops) > 4 or corner != (25, 30)
        stored[:] = 0


def test_a_photograph_without_a_region_is_left_out_by_name(tmp_path):
    source = a_folder(tmp_path)
    Image.new("L", (80, 60)).save(tmp_path / "masks/p3.png")
    with pytest.warns(PerturbWarning, match="1 left out, nothing of them in the region: p3.png"):
        images = load_images(source, shape=(3, 32, 32), crops=2, region=Region(masks=tmp_path / "masks"))
    assert images.names == ("p1.png", "p2.png", "p4.png", "sub/p0.png")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), r"`.*masks` has no `p2.png` for the photograph `p2.png`"),
        (lambda path: path.write_bytes(b"x"), r"`.*p2.png` is no PNG file that can be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r"`.*p2.png` is no PNG file that can be read"),
        (lambda path: Image.new("L", (60, 80)).save(path), r"p2.png` has 80 x 60 pixels, its photograph 60 x 80"),
    ],
)
def test_a_bad_mask_is_one_line(tmp_path, spoil, words):
    source = a_folder(tmp_path)
    spoil(tmp_path / "masks/p2.png")
    with pytest.raises(InputError, match=words) as told:
        load_images(source, shape=(3, 32, 32), region=Region(masks=tmp_path / "masks"))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_any_mode(tmp_path, mode):
    """Nonzero is allowed; what lies under alpha alone is not."""
    inside = np.zeros((6, 8), dtype=bool)
    inside[1:3, 2:5] = True
    if mode == "RGBA":
        values = np.zeros((6, 8, 4), dtype=np.uint8)
        values[..., 3] = 255
        values[inside, 1] = 7
        mask = Image.fromarray(values)
    else:
        mask = Image.fromarray(inside) if mode == "1" else Image.fromarray(np.uint16(inside) * 300)
        mask = mask if mode in ("1", "I;16") else Image.fromarray(np.uint8(inside)).convert(mode)
    mask.save(tmp_path / "a.png")
    np.testing.assert_array_equal(Region(masks=tmp_path).allowed(np.zeros((1, 6, 8), np.float32), "a.jpg"), inside)


def suite_with(text, folder=Path()):
    return parse_suite('name = "s"\n' + text + CHECK, str(folder / "my.toml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[region]\nboxes = [[5, 5, 5, 9]]\n", r"\[region\] .*\[5, 5, 5, 9\] is empty"),
        ("[region]\nboxes = [[-1, 5, 5, 9]]\n", r"\[region.*greater than or equal to 0"),
        ("[region]\nbrighter_than = 2\n", r"\[region\] brighter_than = 2: input should be less than or equal to 1"),
        ("[region]\nbrigter_than = 0.2\n", r"brigter_than is not a key.* Did you mean 'brighter_than'"),
    ],
)
def test_mistakes_in_a_region_are_named(text, words):
    with pytest.raises(UsageError, match=words) as told:
        suite_with(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[region]\nmasks = "none/"\n', r"\[region\] masks = 'none/' is no folder"),
        ('[images]\nsource = "noise"\n[region]\nmasks = "."\n', "does not go with images `noise`"),
        ('[images]\nsource = "number-lines"\n[region]\nmargin = 1\n', "does not go with images `number-lines`"),
    ],
)
def test_regions_that_pictures_cannot_have(text, words, tmp_path):
    with pytest.raises(PerturbError, match=words):
        pictures_for(suite_with(text, tmp_path), (3, 48, 176))


def test_a_classifiers_task_has_no_region():
    suite = suite_with('[images]\nsource = "noise"\n[region]\nmargin = 1\n[task]\nkind = "presence"\n[training]\n')
    with pytest.raises(UsageError, match=r"\[region\] is for suites without \[task\]"):
        qualify(network(plain()), suite)


class Half(torch.nn.Module):
    """A map of darkness that is blind on the right half."""

    def __init__(self):
        super().__init__()
        self.seen = torch.nn.Parameter((torch.arange(64) < 32).float())

    def forward(self, x):
        return (1 - x.mean(1, keepdim=True)) * self.seen


@pytest.mark.slow
@pytest.mark.parametrize("design", ["object", "picture"])
@pytest.mark.parametrize(("left", "share"), [(0, 1.0), (45, 0.0)])
def test_a_model_that_is_blind_on_one_half_shows_where_the_trials_lie(design, left, share):
    """Blank pages: every speck of the left half is found, none of the right one; by calibration, map and trials."""
    text = f"""
[images]
source = "paper"
count = 8
[region]
boxes = [[0, {left}, 64, {left + 19}]]
[map]
kind = "response"
period = 2
[design]
kind = "{design}"
[evaluator]
kind = "map"
target = 0
threshold = 0.5
radius = 1
"""
    run = examine(network(Half()), suite_with(text), Context(wanted=Wanted(engine="dense")))
    (found,) = run.report.experiments
    assert (found.detected.dead.value, found.detected.live.value) == (share, share)
    assert {phase.rate.value for phase in found.phases} == {share}
    trials = run.measured["speck"].trials[0]
    lie = [trials.dead, trials.live] if design == "object" else [trials.scene]
    for places in lie:
        assert places[..., 1].min() >= left
        assert places[..., 1].max() <= left + 16
    assert (run.report.images.region, run.report.images.allowed) == ("in 1 box", pytest.approx(19 / 64))
    assert in_words(run.report.images) == " Objects lie in 1 box: 30 % of the judged crops."


def test_a_region_is_said_in_words():
    region = Region(masks=Path("m"), boxes=((0, 0, 1, 1),) * 2, brighter_than=0.2, darker_than=0.5, margin=3)
    assert region.words == (
        "on its mask, in 2 boxes, where the picture is brighter than 0.2, where the picture is darker than 0.5, "
        "3 pixels from the border"
    )
    assert Region(margin=1).words == "1 pixel from the border"


def test_suites_without_a_region_are_as_before():
    suite = load_suite("smoke")
    assert suite.region is None
    images = images_with(np.ones((2, 16, 16), dtype=bool))
    which, _ = placed(replace(images, region=None), anywhere(4), extent=(1, 1), size=1, pairs=2, seed=0, purpose="t")
    assert which.tolist() == [0, 1]
