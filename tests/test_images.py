"""Where pictures come from."""

import gzip

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
    with pytest.raises(InputError, match="no pictures in folder"):
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


def picture(path, *, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


def caltech101(root):
    """As torchvision unpacks it."""
    for category in ("accordion", "BACKGROUND_Google", "yin_yang"):
        for i in (1, 2):
            picture(root / f"caltech101/101_ObjectCategories/{category}/image_{i:04d}.jpg")
    return ["accordion", "yin_yang"], [0, 0, 1, 1]


def cub200(root):
    folder, lines = root / "CUB_200_2011", {"images": "", "image_class_labels": "", "train_test_split": ""}
    for i, name in enumerate(["001.Black_footed_Albatross/a_1.jpg", "002.Laysan_Albatross/b_1.jpg"], 1):
        picture(folder / "images" / name)
        lines["images"] += f"{i} {name}\n"
        lines["image_class_labels"] += f"{i} {i}\n"
        lines["train_test_split"] += f"{i} 1\n"
    lines["classes"] = "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n"
    for name, text in lines.items():
        (folder / f"{name}.txt").write_text(text)
    return ["001.Black_footed_Albatross", "002.Laysan_Albatross"], [0, 1]


def pets(root):
    folder = root / "oxford-iiit-pet"
    for name in ("Abyssinian_1", "Abyssinian_2", "american_bulldog_100"):
        picture(folder / f"images/{name}.jpg")
    (folder / "images/Abyssinian_1.mat").write_bytes(b"beside the pictures of the real set")
    (folder / "annotations").mkdir()
    (folder / "annotations/list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n")
    (folder / "annotations/trainval.txt").write_text("Abyssinian_1 1 1 1\namerican_bulldog_100 2 2 1\n")
    (folder / "annotations/test.txt").write_text("Abyssinian_2 1 1 1\n")
    return ["Abyssinian", "american_bulldog"], [0, 1, 0]


def labelled(root):
    for name in ("weld/good/1.png", "weld/2.png", "cast/1.png"):
        picture(root / name)
    picture(root / "loose.png")
    return ["cast", "weld"], [0, 1, 1]


@pytest.mark.parametrize("layout", [labelled, caltech101, cub200, pets])
def test_labelled_sets_in_their_own_form_on_disk(tmp_path, layout):
    classes, labels = layout(tmp_path)
    images = load_images(f"{layout.__name__}:{tmp_path}", shape=SHAPE)
    assert images.classes == tuple(classes)
    assert images.labels.tolist() == labels
    assert images.pixels.shape == (len(labels), *SHAPE)
    assert len(set(images.names)) == len(labels)


def test_a_labelled_set_that_is_not_there(tmp_path):
    for kind in ("caltech101", "cub200", "pets"):
        with pytest.raises(UsageError, match="expected"):
            load_images(f"{kind}:{tmp_path}", shape=SHAPE)
    picture(tmp_path / "only/1.png")
    with pytest.raises(InputError, match="1 classes with pictures"):
        load_images(f"labelled:{tmp_path}", shape=SHAPE)


def test_labels_follow_their_photographs_through_a_split():
    images = load_images("digits", shape=(3, 14, 14), count=40)
    for part in split(images, share=0.7, seed=0):
        again = [images.labels[images.names.index(name)] for name in part.names]
        assert part.labels.tolist() == again
        assert part.classes == tuple("0123456789")


def test_digits_are_grey_and_the_same_for_the_same_seed():
    first, again = (load_images("digits", shape=(3, 14, 14), count=30) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.pixels[:, 0], first.pixels[:, 2])
    assert (first.pixels.max((1, 2, 3)) > 0.9).all()


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_from_torchvisions_files(tmp_path, zipped):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 5), ("t10k", 3)):
        pictures = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        for name, values in ((f"{part}-images-idx3", pictures), (f"{part}-labels-idx1", np.arange(n, dtype=np.uint8))):
            data = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
            path = raw / f"{name}-ubyte{'.gz' * zipped}"
            path.write_bytes(gzip.compress(data) if zipped else data)
    images = load_images(f"mnist:{tmp_path}", shape=(1, 28, 28), count=8)
    assert images.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    np.testing.assert_allclose(images.pixels[7, 0], pictures[2] / 255, rtol=1e-6)
    path.write_bytes(path.read_bytes()[:-1] if not zipped else gzip.compress(data[:-1]))
    with pytest.raises(InputError, match="not a complete IDX file"):
        load_images(f"mnist:{tmp_path}", shape=(1, 28, 28))
    with pytest.raises(UsageError, match="no MNIST in"):
        load_images(f"mnist:{tmp_path / 'MNIST/raw/x'}", shape=(1, 28, 28))
