"""Where pictures come from."""

import numpy as np
import pytest
from PIL import Image

from perturb.errors import InputError, UsageError
from perturb.images import load_images, split

SHAPE = (3, 32, 32)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "deeper").mkdir()
    for i, name in enumerate(["a.png", "b.jpg", "deeper/c.png", "deeper/d.PNG", "grey.png"]):
        size = (40, 50) if name == "grey.png" else (40 + i, 60, 3)
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(tmp_path / name)
    Image.fromarray(rng.integers(0, 60000, (40, 40)).astype(np.uint16)).save(tmp_path / "deep.tif")
    Image.fromarray(rng.integers(0, 255, (10, 12, 3), dtype=np.uint8)).save(tmp_path / "tiny.png")
    return tmp_path


def test_folder_is_recursive_and_knows_its_photographs(folder):
    images = load_images(f"folder:{folder}", shape=SHAPE, crops=3)
    assert images.pixels.shape == (21, *SHAPE)
    assert images.pixels.dtype == np.float32
    assert 0 <= images.pixels.min() < images.pixels.max() <= 1
    assert "deeper/c.png" in images.names
    np.testing.assert_array_equal(np.bincount(images.photograph), 3)


def test_unreadable_files_are_one_warning(folder):
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "empty.jpg").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"2 unreadable pictures left out: broken\.png, empty\.jpg"):
        images = load_images(f"folder:{folder}", shape=SHAPE)
    assert len(images.names) == 7


@pytest.mark.filterwarnings("ignore:1 unreadable")
def test_no_readable_picture_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        load_images(f"folder:{tmp_path}", shape=SHAPE)
    (tmp_path / "x.png").write_text("not a picture")
    with pytest.raises(InputError, match="no readable picture among 1 files"):
        load_images(f"folder:{tmp_path}", shape=SHAPE)


@pytest.mark.parametrize("source", ["photos", "folder:/no/such/place", "noise:3"])
def test_unknown_sources(source):
    with pytest.raises(UsageError, match="images"):
        load_images(source, shape=SHAPE)


def test_the_same_seed_gives_the_same_crops(folder):
    first, again, other = (load_images(f"folder:{folder}", shape=SHAPE, seed=s).pixels for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_new_picture_moves_no_other_crop(folder):
    before = load_images(f"folder:{folder}", shape=SHAPE)
    Image.new("RGB", (50, 50)).save(folder / "aa.png")
    after = load_images(f"folder:{folder}", shape=SHAPE)
    keep = after.photograph != after.names.index("aa.png")
    np.testing.assert_array_equal(before.pixels, after.pixels[keep])


def test_grey_for_one_channel():
    assert load_images("built-in", shape=(1, 32, 32), crops=1).pixels.shape[1:] == (1, 32, 32)


def test_built_in_photographs():
    images = load_images("built-in", shape=(3, 224, 224), crops=1)
    assert len(images.names) == 20
    assert images.pixels.std((1, 2, 3)).min() > 0.005


def test_dead_leaves_are_scale_invariant():
    """Lee et al. (2001): the spectrum falls as a power of frequency near -1 in amplitude, as photographs do."""
    leaves = load_images("dead-leaves", shape=(1, 128, 128), count=24).pixels[:, 0]
    spectrum = np.abs(np.fft.fft2(leaves - leaves.mean((1, 2), keepdims=True))).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    band = (frequency > 0.03) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(spectrum[band]), 1)[0]
    assert -1.8 < slope < -1.0


def test_split_shares_no_photograph(leaves):
    first, second = split(leaves, share=0.4, seed=0)
    assert len(first.names) == 16
    assert not set(first.names) & set(second.names)
    assert second.photograph.max() == len(second.names) - 1


def test_split_needs_four():
    with pytest.raises(InputError, match="3 photographs are too few"):
        split(load_images("noise", shape=SHAPE, count=3), share=0.4, seed=0)
