"""Pictures and maps as text inside a page."""

import base64
import io
import zlib

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from perturb.render.colour import paint

LARGEST = 320  # side of an embedded photograph, in pixels


def png(pixels: UInt8[np.ndarray, "row column channel"]) -> str:
    """A data address, exact to the pixel."""
    return _address(_image(pixels), "png")


def jpeg(pixels: UInt8[np.ndarray, "row column channel"]) -> str:
    """A data address, small."""
    image = _image(pixels)
    image.thumbnail((LARGEST, LARGEST))
    return _address(image, "jpeg")


def painted(values: Float[np.ndarray, "row column"], high: float) -> str:
    """A map from 0, dark, to `high`, bright; 256 colours."""
    image = Image.fromarray(paint(values, 0.0, high))
    return _address(image.quantize(256, method=Image.Quantize.FASTOCTREE), "png")


def drawn(svg: str) -> str:
    """A drawing in SVG, which runs nothing and loads nothing as a picture."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def packed(values: Float[np.ndarray, "row column"]) -> str:
    """16-bit shares of the largest value, little-endian, row by row, deflated, in base64."""
    shares = (values / values.max() * 65535).round().astype("<u2")
    return base64.b64encode(zlib.compress(shares.tobytes(), 9)).decode()


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _address(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
