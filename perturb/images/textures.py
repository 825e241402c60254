"""Drawn textures with the spectrum and the colours of a photograph: independent pictures of one material."""

from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float
from PIL import Image

Picture = Float[np.ndarray, "channel row column"]

LARGE = 600  # pixels: of a larger photograph only the middle half is used, along each side; a retina has black corners


def surface(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """A machined surface: scikit-image's photograph of bricks, at half its contrast."""
    return texture(("brick.png",), shape, rng, contrast=0.5)


def retina(shape: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    """The back of an eye: scikit-image's photograph of a retina."""
    return texture(("retina.jpg",), shape, rng)


def texture(
    names: tuple[str, ...], shape: tuple[int, int, int], rng: np.random.Generator, *, contrast: float = 1.0
) -> Picture:
    """A Gaussian random field with the mean and the spectrum of a random part of one of scikit-image's photographs.

    White noise is convolved with the part, less its mean and under a Hann window, and scaled to `contrast` times the
    part's standard deviation; the result is clipped to [0, 1]. All channels share the noise, so that colours stay
    together. What is left of the photograph are its statistics of first and second order, and no shapes. Source:
    Galerne, Gousseau and Morel (2011), "Random phase textures: theory and synthesis".
    """
    photograph = _opened(names[rng.integers(len(names))], shape[0])
    rows, columns = (min(pair) for pair in zip(shape[1:], photograph.shape[1:], strict=True))
    top, left = (int(rng.integers(n - size + 1)) for n, size in zip(photograph.shape[1:], (rows, columns), strict=True))
    part = photograph[:, top : top + rows, left : left + columns]
    mean, deviation = part.mean((1, 2), keepdims=True), part.std((1, 2), keepdims=True)
    window = np.hanning(rows)[:, None] * np.hanning(columns)
    spectrum = np.fft.rfft2((part - mean) * window, s=shape[1:]) * np.fft.rfft2(rng.standard_normal(shape[1:]))
    field = np.fft.irfft2(spectrum, s=shape[1:])
    spread = field.std((1, 2), keepdims=True)
    field *= contrast * deviation / np.where(spread > 0, spread, 1)
    return np.clip(mean + field, 0, 1).astype(np.float32)


@cache
def photograph(name: str, channels: int) -> Picture:
    """One of scikit-image's photographs, in grey or in colour."""
    with Image.open(str(files("skimage.data") / name)) as opened:
        values = np.asarray(opened.convert("RGB" if channels == 3 else "L"), dtype=np.float32) / 255
    return np.ascontiguousarray(values.reshape(*values.shape[:2], channels).transpose(2, 0, 1))


def _opened(name: str, channels: int) -> Picture:
    """The part of it that a texture may come from."""
    values = photograph(name, channels)
    rows, columns = (slice(n // 4, n - n // 4) if n > LARGE else slice(None) for n in values.shape[1:])
    return values[:, rows, columns]
