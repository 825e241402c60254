"""Small things put into a picture, pixel by pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from perturb.errors import PerturbError, UsageError
from perturb.kinds import load_kind
from perturb.perturbations import KINDS as BY_NAME
from perturb.perturbations.cutout import Cutout
from perturb.perturbations.patches import Box, Noise, Pixel
from perturb.perturbations.print import Print
from perturb.perturbations.shapes import Blob, Scratch
from perturb.plan import perturbation_for
from perturb.suite import parse_suite

FIBRE = str(Path(__file__).parents[1] / "examples" / "fibre.png")
ANY = st.sampled_from([Pixel(), Box(size=3), Noise(size=4), *[Box(mode=m) for m in ("add", "replace", "blend")]])
EXAMPLES = {
    "pixel": [Pixel(), Pixel(strength="contrast")],
    "box": [Box(size=3), Box(size=2, mode="replace"), Box(size=2, polarity="darker", colour=(1, 0.5, 0))],
    "noise": [Noise(size=4), Noise(size=3, mode="replace"), Noise(size=2, strength="contrast")],
    "blob": [Blob(), Blob(sigma=0.5, diameter=3.4), Blob(mode="blend", colour=(0, 0.2, 1))],
    "scratch": [Scratch(length=9), Scratch(length=9, width=1.5, angle=-35, polarity="brighter", strength="contrast")],
    "cutout": [Cutout(file=FIBRE, longest=10), Cutout(file=FIBRE, longest=8, angle=70)],
    "print": [Print(digits=2), Print(text="R5", strength="contrast")],
}
EVERY = st.sampled_from([one for each in EXAMPLES.values() for one in each])
GROWING = EVERY.filter(lambda one: one.mode != "replace")


def test_every_kind_has_its_examples():
    assert {*EXAMPLES} == {*BY_NAME} - {"digit", "annotated"}  # the picture itself, and what it shows already
    for name, each in EXAMPLES.items():
        assert {type(one) for one in each} == {load_kind(name, BY_NAME)}


@given(EVERY, st.integers(0, 6), st.integers(0, 6), st.floats(0, 1), st.integers(0, 99), st.sampled_from([1, 3, 4]))
def test_only_the_patch_changes_and_the_range_is_kept(kind, row, column, level, seed, channels):
    picture = np.random.default_rng(seed).random((channels, 24, 24), dtype=np.float32)
    before = picture.copy()
    changed = kind.apply(picture, (row, column), level, np.random.default_rng(seed))
    np.testing.assert_array_equal(picture, before)
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 1
    rows, columns = kind.extent
    assert kind.size == max(rows, columns)
    patch = np.s_[:, row : row + rows, column : column + columns]
    if level > 0.01:
        assert (changed[patch] != before[patch]).any()
    changed[patch] = before[patch]
    np.testing.assert_array_equal(changed, before)


@given(EVERY)
def test_level_zero_is_the_identity(kind):
    picture = np.random.default_rng(0).random((3, 24, 24), dtype=np.float32)
    np.testing.assert_array_equal(kind.apply(picture, (4, 4), 0.0, np.random.default_rng(0)), picture)


@given(GROWING, st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_the_change_grows_with_the_level(kind, one, other, seed):
    picture = np.random.default_rng(seed).random((3, 24, 24), dtype=np.float32)
    low, high = (kind.apply(picture, (5, 3), level, np.random.default_rng(seed)) for level in sorted((one, other)))
    assert np.abs(low - picture).mean() <= np.abs(high - picture).mean() + 1e-7


@given(EVERY, st.integers(0, 99))
def test_the_same_generator_gives_the_same_object(kind, seed):
    flat = np.full((3, 30, 30), 0.4, dtype=np.float32)
    one, other = (kind.apply(flat, place, 0.5, np.random.default_rng(seed)) for place in ((2, 3), (5, 6)))
    np.testing.assert_allclose(one[:, 2:27, 3:27], other[:, 5:30, 6:30], atol=1e-6)


@given(st.floats(0.01, 0.5), st.integers(0, 99))
def test_adding_up_to_a_half_is_never_clipped(level, seed):
    picture = np.random.default_rng(seed).random((3, 4, 4), dtype=np.float32)
    change = Pixel().apply(picture, (1, 1), level, np.random.default_rng(0)) - picture
    np.testing.assert_allclose(np.abs(change[:, 1, 1]), level, rtol=1e-4)


def test_the_papers_red_box():
    red = Box(size=1, mode="replace", colour=(1, 0, 0)).apply(np.full((3, 4, 4), 0.5, np.float32), (2, 1), 1.0, None)
    assert red[:, 2, 1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(("place", "level"), [((15, 0), 0.5), ((-1, 0), 0.5), ((0, 0), 1.5), ((0, 0), float("nan"))])
def test_places_and_levels_are_checked(place, level):
    with pytest.raises(ValueError, match=r"`place`|`level`"):
        Box(size=2).apply(np.zeros((3, 16, 16), np.float32), place, level, np.random.default_rng(0))


def seeded():
    return np.random.default_rng(0)


def of(*channels, side=4):
    """A flat picture with these values in its channels."""
    return np.stack([np.full((side, side), value, np.float32) for value in channels])


def put(what, picture, level=0.25, place=(1, 2)):
    return what.apply(picture, place, level, np.random.default_rng(0))[:, place[0], place[1]]


@pytest.mark.parametrize(
    ("mode", "channels", "level", "expected"),
    [
        ("add", (0.2, 0.2, 0.2), 0.25, (0.45, 0.45, 0.45)),
        ("add", (0.8, 0.8, 0.8), 0.25, (0.55, 0.55, 0.55)),  # away from the nearer bound
        ("add", (0.2, 0.8, 0.5), 0.25, (0.45, 0.55, 0.75)),  # each channel by itself; 1/2 goes up
        ("add", (0.0, 0.5, 1.0), 1.0, (1.0, 1.0, 0.0)),  # clipped
        ("replace", (0.2, 0.8, 0.5), 0.25, (0.25, 0.25, 0.25)),
        ("blend", (0.2, 0.8, 0.5), 0.25, (0.4, 0.85, 0.625)),
        ("blend", (0.2, 0.8, 0.5), 1.0, (1.0, 1.0, 1.0)),
    ],
)
def test_modes_by_hand(mode, channels, level, expected):
    """x + l c or x - l c; l c; (1 - l) x + l c, with c = 1."""
    assert put(Pixel(mode=mode), of(*channels), level) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("add", (0.45, 0.2, 0.325)), ("replace", (0.25, 0.0, 0.125)), ("blend", (0.4, 0.15, 0.275))],
)
def test_a_colour_is_given_channel_by_channel(mode, expected):
    """Colour (1, 0, 1/2) at level 1/4 on 0.2."""
    assert put(Box(size=2, mode=mode, colour=(1, 0, 0.5)), of(0.2, 0.2, 0.2)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_pictures_than_rgb_take_the_colours_mean(channels):
    found = put(Box(size=2, mode="replace", colour=(1, 0, 0.5)), of(*[0.2] * channels), 1.0)
    assert found == pytest.approx([0.5] * channels)


def test_the_nearer_bound_is_that_of_the_patchs_mean():
    """Three dark pixels and a bright one: all four are raised, and the bright one clipped."""
    picture = of(0.1, side=2)
    picture[0, 1, 1] = 0.9
    found = Box(size=2).apply(picture, (0, 0), 0.25, np.random.default_rng(0))
    assert found[0].ravel() == pytest.approx([0.35, 0.35, 0.35, 1.0])


@pytest.mark.parametrize(("mode", "low"), [("add", -1.0), ("replace", 0.0), ("blend", 0.0)])
def test_noise_is_uniform_and_drawn_from_the_generator_given(mode, low):
    """64 x 64 pixels at level 1/2: from low/2 to 1/2 about their middle; another generator gives another texture."""
    picture = of(0.0 if mode != "add" else 0.5, side=64)
    one, same, other = (
        Noise(size=64, mode=mode).apply(picture, (0, 0), 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    change = one - (picture if mode == "add" else 0)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (change.min(), change.max()) == pytest.approx((low / 2, 0.5), abs=0.001)
    assert change.mean() == pytest.approx((low + 1) / 4, abs=0.02)
    assert np.abs(np.corrcoef(change[0, :-1].ravel(), change[0, 1:].ravel())[0, 1]) < 0.06


def test_each_channel_has_noise_of_its_own():
    found = Noise(size=4, mode="replace").apply(of(0, 0, 0), (0, 0), 1.0, np.random.default_rng(0))
    assert len(np.unique(found)) == 48


@given(ANY, st.floats(0, 1))
def test_the_patch_fits_into_the_last_corner_and_no_further(kind, level):
    picture, last = of(0.3, 0.3, 0.3, side=8), 8 - kind.size
    assert kind.apply(picture, (last, last), level, np.random.default_rng(0)).shape == (3, 8, 8)
    for place in ((last + 1, last), (last, last + 1)):
        with pytest.raises(ValueError, match=rf"`place` .*of {kind.size} x {kind.size} leaves the 8 x 8"):
            kind.apply(picture, place, level, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [Box, Noise])
@pytest.mark.parametrize(
    ("given", "words"),
    [({"size": 0}, r"`size` \(=0\) must be at least 1"), ({"mode": "sub"}, r"`mode` \(='sub'\) must be add, replace")],
)
def test_sizes_and_modes_are_checked(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind(**given)


def test_a_pixel_is_a_box_of_one():
    kinds = {name: load_kind(name, BY_NAME) for name in ("pixel", "box", "noise")}
    assert (Pixel().size, kinds) == (1, {"pixel": Pixel, "box": Box, "noise": Noise})
    picture = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    np.testing.assert_array_equal(put(Pixel(), picture), put(Box(size=1), picture))


def test_small_print_is_darker_where_its_ink_is():
    """Five digits of 3 x 5 pixels, one apart: 5 x 19, by the level where there is ink, and as below elsewhere."""
    put, picture = Print(), np.full((3, 20, 40), 0.9, dtype=np.float32)
    assert (put.extent, put.size) == ((5, 19), 19)
    changed = put.apply(picture, (4, 6), 0.25, np.random.default_rng(0))
    assert set(np.unique((picture - changed).round(6))) == {0, 0.25}
    rows, columns = np.nonzero((changed != picture).any(0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 8, 6, 24)
    other = put.apply(picture, (4, 6), 0.25, np.random.default_rng(1))
    assert (other != changed).any()
    with pytest.raises(ValueError, match="an object of 5 x 19 leaves the 20 x 40 picture"):
        put.apply(picture, (4, 22), 0.25, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"digits": 0}, "must be 1 to 100"),
        ({"font_size": 2}, "3 to 1000"),
        ({"font": "none.ttf"}, "cannot be read"),
        ({"text": "a\nb"}, "must be one line"),
        ({"text": "  "}, "leaves no ink"),
        ({"text": "R\N{SNOWMAN}"}, "the font of Pillow has no '\N{SNOWMAN}'"),
    ],
)
def test_print_checks_what_it_is_given(given, words):
    with pytest.raises(ValueError, match=words):
        Print(**given)


def test_a_text_is_what_pillow_draws():
    """Its own font at 12 pixels; the ink is cut to its first and last row and column."""
    put = Print(text="R5", font_size=12)
    mask = ImageFont.load_default(12).getmask("R5")
    ink = np.asarray(mask, dtype=np.float32).reshape(mask.size[::-1]) / 255
    found = 1 - put.apply(np.ones((1, 20, 30), np.float32), (3, 4), 1.0, np.random.default_rng(0))[0]
    rows, columns = put.extent
    assert found.sum() == pytest.approx(ink.sum(), abs=0.5)
    assert (rows, columns) == (len(np.flatnonzero(ink.max(1) > 0.1)), len(np.flatnonzero(ink.max(0) > 0.1)))
    bright = replace(put, polarity="brighter").apply(np.zeros((1, 20, 30), np.float32), (3, 4), 1.0, seeded())
    np.testing.assert_allclose(bright[0], found, atol=1e-6)


def ink_of(kind, side=41):
    """The ink of an object that is added to black."""
    shown = replace(kind, polarity="brighter").apply(np.zeros((1, side, side), np.float32), (0, 0), 1.0, seeded())
    return shown[0, : kind.extent[0], : kind.extent[1]].astype(float)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_a_point_is_integrated_over_each_pixel(sigma):
    """P(pixel) of a normal variable, along rows times along columns; cut where a centre is beyond 3 sigma."""
    ink, far = ink_of(Blob(sigma=sigma)), int(3 * sigma)
    assert ink.shape == (2 * far + 1, 2 * far + 1)
    at = np.arange(-far, far + 1)
    line = norm.cdf((at + 0.5) / sigma) - norm.cdf((at - 0.5) / sigma)
    expected = np.outer(line, line) / line.max() ** 2 * (np.hypot(*np.meshgrid(at, at)) <= 3 * sigma)
    np.testing.assert_allclose(ink, expected, atol=1e-6)


def test_a_disc_is_seen_through_the_point_spread():
    """Against a disc on a grid of 1/40 pixel, filtered there and averaged over pixels."""
    sigma, diameter, fine = 0.8, 4.5, 40
    ink = ink_of(Blob(sigma=sigma, diameter=diameter))
    points = (np.arange(len(ink) * fine) + 0.5) / fine - len(ink) / 2
    disc = (np.hypot(points[:, None], points) <= diameter / 2).astype(float)
    seen = gaussian_filter(disc, sigma * fine, truncate=6).reshape(len(ink), fine, len(ink), fine).mean((1, 3))
    inside = ink > 0
    np.testing.assert_allclose(ink[inside], (seen / seen.max())[inside], atol=0.01)
    assert inside.sum() == (np.hypot(*np.indices(ink.shape) - len(ink) // 2) <= diameter / 2 + 3 * sigma).sum()


def test_a_scratch_along_the_row_covers_whole_pixels_and_one_across_them_halves():
    assert ink_of(Scratch(length=5, width=1, angle=0)).tolist() == [[1] * 5]
    assert ink_of(Scratch(length=5, width=1, angle=90)).tolist() == [[1]] * 5
    assert ink_of(Scratch(length=4, width=0.5, angle=0)).tolist() == [[0.5] * 4]
    assert ink_of(Scratch(length=4, width=1.5, angle=0)).tolist() == [[0.75] * 4] * 2


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 110, 160, -30])
def test_a_scratch_has_its_area_and_its_angle(angle):
    """The sum of its ink, and the principal axis of its second moments; angles run anticlockwise, rows downward."""
    ink = ink_of(Scratch(length=30, width=2, angle=angle))
    assert ink.sum() == pytest.approx(60, rel=0.02)
    row, column = (np.indices(ink.shape) - (np.array(ink.shape) - 1)[:, None, None] / 2) * np.sqrt(ink)
    axis = np.linalg.eigh(np.cov(np.stack([column.ravel(), -row.ravel()])))[1][:, 1]
    assert np.degrees(np.arctan2(axis[1], axis[0])) % 180 == pytest.approx(angle % 180, abs=1)
    assert all(ink[edge].any() for edge in (0, -1, np.s_[:, 0], np.s_[:, -1]))  # no smaller rectangle holds it


def test_a_scratch_without_an_angle_draws_its_own():
    kind = Scratch(length=12)
    drawn = [kind.apply(np.zeros((1, 13, 13), np.float32), (0, 0), 1.0, np.random.default_rng(i)) for i in range(40)]
    assert kind.extent == (13, 13)
    assert len({one.tobytes() for one in drawn}) == 40
    assert [one.sum() for one in drawn] == pytest.approx([12] * 40, rel=0.05)


@pytest.mark.parametrize(
    ("polarity", "strength", "expected"),
    [
        ("away", "range", 0.65),
        ("darker", "range", 0.15),
        ("brighter", "range", 0.65),
        ("away", "contrast", 0.4 + 0.25 * 0.6),
        ("darker", "contrast", 0.4 - 0.25 * 0.6),
        ("brighter", "contrast", 0.4 + 0.25 * 0.6),
    ],
)
def test_polarity_and_strength_by_hand(polarity, strength, expected):
    """A pixel of 0.4 on a background of 0.6, level 1/4: by 1/4 of the range, or of the background."""
    picture = np.full((1, 12, 12), 0.6, dtype=np.float32)
    picture[0, 5, 5] = 0.4
    kind = Pixel(polarity=polarity, strength=strength)
    assert put(kind, picture, 0.25, (5, 5)) == pytest.approx([expected], abs=1e-6)


def test_the_background_is_a_frame_of_three_pixels_channel_by_channel():
    """Of a 2 x 2 box at (5, 5): rows and columns 2 to 9 without the box; at a corner what lies within the picture."""
    kind = Box(size=2, polarity="darker", strength="contrast")
    picture = np.random.default_rng(0).random((3, 14, 14), dtype=np.float32) / 2 + np.float32(0.5)
    frame = picture[:, 2:10, 2:10].sum((1, 2), dtype=float) - picture[:, 5:7, 5:7].sum((1, 2), dtype=float)
    found = picture - kind.apply(picture, (5, 5), 0.5, seeded())
    np.testing.assert_allclose(found[:, 5, 5], 0.5 * frame / 60, atol=1e-6)
    corner = picture[:, :5, :5].sum((1, 2), dtype=float) - picture[:, :2, :2].sum((1, 2), dtype=float)
    found = picture - kind.apply(picture, (0, 0), 0.5, seeded())
    np.testing.assert_allclose(found[:, 1, 1], 0.5 * corner / 21, atol=1e-6)
    with pytest.raises(ValueError, match="leaves no background"):
        kind.apply(picture[:, :2, :2], (0, 0), 0.5, seeded())


def test_contrast_is_of_the_whole_range_of_backgrounds():
    """The same level changes a brighter background by more: 1/4 of 0.2 and of 0.8."""
    kind = Blob(polarity="darker", strength="contrast")
    changes = [(of(b, side=20) - kind.apply(of(b, side=20), (4, 4), 0.25, seeded())).max() for b in (0.2, 0.8)]
    assert changes == pytest.approx([0.05, 0.2], abs=1e-6)


@pytest.fixture
def speck(tmp_path):
    """2 x 3 pixels in a transparent border: red at alpha 1, 0.6, 0 above blue at alpha 0.2, 1, 1."""
    values = np.zeros((6, 8, 4), dtype=np.uint8)
    values[2, 3:6] = [(255, 0, 0, 255), (255, 0, 0, 153), (255, 0, 0, 0)]
    values[3, 3:6] = [(0, 0, 255, 51), (0, 0, 255, 255), (0, 0, 255, 255)]
    Image.fromarray(values).save(tmp_path / "speck.png")
    return str(tmp_path / "speck.png")


def test_a_cutout_is_blended_by_its_alpha_times_the_level(speck):
    kind = Cutout(file=speck)
    assert kind.extent == (2, 3)
    picture = of(0.4, 0.4, 0.4, side=6)
    alpha = np.zeros((6, 6))
    alpha[1:3, 2:5] = [[1, 0.6, 0], [0.2, 1, 1]]
    own = np.zeros((3, 6, 6))
    own[0, 1], own[2, 2] = 1, 1
    for level in (0.5, 1.0):
        expected = (1 - level * alpha) * 0.4 + level * alpha * own
        np.testing.assert_allclose(kind.apply(picture, (1, 2), level, seeded()), expected, atol=1e-6)
    grey = kind.apply(picture[:1], (1, 2), 1.0, seeded())
    np.testing.assert_allclose(grey[0], (1 - alpha) * 0.4 + alpha * own.mean(0), atol=1e-6)


def test_a_cutout_keeps_its_colour_and_area_at_another_size(tmp_path):
    """A white disc in black that is transparent: no dark fringe at a quarter of its size, nor turned by 30 degrees."""
    row, column = np.indices((80, 80)) - 39.5
    values = np.zeros((80, 80, 4), dtype=np.uint8)
    values[np.hypot(row, column) < 36] = 255
    Image.fromarray(values).save(tmp_path / "disc.png")
    for angle in (0, 30):
        kind = Cutout(file=str(tmp_path / "disc.png"), longest=18, angle=angle)
        assert kind.size == (19 if angle else 18)  # a faint edge
        shown = kind.apply(np.ones((3, 20, 20), np.float32), (1, 1), 1.0, seeded())
        assert shown.min() > 0.98
        alpha = kind.apply(np.zeros((3, 20, 20), np.float32), (1, 1), 1.0, seeded())[0]
        assert alpha.sum() == pytest.approx(np.pi * 9**2, rel=0.02)


def test_a_turned_cutout_turns_anticlockwise(tmp_path):
    """A bar along the row stands up at 90 degrees; what was its right end is then above."""
    values = np.zeros((2, 6, 4), dtype=np.uint8)
    values[:, :, 3], values[:, 4:, 0] = 255, 255
    Image.fromarray(values).save(tmp_path / "bar.png")
    shown = Cutout(file=str(tmp_path / "bar.png"), angle=90).apply(of(0, 0, 0, side=8), (0, 0), 1.0, seeded())
    assert shown[0, :2, :2].min() == 1
    assert shown[0, 2:].max() == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("opaque", "has no transparency"),
        ("clear", "all of it is transparent"),
        (b"no picture", "holds no cut-out: cannot identify"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 40, "holds no cut-out"),
    ],
)
def test_a_cutout_that_cannot_be_used_is_one_line(tmp_path, content, words):
    path = tmp_path / "x.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        Image.new("RGB" if content == "opaque" else "RGBA", (4, 4)).save(path)
    with pytest.raises((ValueError, PerturbError), match=words) as told:
        Cutout(file=str(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Blob, {"sigma": 0.01}, r"`sigma` \(=0.01\) must be 0.1 to 50"),
        (Blob, {"diameter": -1}, r"`diameter` \(=-1\) must be 0 to 200"),
        (Scratch, {"width": 3, "length": 2}, r"`width` \(=3\) must be at least 0.25 .* at most `length` \(=2\)"),
        (Scratch, {"length": float("nan")}, "`length`"),
        (Scratch, {"angle": 400}, r"`angle` \(=400\) must be -360 to 360"),
        (Cutout, {}, "`file` is missing"),
        (Cutout, {"file": FIBRE, "longest": 0}, r"`longest` \(=0\) must be 1 to 1000"),
        (Blob, {"polarity": "up"}, r"`polarity` \(='up'\) must be away, darker or brighter"),
        (Box, {"strength": "weber"}, r"`strength` \(='weber'\) must be range or contrast"),
        (Print, {"mode": "blend", "strength": "contrast"}, "go with mode = 'add' alone, and `mode` is 'blend'"),
        (Cutout, {"file": FIBRE, "polarity": "darker"}, "go with mode = 'add' alone"),
    ],
)
def test_objects_check_what_they_are_given(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind(**given)


def named(text, folder):
    suite = parse_suite(
        f'name = "s"\n[[check]]\nname = "x"\nperturbation = {text}\n'
        'claim = { quantity = "accuracy-loss", at_most = 0.1 }\n',
        str(folder / "my.toml"),
    )
    return perturbation_for(suite.check[0].perturbation, suite.folder)


def test_a_suite_names_objects_with_their_options(speck, tmp_path):
    """A file is looked for beside the suite; a mode that is another kind's default is not lost."""
    assert named('{ kind = "cutout", file = "speck.png", longest = 5 }', tmp_path) == Cutout(file=speck, longest=5)
    assert named('{ kind = "cutout", file = "speck.png", mode = "add" }', tmp_path).mode == "add"
    assert named('{ kind = "blob", sigma = 2, strength = "contrast" }', tmp_path) == Blob(sigma=2, strength="contrast")
    assert named('{ kind = "scratch", width = 0.5, length = 20 }', tmp_path) == Scratch(width=0.5, length=20)
    assert named('{ kind = "print", text = "R5" }', tmp_path) == Print(text="R5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{ kind = "blob", size = 3 }', r"kind = 'blob' takes no `size`, expected one of .*'sigma', 'diameter'"),
        ('{ kind = "cutout", file = "none.png" }', "none.png` cannot be read"),
        ('{ kind = "scratch", width = 0 }', "perturbation 'scratch' with .*`width`"),
    ],
)
def test_a_suite_that_names_them_wrongly_is_told_in_one_line(tmp_path, text, words):
    with pytest.raises(UsageError, match=words) as told:
        named(text, tmp_path)
    assert "\n" not in str(told.value)
