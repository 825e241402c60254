"""From raw pixels to a network's input."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From raw pixels to the network's input: x -> (low + (high - low) x - mean) / std for a picture x in [0, 1]."""

    input_shape: tuple[int, int, int] = (3, 224, 224)  # (channel, row, column)
    bounds: tuple[float, float] = (0.0, 1.0)  # the network's raw pixel range
    mean: tuple[float, ...] = (0.0,)  # one for all channels, or one each; in the units of `bounds`
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        (low, high), channels = self.bounds, self.input_shape[0]
        if low >= high or min(self.std) <= 0 or min(self.input_shape) < 1:
            raise ValueError(f"{self}: bounds must rise, std and input_shape must be positive.")
        if not {len(self.mean), len(self.std)} <= {1, channels}:
            raise ValueError(f"{self}: mean and std must have 1 value or one for each of {channels} channels.")
        if not max(self.mean) <= high:
            raise ValueError(f"{self}: mean lies above bounds, the raw pixel range; are they (0, 255)?")


def mean_and_std(pre: Preprocessing) -> Float[Tensor, "2 1 channel 1 1"]:
    both = torch.broadcast_tensors(*(torch.tensor(v, dtype=torch.float64) for v in (pre.mean, pre.std)))
    return torch.stack(both)[:, None, :, None, None]
