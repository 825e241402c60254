"""From the user's picture to the network's input: resizing, cropping and padding, fixed and linear.

Each step acts on rows and columns separately: y = A_rows x A_columns' plus a constant. The matrices come from the torch
operation itself, applied to an identity, so that they hold for every interpolation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from perturb import records

Pair = tuple[int, int]  # rows, columns
MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
SMOOTH = ("bilinear", "bicubic")  # which torch can antialias
GREY = 114 / 255  # what YOLO's letterbox fills with
LARGEST_PERIOD = 64  # pixels of the picture: of a longer whole period there would be too few cells to average over


@dataclass(frozen=True, slots=True)
class Stage:
    """One step for pictures of one size: resize, then pad above, below, left and right. Negative widths cut."""

    size: Pair | None = None  # None: as it is
    mode: str = "nearest"
    antialias: bool = False
    widths: tuple[int, int, int, int] = (0, 0, 0, 0)
    fill: float = 0.0

    def __call__(self, x: Float[Tensor, "picture channel row column"]) -> Tensor:
        if self.size is not None and self.size != tuple(x.shape[2:]):
            x = F.interpolate(x, self.size, mode=self.mode, antialias=self.antialias)
        top, bottom, left, right = self.widths
        return F.pad(x, (left, right, top, bottom), value=self.fill) if any(self.widths) else x

    def shape(self, before: Pair) -> Pair:
        rows, columns = self.size or before
        top, bottom, left, right = self.widths
        return rows + top + bottom, columns + left + right

    def along(self, axis: int, columns: int) -> "Stage":
        """The same for pictures of so many columns, each of which lies along `axis`; without the constant."""
        size = None if self.size is None else (self.size[axis], columns)
        before, behind = self.widths[2 * axis : 2 * axis + 2]
        return replace(self, size=size, widths=(before, behind, 0, 0), fill=0.0)


@dataclass(frozen=True, slots=True)
class Resize:
    """Resize to `size`: (rows, columns), or one number for the shorter side, as torchvision reads it.

    With the arguments of `torch.nn.functional.interpolate`. OpenCV's INTER_NEAREST and INTER_LINEAR are "nearest" and
    "bilinear" without antialias; Pillow's BILINEAR and BICUBIC are those with it.
    """

    size: int | Pair
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        _check_size("size", self.size)
        if self.interpolation not in MODES:
            raise ValueError(f"interpolation={self.interpolation!r}: expected one of {', '.join(MODES)}.")
        if not isinstance(self.antialias, bool):
            raise ValueError(f"antialias={self.antialias!r}: expected true or false.")

    def stage(self, shape: Pair) -> Stage:
        if not isinstance(self.size, int):
            return self._to(self.size)
        longer = int(self.size * max(shape) / min(shape))
        return self._to((self.size, longer) if shape[0] <= shape[1] else (longer, self.size))

    def _to(self, size: Pair) -> Stage:
        """Interpolations that torch does not antialias are taken as they are, as torchvision does."""
        return Stage(size, self.interpolation, self.antialias and self.interpolation in SMOOTH)


@dataclass(frozen=True, slots=True)
class Letterbox(Resize):
    """Resize so that the whole picture fits into `size` and keeps its proportions; fill both sides with grey.

    Rounded as Ultralytics does. `fill` is a fraction of the pixel range.
    """

    size: Pair
    antialias: bool = False
    fill: float = GREY

    def stage(self, shape: Pair) -> Stage:
        ratio = min(wanted / n for wanted, n in zip(self.size, shape, strict=True))
        rows, columns = (max(1, round(n * ratio)) for n in shape)
        spare = self.size[0] - rows, self.size[1] - columns
        widths = spare[0] // 2, spare[0] - spare[0] // 2, spare[1] // 2, spare[1] - spare[1] // 2
        return replace(self._to((rows, columns)), widths=widths, fill=self.fill)


@dataclass(frozen=True, slots=True)
class Crop:
    """Cut out (rows, columns), or a square: from the middle as torchvision does, or from `corner` (top, left)."""

    size: int | Pair
    corner: Pair | None = None

    def __post_init__(self) -> None:
        _check_size("size", self.size)

    def stage(self, shape: Pair) -> Stage:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        corner = self.corner or tuple(round((n - size[axis]) / 2) for axis, n in enumerate(shape))
        widths = [width for axis in (0, 1) for width in (-corner[axis], corner[axis] + size[axis] - shape[axis])]
        if max(widths) > 0:
            raise ValueError(f"a crop of {size[0]} x {size[1]} does not fit {shape[0]} x {shape[1]} pixels.")
        return Stage(widths=(widths[0], widths[1], widths[2], widths[3]))


@dataclass(frozen=True, slots=True)
class Pad:
    """Add rows above and below and columns left and right; `fill` is a fraction of the pixel range."""

    widths: tuple[int, int, int, int]  # top, bottom, left, right
    fill: float = 0.0

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or min(self.widths) < 0:
            raise ValueError(f"widths={self.widths}: expected (top, bottom, left, right), none below 0.")

    def stage(self, shape: Pair) -> Stage:
        return Stage(widths=self.widths, fill=self.fill)


Step = Resize | Letterbox | Crop | Pad


KEYS = ("resize", "letterbox", "crop", "pad", "fill", "interpolation", "antialias")


def steps_for(inside: Pair, usual: tuple[Step, ...] | None, given: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps that words ask for, by KEYS: `resize` or `letterbox`, then `crop`, then `pad`.

    Sizes are (rows, columns) or one number: the shorter side of `resize`, a square of the others. Where none of these
    four is given, the steps are the `usual` ones of the model, or a resize to its input `inside`, by the given
    `interpolation`. Raises ValueError for what does not go together.
    """
    for key in given:
        if key not in KEYS:
            raise ValueError(f"`{key}` is unknown, expected one of {', '.join(KEYS)}.")
    way = {key: given[key] for key in ("interpolation", "antialias") if key in given}
    fill = {"fill": given["fill"]} if "fill" in given else {}
    if not {"resize", "letterbox", "crop", "pad"} & given.keys():
        steps: tuple[Step, ...] = (Resize(inside),) if usual is None else usual
        return tuple(replace(step, **way) if isinstance(step, Resize) else step for step in steps)
    if {"resize", "letterbox"} <= given.keys():
        raise ValueError("`resize` and `letterbox` are two ways to one end; give one of them.")
    found: list[Step] = []
    if "resize" in given:
        found.append(Resize(_size(given["resize"]), **way))
    if "letterbox" in given:
        found.append(Letterbox(_pair(given["letterbox"]), **way, **fill))
    if "crop" in given:
        found.append(Crop(_pair(given["crop"])))
    if "pad" in given:
        found.append(Pad(tuple(given["pad"]), **fill))
    return tuple(found)


def _size(given: Any) -> int | Pair:
    return given if isinstance(given, int) else tuple(given)


def _pair(given: Any) -> Pair:
    return (given, given) if isinstance(given, int) else tuple(given)


def _check_size(name: str, size: int | Pair) -> None:
    sides = (size,) if isinstance(size, int) else size
    if len(sides) > 2 or not all(isinstance(n, int) and n > 0 for n in sides):
        raise ValueError(f"{name}={size}: expected a number of pixels or (rows, columns).")


class Seen(Protocol):
    """A model that may have steps ahead of it."""

    input_shape: tuple[int, int, int]


def sensor_of(model: Seen) -> "Sensor | None":
    """The steps ahead of a model; None where it takes the user's picture as it is."""
    return getattr(model, "sensor", None)


def network_shape(model: Seen) -> tuple[int, int, int]:
    """Channels, rows and columns of what the network itself is given."""
    sensor = sensor_of(model)
    return model.input_shape if sensor is None else (model.input_shape[0], *sensor.inside)


class Sensor:
    """The steps between pictures of one shape and a network's input."""

    def __init__(self, steps: tuple[Step, ...], shape: Pair) -> None:
        """Raises ValueError where a step does not fit what comes to it."""
        self.shape, self.stages = shape, []
        self._scale, offset = (Fraction(1), Fraction(1)), (Fraction(0), Fraction(0))
        for step in steps:
            stage = step.stage(shape)
            after = stage.size or shape
            self._scale = self._scale[0] * shape[0] / after[0], self._scale[1] * shape[1] / after[1]
            ratio = Fraction(after[0], shape[0]), Fraction(after[1], shape[1])
            offset = offset[0] * ratio[0] + stage.widths[0], offset[1] * ratio[1] + stage.widths[2]
            shape = stage.shape(shape)
            self.stages.append(stage)
        self.inside: Pair = shape  # rows, columns of the network's input
        self._offset = offset

    def __call__(self, x: Float[Tensor, "picture channel row column"]) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the picture per pixel of the input, along rows and columns."""
        return float(self._scale[0]), float(self._scale[1])

    def to_picture(self, at: Float[np.ndarray, " place"], axis: int) -> Float[np.ndarray, " place"]:
        """Places along one axis of the input as places in the picture; the first pixel's centre is 0 in both."""
        return (at + 0.5 - float(self._offset[axis])) * float(self._scale[axis]) - 0.5

    @cached_property
    def matrices(self) -> tuple[Float[np.ndarray, "inside row"], Float[np.ndarray, "inside column"]]:
        """What the steps do along rows, and along columns, in float64."""
        return self._matrix(0), self._matrix(1)

    def _matrix(self, axis: int) -> Float[np.ndarray, "inside n"]:
        n = self.shape[axis]
        x = torch.eye(n, dtype=torch.float64)[None, None]
        for stage in self.stages:
            x = stage.along(axis, n)(x)
        return np.asarray(x[0, 0].numpy())

    @cached_property
    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Which rows and which columns of the picture have a weight other than 0 in some pixel of the input."""
        rows, columns = ((matrix != 0).any(0) for matrix in self.matrices)
        return rows, columns

    @cached_property
    def area(self) -> tuple[int, int, int, int]:
        """Top, left, bottom and right (both exclusive) of the part of the picture from which the input is taken.

        A pixel belongs to it where its place in the input lies in the input, whether or not it has a weight.
        """
        ends = []
        for axis, n in enumerate(self.shape):
            first, last = self.to_picture(np.array([-0.5, self.inside[axis] - 0.5]), axis) + 0.5
            ends.append((max(0, math.floor(first + 1e-9)), min(n, math.ceil(last - 1e-9))))
        return ends[0][0], ends[1][0], ends[0][1], ends[1][1]

    def onto_picture(self, squared: Float[np.ndarray, "inside_row inside_column"]) -> Float[np.ndarray, "row column"]:
        """Expected squared gradients at the input's pixels as those at the picture's: N = (A_r^2)' N_input (A_c^2).

        Exact where the gradients at the input's pixels are uncorrelated, as behind a layer of independent weights of
        mean zero: then the cross terms of the chain rule have mean zero. All steps are composed before the squares.
        """
        rows, columns = self.matrices
        return np.asarray((rows**2).T @ squared @ columns**2)

    def field(self, found: records.ReceptiveField) -> records.ReceptiveField:
        """A receptive field of the network as one in the picture.

        The size is exact for the central position. Outside of the input, pixels go on at the same distance. The stride
        is None where it is no whole number of pixels.
        """
        if found.size is None or found.stride is None or found.offset is None:
            return found
        ends, stride = [], [scale * n for scale, n in zip(self._scale, found.stride, strict=True)]
        for axis in (0, 1):
            first = found.offset[axis] + found.stride[axis] * (found.positions[axis] // 2)
            ends.append((self._end(axis, first, 0), self._end(axis, first + found.size[axis] - 1, -1) + 1))
        whole = all(step.denominator == 1 for step in stride)
        return replace(
            found,
            size=(ends[0][1] - ends[0][0], ends[1][1] - ends[1][0]),
            stride=(int(stride[0]), int(stride[1])) if whole else None,
            offset=(self._end(0, found.offset[0], 0), self._end(1, found.offset[1], 0)),
        )

    def _end(self, axis: int, at: int, which: int) -> int:
        """The first (0) or last (-1) row or column of the picture that has a weight in row or column `at`."""
        weights = self.matrices[axis]
        edge = min(max(at, 0), len(weights) - 1)
        inside = np.flatnonzero(weights.any(1))  # padding has no weight in anything
        edge = int(min(max(edge, inside[0]), inside[-1]))
        return int(np.flatnonzero(weights[edge])[which]) + round((at - edge) * self.scale[axis])

    def lattice(self, period: int) -> records.Lattice:
        """How a lattice that repeats every `period` pixels of the input lies in the picture."""
        top, left, bottom, right = self.area
        exact = [period * scale for scale in self._scale]
        whole = math.lcm(*(length.numerator for length in exact))
        cell = max(math.ceil(length) for length in exact)
        fits = whole <= max(LARGEST_PERIOD, cell) and 2 * whole <= min(bottom - top, right - left)
        read = self.read[0][top:bottom].mean() * self.read[1][left:right].mean()
        return records.Lattice(
            cell=whole if fits else cell,
            whole=fits,
            period=(float(exact[0]), float(exact[1])),
            input_period=period,
            area=self.area,
            outside=1 - (bottom - top) * (right - left) / math.prod(self.shape),
            unread=float(1 - read),
        )
