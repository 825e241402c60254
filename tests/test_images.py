"""Where pictures come from."""

import gzip
import zlib

import numpy as np
import pytest
from PIL import Image

from perturb.errors import InputError, PerturbWarning, UsageError
from perturb.images import load_images, photograph, split
from perturb.images.generated import dead_leaves, noise, radii
from perturb.images.photograph import cut_like, fitted, placed_in, random_crop
from perturb.images.textures import _opened, texture

SHAPE = (3, 32, 32)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "deeper").mkdir()
    for i, name in enumerate(["a.png", "b.jpg", "deeper/c.png", "deeper/d.PNG", "grey.png"]):
        size = (40, 50) if name == "grey.png" else (40 + i, 60, 3)
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(tmp_path / name)
    Image.fromarray(rng.integers(0, 60000, (40, 40)).astype(np.uint16)).save(tmp_path / "deep.tif")
    return tmp_path


def test_folder_is_recursive_and_knows_its_photographs(folder):
    images = load_images(f"folder:{folder}", shape=SHAPE, crops=3)
    assert images.pixels.shape == (18, *SHAPE)
    pixels = np.asarray(images.pixels)
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert "deeper/c.png" in images.names
    np.testing.assert_array_equal(np.bincount(images.photograph), 3)


def test_unreadable_files_are_one_warning(folder):
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "empty.jpg").write_bytes(b"")
    with pytest.warns(PerturbWarning) as caught:
        images = load_images(f"folder:{folder}", shape=SHAPE)
    (said,) = caught
    assert str(said.message) == (
        "pictures: 8 looked at; 1 left out, unreadable: broken.png; 1 left out, empty: empty.jpg"
    )
    assert len(images.names) == 6


def test_no_readable_picture_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no pictures in folder"):
        load_images(f"folder:{tmp_path}", shape=SHAPE)
    (tmp_path / "x.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"no readable picture among 1 looked at; 1 left out, unreadable: x\.png"):
        load_images(f"folder:{tmp_path}", shape=SHAPE)


@pytest.mark.parametrize("source", ["photos", "folder:/no/such/place", "noise:3"])
def test_unknown_sources(source):
    with pytest.raises(UsageError, match="images"):
        load_images(source, shape=SHAPE)


def test_the_same_seed_gives_the_same_crops(folder):
    first, again, other = (np.asarray(load_images(f"folder:{folder}", shape=SHAPE, seed=s).pixels) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_new_picture_moves_no_other_crop(folder):
    before = load_images(f"folder:{folder}", shape=SHAPE)
    picture(folder / "aa.png", seed=7)
    after = load_images(f"folder:{folder}", shape=SHAPE)
    keep = after.photograph != after.names.index("aa.png")
    np.testing.assert_array_equal(before.pixels, after.pixels[keep])


def test_grey_for_one_channel():
    assert load_images("built-in", shape=(1, 32, 32), crops=1).pixels.shape[1:] == (1, 32, 32)


def test_built_in_photographs():
    images = load_images("built-in", shape=(3, 224, 224), crops=1)
    assert len(images.names) == 20
    assert np.std(images.pixels, (1, 2, 3)).min() > 0.005


def test_dead_leaves_are_scale_invariant():
    """Lee et al. (2001): the spectrum falls as a power of frequency near -1 in amplitude, as photographs do."""
    leaves = np.asarray(load_images("dead-leaves", shape=(1, 128, 128), count=24).pixels)[:, 0]
    spectrum = np.abs(np.fft.fft2(leaves - leaves.mean((1, 2), keepdims=True))).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    band = (frequency > 0.03) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(spectrum[band]), 1)[0]
    assert -1.8 < slope < -1.0


def test_a_texture_has_the_mean_the_spread_and_the_spectrum_of_its_photograph():
    """Galerne et al. (2011): its autocorrelation is that of the photograph, less its mean, under the window."""
    photograph = _opened("microaneurysms.png", 1)
    drawn = np.stack(
        [texture(("microaneurysms.png",), photograph.shape, np.random.default_rng(i), contrast=0.5) for i in range(200)]
    )
    assert drawn.mean() == pytest.approx(photograph.mean(), abs=0.001)
    assert drawn.std((1, 2, 3)) == pytest.approx(photograph.std() / 2, rel=0.01)
    seen = (photograph - photograph.mean())[0] * np.outer(np.hanning(102), np.hanning(102))
    centred = (drawn - drawn.mean((1, 2, 3), keepdims=True))[:, 0]
    for lag in ((0, 1), (2, 0), (3, 5)):
        wanted = (seen * np.roll(seen, lag, (0, 1))).sum() / (seen**2).sum()
        came = (centred * np.roll(centred, lag, (1, 2))).mean() / (centred**2).mean()
        assert came == pytest.approx(wanted, abs=0.03)


def test_a_texture_keeps_colours_together_and_may_be_larger_than_its_photograph():
    """Of a grey photograph the channels are equal; of a stained section they go up and down together."""
    grey = texture(("microaneurysms.png",), (3, 120, 130), np.random.default_rng(0))
    np.testing.assert_array_equal(grey[0], grey[2])
    stained = texture(("ihc.png",), (3, 64, 64), np.random.default_rng(0)).reshape(3, -1)
    assert np.corrcoef(stained)[0, 1] > 0.5


def test_split_shares_no_photograph(leaves):
    first, second = split(leaves, share=0.4, seed=0)
    assert len(first.names) == 16
    assert not set(first.names) & set(second.names)
    assert second.photograph.max() == len(second.names) - 1


def test_split_needs_four():
    with pytest.raises(InputError, match="3 photographs are too few"):
        split(load_images("noise", shape=SHAPE, count=3), share=0.4, seed=0)


def picture(path, *, seed=None):
    """A picture of its own for each path, or for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(str(path).encode()) if seed is None else seed
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
    assert all((picture[0] == picture[2]).all() for picture in first.pixels)
    assert all(picture.max() > 0.9 for picture in first.pixels)


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
    np.testing.assert_allclose(images.pixels[7][0], pictures[2] / 255, rtol=1e-6)
    path.write_bytes(path.read_bytes()[:-1] if not zipped else gzip.compress(data[:-1]))
    with pytest.raises(InputError, match="not a complete IDX file"):
        load_images(f"mnist:{tmp_path}", shape=(1, 28, 28))
    with pytest.raises(UsageError, match="no MNIST in"):
        load_images(f"mnist:{tmp_path / 'MNIST/raw/x'}", shape=(1, 28, 28))


# Reading files: tests/test_pictures.py has every kind of file


def saved(path, values):
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.7])
def test_a_truncated_file_is_left_out_by_name(tmp_path, suffix, share):
    values = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = saved(tmp_path / f"whole.{suffix}", values).read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.warns(PerturbWarning, match=rf"2 looked at; 1 left out, unreadable: cut\.{suffix}$"):
        assert load_images(f"folder:{tmp_path}", shape=SHAPE).names == (f"whole.{suffix}",)


def test_many_files_are_named_in_part(tmp_path):
    for i in range(7):
        (tmp_path / f"{i}.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"7 left out, unreadable: 0\.png, .*, 4\.png and 2 more\.$"):
        load_images(f"folder:{tmp_path}", shape=SHAPE)


def test_a_hidden_folder_can_be_named_itself(tmp_path):
    picture(tmp_path / ".cache/1.png")
    assert load_images(f"folder:{tmp_path / '.cache'}", shape=SHAPE).names == ("1.png",)


def gradient_picture(height, width):
    """Red counts rows, green counts columns."""
    row, column = np.mgrid[:height, :width]
    return np.stack([row, column, 0 * row]).astype(np.uint8)


def test_a_crop_is_cut_at_native_resolution(rng):
    photograph = gradient_picture(60, 90)
    corners = set()
    for _ in range(40):
        crop = random_crop(photograph, (3, 8, 16), rng)[0] * 255
        top, left = crop[0, 0, 0], crop[1, 0, 0]
        np.testing.assert_allclose(crop[0], top + np.arange(8)[:, None] + np.zeros(16), atol=1e-4)
        np.testing.assert_allclose(crop[1], left + np.arange(16) + np.zeros((8, 1)), atol=1e-4)
        corners.add((round(top), round(left)))
    assert len(corners) > 30
    assert max(top for top, _ in corners) > 40
    assert max(left for _, left in corners) > 60


@pytest.mark.parametrize("shape", [(3, 60, 90), (3, 60, 16), (3, 8, 90)])
def test_a_crop_may_be_as_large_as_the_photograph(rng, shape):
    photograph = gradient_picture(60, 90)
    crop = random_crop(photograph, shape, rng)[0] * 255
    assert crop.shape == shape
    np.testing.assert_allclose(np.ptp(crop[0]), shape[1] - 1, atol=1e-4)
    np.testing.assert_allclose(np.ptp(crop[1]), shape[2] - 1, atol=1e-4)


@pytest.mark.parametrize("size", [(10, 12), (5, 200), (200, 5), (1, 1)])
def test_a_photograph_smaller_than_the_crop_is_enlarged(rng, size):
    red = np.zeros((3, *size), dtype=np.uint8)
    red[0] = 255
    crop, _ = random_crop(red, (3, 32, 48), rng)
    assert crop.shape == (3, 32, 48)
    np.testing.assert_allclose(crop[0], 1, atol=1e-6)
    np.testing.assert_allclose(crop[1:], 0, atol=1e-6)


@pytest.mark.parametrize(("size", "rows", "columns"), [((64, 128), (0, 64), (32, 96)), ((128, 64), (32, 96), (0, 64))])
def test_fitting_keeps_the_centre(size, rows, columns):
    """The centre is green and the rest red: only green is left, but for the resampling at the border."""
    values = np.zeros((*size, 3), dtype=np.uint8)
    values[..., 0] = 255
    values[slice(*rows), slice(*columns)] = (0, 255, 0)
    found, _ = fitted(values.transpose(2, 0, 1), (3, 32, 32))
    np.testing.assert_allclose(
        found[:, 2:-2, 2:-2], np.array([0, 1, 0]).reshape(3, 1, 1) * np.ones((28, 28)), atol=0.01
    )


@pytest.mark.parametrize("size", [(60, 90), (20, 90), (33, 8)])
def test_a_crop_knows_where_it_was_cut(rng, size):
    """A mask with one object is cut the same way: its object lies where the point says, in crop and mask alike."""
    height, width = size
    photograph = np.zeros((3, height, width), dtype=np.uint8)
    photograph[:, height // 2, width // 2] = 255
    centre = np.array([[height // 2 + 0.5, width // 2 + 0.5]])
    for seed in range(20):
        crop, cut = random_crop(photograph, (3, 32, 32), np.random.default_rng(seed))
        mask = cut_like(photograph[:1], cut, (1, 32, 32))
        (place,) = placed_in(centre, cut, (3, 32, 32))
        assert mask.any() or crop.max() < 0.5
        if (place >= 0).all() and (place < 32).all():
            assert mask[0, int(place[0]), int(place[1])] == 255
            np.testing.assert_allclose(np.argwhere(mask[0]).mean(0) + 0.5, place, atol=0.51)
            brightest = np.argwhere(crop[0] >= crop[0].max() - 1e-6).mean(0) + 0.5
            np.testing.assert_allclose(brightest, place, atol=0.51)


def test_native_crops_are_cut_at_whole_pixels(folder):
    images = load_images(f"folder:{folder}", shape=SHAPE)
    for i, (name, file) in enumerate(zip(images.names, images.files, strict=True)):
        values = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
        for crop, cut in zip(images.pixels[images.photograph == i], images.cut[images.photograph == i], strict=True):
            if name != "deep.tif":
                assert cut[2:].tolist() == [32, 32]
                top, left = cut[:2].astype(int)
                np.testing.assert_array_equal(crop, np.float32(values[:, top : top + 32, left : left + 32]) / 255)


def test_a_fitted_picture_knows_its_part():
    _, wide = fitted(np.zeros((1, 64, 128), np.uint8), (1, 32, 32))
    _, high = fitted(np.zeros((1, 30, 10), np.uint8), (1, 20, 40))
    np.testing.assert_allclose(wide, [0, 32, 64, 64])
    np.testing.assert_allclose(high, [12.5, 0, 5, 10])


def test_crops_keep_their_cut_through_a_split(folder):
    images = load_images(f"folder:{folder}", shape=SHAPE)
    for part in split(images, share=0.4, seed=0):
        for i, name in enumerate(part.names):
            whole = images.photograph == images.names.index(name)
            np.testing.assert_array_equal(part.cut[part.photograph == i], images.cut[whole])
            assert part.files[i] == folder / name


# Generated pictures


def test_dead_leaves_cover_the_plane():
    """Only pixels without a disc are exactly black; colours are at most 1."""
    for seed in range(5):
        leaves = dead_leaves((3, 48, 64), np.random.default_rng(seed))
        assert leaves.shape == (3, 48, 64)
        assert leaves.dtype == np.float32
        assert (leaves.max(0) > 0).mean() > 0.999
        assert 0 <= leaves.min() < leaves.max() <= 1


def test_radii_of_dead_leaves_follow_an_inverse_cube():
    """The density ~ r^-3 between 2 and 96 / 3 = 32 has the survival function (r^-2 - 32^-2) / (2^-2 - 32^-2)."""
    drawn = radii(np.random.default_rng(0).random(20_000), 2, 32)
    assert 2 <= drawn.min() < drawn.max() <= 32
    for radius in (3, 4, 8, 16):
        expected = (radius**-2 - 32**-2) / (2**-2 - 32**-2)
        assert (drawn > radius).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(drawn)))


def test_noise_is_uniform_and_independent(rng):
    picture = noise((3, 64, 64), rng)
    assert picture.mean() == pytest.approx(0.5, abs=0.02)
    assert picture.var() == pytest.approx(1 / 12, rel=0.05)
    assert abs(np.corrcoef(picture[:, :, 1:].ravel(), picture[:, :, :-1].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("source", ["noise", "dead-leaves", "surface", "retina"])
def test_generated_pictures_do_not_depend_on_their_number(source):
    few, many = (load_images(source, shape=(3, 16, 16), count=count) for count in (2, 4))
    np.testing.assert_array_equal(few.pixels, many.pixels[:2])
    assert few.names == many.names[:2]
    assert few.photograph.tolist() == [0, 1]


# Digits


def idx(values):
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.fixture
def mnist_folder(tmp_path):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for part, n in (("train", 4), ("t10k", 2)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            idx(np.random.default_rng(n).integers(0, 255, (n, 28, 28), dtype=np.uint8))
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n, dtype=np.uint8)))
    return tmp_path


@pytest.mark.parametrize("place", ["", "MNIST", "MNIST/raw"])
def test_mnist_is_found_in_any_of_its_folders(mnist_folder, place):
    images = load_images(f"mnist:{mnist_folder / place}", shape=(1, 28, 28), count=100)
    assert images.labels.tolist() == [0, 1, 2, 3, 0, 1]
    assert images.classes == tuple("0123456789")


BAD_IDX = {
    "empty": b"",
    "three bytes": b"\0\0\x08",
    "no magic number": b"PNG" + bytes(40),
    "another type": b"\0\0\x0d" + idx(np.zeros((2, 3), np.uint8))[3:],
    "fewer axes than promised": b"\0\0\x08\x03" + bytes(4),
    "one byte short": idx(np.zeros((2, 28, 28), np.uint8))[:-1],
    "one byte long": idx(np.zeros((2, 28, 28), np.uint8)) + b"\0",
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("data", BAD_IDX.values(), ids=BAD_IDX)
def test_a_damaged_idx_file_is_one_line(mnist_folder, data, zipped):
    path = mnist_folder / "MNIST/raw/train-images-idx3-ubyte"
    path.unlink()
    path = path.with_name(f"{path.name}.gz") if zipped else path
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(InputError, match=f"{path.name}` is not a complete IDX file") as caught:
        load_images(f"mnist:{mnist_folder}", shape=(1, 28, 28))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [1, 20, -9])
def test_a_truncated_gzip_file_is_one_line(mnist_folder, keep):
    path = mnist_folder / "MNIST/raw/t10k-images-idx3-ubyte"
    data = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(data[:keep])
    with pytest.raises(InputError, match="not a complete IDX file"):
        load_images(f"mnist:{mnist_folder}", shape=(1, 28, 28))


def test_digits_and_labels_of_different_numbers_are_an_error(mnist_folder):
    (mnist_folder / "MNIST/raw/t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(1, dtype=np.uint8)))
    with pytest.raises(InputError, match="6 digits but 5 labels"):
        load_images(f"mnist:{mnist_folder}", shape=(1, 28, 28))


def test_a_missing_idx_file_is_named(mnist_folder):
    (mnist_folder / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match="t10k-labels-idx1-ubyte` is missing"):
        load_images(f"mnist:{mnist_folder}", shape=(1, 28, 28))


# Labelled sets


def test_classes_are_sorted_and_pictures_keep_their_own(tmp_path):
    """The class is the first folder below the root, in sorted order, whatever lies deeper."""
    for name in ("b/deep/deeper/2.png", "a/1.png", "B/3.png"):
        picture(tmp_path / name)
    images = load_images(f"labelled:{tmp_path}", shape=SHAPE)
    assert images.classes == ("B", "a", "b")
    assert dict(zip(images.names, images.labels.tolist(), strict=True)) == {
        "B/3.png": 0,
        "a/1.png": 1,
        "b/deep/deeper/2.png": 2,
    }


def test_an_unreadable_picture_of_a_labelled_set_is_left_out(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        picture(tmp_path / name)
    (tmp_path / "a/1.png").write_bytes(b"nothing")
    with pytest.warns(PerturbWarning, match="3 looked at; 1 left out, unreadable"):
        images = load_images(f"labelled:{tmp_path}", shape=SHAPE)
    assert images.names == ("a/2.png", "b/1.png")
    assert images.labels.tolist() == [0, 1]
    assert len(images.pixels) == 2


def test_a_labelled_set_without_a_readable_picture_is_an_error(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        picture(tmp_path / name)
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match="no readable picture among 2 looked at"):
        load_images(f"labelled:{tmp_path}", shape=SHAPE)


@pytest.mark.parametrize("kind", ["labelled", "caltech101", "cub200", "pets", "folder"])
def test_a_folder_that_does_not_exist_is_named(kind, tmp_path):
    with pytest.raises(UsageError, match="absent` does not exist"):
        load_images(f"{kind}:{tmp_path / 'absent'}", shape=SHAPE)


@pytest.mark.parametrize(
    ("layout", "missing"), [(cub200, "CUB_200_2011/classes.txt"), (pets, "oxford-iiit-pet/annotations/test.txt")]
)
def test_a_missing_list_of_a_labelled_set_is_named(tmp_path, layout, missing):
    layout(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(UsageError, match=f"{missing}` is missing"):
        load_images(f"{layout.__name__}:{tmp_path}", shape=SHAPE)


@pytest.mark.parametrize(("layout", "inner"), [(caltech101, "caltech101"), (cub200, "CUB_200_2011")])
def test_a_labelled_set_is_found_from_its_own_folder(tmp_path, layout, inner):
    layout(tmp_path)
    inside, outside = (load_images(f"{layout.__name__}:{p}", shape=SHAPE) for p in (tmp_path / inner, tmp_path))
    np.testing.assert_array_equal(inside.pixels, outside.pixels)
    np.testing.assert_array_equal(inside.labels, outside.labels)


@pytest.mark.parametrize("missing", ["image_class_labels", "classes"])
def test_a_picture_without_a_class_is_one_line(tmp_path, missing):
    """The last line of a CUB-200-2011 list was lost."""
    cub200(tmp_path)
    path = tmp_path / f"CUB_200_2011/{missing}.txt"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(InputError, match=r"give no class for number '2'") as caught:
        load_images(f"cub200:{tmp_path}", shape=SHAPE)
    assert "\n" not in str(caught.value)


def test_paper_is_blank_and_a_number_line_has_a_place_for_its_point():
    """The place is white, and black digits stand on both sides of it."""
    pages = load_images("paper", shape=(3, 64, 64), count=2)
    assert np.mean(pages.pixels) == pytest.approx(230 / 255, abs=0.001)
    assert np.std(pages.pixels) == pytest.approx(1.5 / 255, rel=0.1)
    lines = load_images("number-lines", shape=(1, 48, 176), count=8)
    for picture, (row, column) in zip(np.asarray(lines.pixels)[:, 0], lines.spots, strict=True):
        assert (picture[:, column - 1 : column + 3] == 1).all()
        assert picture[:, :column].min() == picture[:, column + 1 :].min() == 0
        digits = np.flatnonzero((picture < 0.5).any(1))
        assert digits[-1] - 2 <= row <= digits[-1] + 1  # on their foot
    with pytest.raises(InputError, match="too narrow for a line"):
        load_images("number-lines", shape=(1, 48, 48), count=1)


def test_a_users_own_function_draws_pictures(tmp_path):
    (tmp_path / "own.py").write_text(
        "def grey(shape, rng): return rng.random(shape)\n"
        "def spot(shape, rng): return rng.random(shape), (3, 4)\n"
        "def dark(shape, rng): return rng.random(shape) - 1\n"
        "def some(shape, rng): return grey(shape, rng) if rng.random() < 0.5 else spot(shape, rng)\n"
    )
    found = load_images("own.py:grey", shape=(1, 8, 8), count=4, beside=tmp_path)
    assert (found.pixels.shape, found.pixels[0].dtype, found.spots) == ((4, 1, 8, 8), np.float32, None)
    first, second = split(load_images("own.py:spot", shape=(1, 8, 8), count=6, beside=tmp_path), share=0.5, seed=0)
    assert first.spots.tolist() == second.spots.tolist() == [[3, 4]] * 3
    for name, words in (
        ("dark", r"wanted \(1, 8, 8\) with values in \[0, 1\]"),
        ("some", "some pictures have a place"),
    ):
        with pytest.raises(InputError, match=words):
            load_images(f"own.py:{name}", shape=(1, 8, 8), count=8, beside=tmp_path)


def test_a_long_photograph_is_cut_before_it_is_enlarged(monkeypatch):
    """The same to a grey level of 8 bits, here and there, without the memory for the whole."""
    rng = np.random.default_rng(0)
    for stored in (rng.integers(0, 256, (3, 20, 300), dtype=np.uint8), rng.random((3, 300, 20)).astype(np.float32)):
        smooth = np.stack([np.sort(channel, axis=None).reshape(channel.shape) for channel in stored])
        monkeypatch.setattr(photograph, "WHOLE", 2**26)
        whole, where = photograph.random_crop(smooth, (3, 64, 64), np.random.default_rng(1))
        monkeypatch.setattr(photograph, "WHOLE", 0)
        part, there = photograph.random_crop(smooth, (3, 64, 64), np.random.default_rng(1))
        np.testing.assert_allclose(part, whole, atol=1.01 / 255)
        np.testing.assert_array_equal(where, there)
    monkeypatch.undo()
    largest = []
    monkeypatch.setattr(photograph, "resized", lambda stored, size: largest.append(size))
    found, _ = photograph.random_crop(np.zeros((3, 60, 50_000), dtype=np.uint8), (3, 224, 224), rng)
    assert found.shape == (3, 224, 224)
    assert not largest
