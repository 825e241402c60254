"""A mark in a picture: a shape of one colour, and how strongly it shows. Every other perturbation is one."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Float

Picture = Float[np.ndarray, "channel row column"]
Ink = Float[np.ndarray, "row column"]  # the share of each pixel that the object covers, 0 to 1
Colour = Float[np.ndarray, "channel #row #column"]
Mode = Literal["add", "replace", "blend"]
Polarity = Literal["away", "darker", "brighter"]
Strength = Literal["range", "contrast"]
WHITE = (1.0, 1.0, 1.0)
SURROUND = 3  # pixels: the width of the frame around an object that counts as its background


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An object with ink m and colour c, its strength the level l in [0, 1], the pixel range being [0, 1].

    add      x + s l m c A. The sign s is -1 for `darker`, +1 for `brighter`; `away` is away from the nearer bound: -1
             where the channel's mean over the object's rectangle is above 1/2. With strength `range` A is 1: up to
             l = 1/2 a single pixel is then never clipped, so dead and live arms get the same change. With `contrast` A
             is the channel's background, so l c is the Weber contrast of the object: the mean over a frame of SURROUND
             pixels around the object's rectangle, as far as it lies within the picture. On black nothing shows.
    replace  (1 - m) x + m l c, for l > 0.
    blend    x + l m (c - x).
    The result is clipped to [0, 1]; level 0 is the identity. `colour` gives one value for each of red, green, blue; a
    picture with another number of channels takes their mean.
    """

    words: ClassVar[str]

    mode: Mode = "add"
    colour: tuple[float, float, float] = WHITE
    polarity: Polarity = "away"
    strength: Strength = "range"

    def __post_init__(self) -> None:
        for name, known in (("mode", Mode), ("polarity", Polarity), ("strength", Strength)):
            if (given := getattr(self, name)) not in get_args(known):
                *others, last = get_args(known)
                raise ValueError(f"`{name}` (={given!r}) must be {', '.join(others)} or {last}.")
        if self.mode != "add" and (self.polarity, self.strength) != (type(self).polarity, "range"):
            raise ValueError(f"`polarity` and `strength` go with mode = 'add' alone, and `mode` is {self.mode!r}.")

    @property
    def size(self) -> int:
        """Side of the square patch that holds the object, in pixels."""
        return max(self.extent)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of the largest object that may be drawn."""
        raise NotImplementedError

    def object(self, channels: int, rng: np.random.Generator) -> tuple[Ink, Colour]:
        """Ink and colour of one object; its first row and column lie at the place."""
        raise NotImplementedError

    def apply(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        drawn = self.draw(picture, place, level, rng)
        return np.clip(drawn, 0, 1, out=drawn)

    def draw(self, picture: Picture, place: tuple[int, int], level: float, rng: np.random.Generator) -> Picture:
        """What `apply` gives, before it is clipped. Raises ValueError for a place or a level that cannot be."""
        ink, colour = self.object(len(picture), rng)
        (row, column), (rows, columns) = place, ink.shape
        if not (0 <= row <= picture.shape[1] - rows and 0 <= column <= picture.shape[2] - columns):
            raise ValueError(
                f"`place` (={place}): an object of {rows} x {columns} leaves the "
                f"{picture.shape[1]} x {picture.shape[2]} picture."
            )
        if not 0 <= level <= 1:
            raise ValueError(f"`level` (={level}) must be within 0 and 1.")
        drawn = picture.copy()
        if level == 0:
            return drawn
        patch = drawn[:, row : row + rows, column : column + columns]
        if self.mode == "add":
            patch += np.float32(level) * self._sign(patch) * colour * ink * self._scale(picture, place, ink.shape)
        elif self.mode == "replace":
            patch[...] = (1 - ink) * patch + ink * (level * colour)
        else:
            patch += np.float32(level) * ink * (colour - patch)
        return drawn

    def _colour(self, channels: int) -> Colour:
        colour = np.array(self.colour, dtype=np.float32) if channels == 3 else np.full(channels, np.mean(self.colour))
        return colour.astype(np.float32)[:, None, None]

    def _sign(self, patch: Picture) -> np.ndarray | np.float32:
        if self.polarity == "away":
            return np.where(patch.mean((1, 2), keepdims=True) > 0.5, -1, 1)
        return np.float32(-1 if self.polarity == "darker" else 1)

    def _scale(self, picture: Picture, place: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray | np.float32:
        return background(picture, place, shape) if self.strength == "contrast" else np.float32(1)


def background(picture: Picture, place: tuple[int, int], shape: tuple[int, ...]) -> Float[np.ndarray, "channel 1 1"]:
    """The mean of each channel over the frame of SURROUND pixels around this rectangle, within the picture.

    Raises ValueError where the rectangle leaves no such pixel.
    """
    inner = [slice(at, at + n) for at, n in zip(place, shape, strict=True)]
    outer = [slice(max(0, part.start - SURROUND), part.stop + SURROUND) for part in inner]
    frame = np.zeros(picture.shape[1:], dtype=bool)
    frame[tuple(outer)] = True
    frame[tuple(inner)] = False
    if not frame.any():
        raise ValueError(f"strength = 'contrast': an object of {shape[0]} x {shape[1]} leaves no background around it.")
    return picture[:, frame].mean(1)[:, None, None]
