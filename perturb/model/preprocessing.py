"""From raw pixels to a network's input."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from perturb.sensor import Sensor, Step

CHOICES = {
    "layout": ("NCHW", "NHWC", "CHW", "HWC"),
    "dtype": ("float32", "uint8"),
    "arrays": ("torch", "numpy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From raw pixels to the model's input: x -> (low + (high - low) x - mean) / std for a picture x in [0, 1].

    `layout`, `dtype` and `arrays` are for functions. A layout without N means that the function takes one picture at a
    time. uint8 pictures are rounded; their `bounds` are (0, 255), with no mean and std.

    `steps` resize, crop and pad what comes from the user's camera. `input_shape` is then the user's picture, and
    places, maps and periods are in its pixels; the network gets what comes out of the steps.
    """

    input_shape: tuple[int, int, int] = (3, 224, 224)  # (channel, row, column)
    steps: tuple[Step, ...] = field(default=(), repr=False)  # ahead of the network, in this order; see perturb.sensor
    bounds: tuple[float, float] = (0.0, 1.0)  # the network's raw pixel range
    mean: tuple[float, ...] = (0.0,)  # one for all channels, or one each; in the units of `bounds`
    std: tuple[float, ...] = (1.0,)
    layout: Literal["NCHW", "NHWC", "CHW", "HWC"] = "NCHW"
    dtype: Literal["float32", "uint8"] = "float32"
    arrays: Literal["torch", "numpy"] = "torch"  # what the function is given
    usual: tuple[Step, ...] | None = field(
        default=None, compare=False, repr=False
    )  # what its authors do to any picture

    def __post_init__(self) -> None:
        (low, high), channels = self.bounds, self.input_shape[0]
        if len(self.input_shape) != 3:
            raise ValueError(
                f"input_shape={self.input_shape}: expected (channel, row, column); volumes are not supported."
            )
        if low >= high or min(self.std) <= 0 or min(self.input_shape) < 1:
            raise ValueError(f"{self}: bounds must rise, std and input_shape must be positive.")
        if not {len(self.mean), len(self.std)} <= {1, channels}:
            raise ValueError(f"{self}: mean and std must have 1 value or one for each of {channels} channels.")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(known)}.")
        if self.dtype == "uint8" and (self.bounds != (0, 255) or set(self.mean) != {0} or set(self.std) != {1}):
            raise ValueError(f"{self}: uint8 pictures need bounds=(0, 255), and neither mean nor std.")
        if not max(self.mean) <= high:
            raise ValueError(f"{self}: mean lies above bounds, the raw pixel range; are they (0, 255)?")
        _ = self.sensor

    @property
    def sensor(self) -> Sensor | None:
        """What the steps do to pictures of this shape; None without steps. Raises ValueError where they do not fit."""
        return Sensor(self.steps, self.input_shape[1:]) if self.steps else None


class Normaliser:
    """Puts pictures in [0, 1] on the device, through the steps and into the network's range; differentiable."""

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self.bounds, self.device, self.sensor = preprocessing.bounds, device, preprocessing.sensor
        given = (torch.tensor(v, dtype=torch.float64) for v in (preprocessing.mean, preprocessing.std))
        self.normal: Float[Tensor, "2 1 channel 1 1"]
        self.normal = torch.stack(torch.broadcast_tensors(*given))[:, None, :, None, None].to(device)

    def __call__(self, pictures: Float[Tensor, "picture channel row column"]) -> Tensor:
        """Raw pictures -> the network's input: float (picture, channel, row, column), normalised."""
        low, high = self.bounds
        x = pictures.to(self.device, non_blocking=True)
        x = x if self.sensor is None else self.sensor(x)
        mean, std = self.normal.to(x.dtype)
        x = x if (low, high) == (0, 1) else low + (high - low) * x
        return (x - mean) / std
