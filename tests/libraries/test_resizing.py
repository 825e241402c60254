"""Resizing as OpenCV does it: by torch's interpolations of the same weights, and what both pass over."""

import cv2
import numpy as np
import pytest
import torch

from perturb.sensor import Letterbox, Resize, Sensor

WAYS = [
    (cv2.INTER_NEAREST, "nearest", (37, 53)),
    (cv2.INTER_NEAREST_EXACT, "nearest-exact", (32, 64)),  # no centre on an edge, where they round apart
    (cv2.INTER_LINEAR, "bilinear", (37, 53)),
    (cv2.INTER_CUBIC, "bicubic", (37, 53)),
    (cv2.INTER_AREA, "area", (30, 40)),  # by a whole factor; at others OpenCV weighs parts of pixels
]


@pytest.mark.parametrize(("flag", "mode", "size"), WAYS)
def test_opencvs_interpolations_are_torchs_without_antialias(flag, mode, size) -> None:
    picture = np.random.default_rng(0).random((120, 160), dtype=np.float32)
    wanted = cv2.resize(picture, size[::-1], interpolation=flag)
    found = Sensor((Resize(size, mode, antialias=False),), (120, 160))(torch.from_numpy(picture)[None, None])[0, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_camera_of_1080_rows_boxed_into_640_loses_eight_pixels_of_nine() -> None:
    """OpenCV itself, on 8-bit pictures: whatever the pixels are that are not read, the result is the same."""
    sensor = Sensor((Letterbox((640, 640)),), (1080, 1920))
    read = np.outer(*sensor.read)
    assert read.mean() == pytest.approx(1 / 9)
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 1080, 1920), dtype=np.uint8)
    small = [cv2.resize(picture, (640, 360), interpolation=cv2.INTER_LINEAR) for picture in (one, other)]
    assert not np.array_equal(*small)
    mixed = np.where(read, one, other)
    np.testing.assert_array_equal(cv2.resize(mixed, (640, 360), interpolation=cv2.INTER_LINEAR), small[0])
