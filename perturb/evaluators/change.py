"""Change detection against clean shots of the same picture, as in inspection: no training, no labels."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, inf

from perturb.errors import InputError
from perturb.evaluators.reading import Reading
from perturb.protocols import Asked

Maps = Float[Tensor, "picture channel h w"]


class Golden(NamedTuple):
    """What clean shots of one image say: the mean feature map, and each channel's spread about it."""

    mean: Float[Tensor, "1 channel h w"]
    spread: Float[Tensor, "1 channel 1 1"]


@dataclass(frozen=True, kw_only=True)
class ChangeDetector(Reading):
    """Evidence = the largest, over positions of a feature map, mean squared standardised difference from the clean map.

    An image is shot `shots` times under sensor noise (sigma `noise`, a fraction of the pixel range). The mean map is
    the golden one, and each channel is standardised by its spread over shots and positions of that image. Each shot,
    held against the others, gives the evidence of a clean picture: with 20 shots a further clean shot exceeds the
    largest once in 21. Channels that noise does not move are left out.
    """

    words: ClassVar[str] = "has the picture changed, compared with clean shots of itself? No labels, no training"
    scale: ClassVar[str] = "variances of the sensor noise: the mean over channels, where it is largest"
    threshold: ClassVar[Literal["image"]] = "image"  # type: ignore[misc]

    noise: float = 0.02
    layer: str = "last"
    shots: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.noise < 1:
            raise ValueError(f"`noise` (={self.noise}) must be within 0 and 1: without noise every change is seen.")
        if self.shots < 2:
            raise ValueError(f"`shots` (={self.shots}) must be at least 2: one has no spread.")

    def study(self, outputs: Maps) -> tuple[Golden, Float[Tensor, " shot"]]:
        maps = _maps(outputs, self.layer)
        n = len(maps)
        mean = maps.mean(0, keepdim=True)
        away = maps - mean
        variance = away.square().sum((0, 2, 3), keepdim=True) / ((n - 1) * maps.shape[2] * maps.shape[3])
        spread = variance.sqrt()
        largest = spread.amax()
        if not largest:
            raise InputError(f"sensor noise moves no channel of `{self.layer}`.")
        golden = Golden(mean, spread.masked_fill(spread <= 1e-6 * largest, inf))
        return golden, _largest(away * (n / (n - 1)), golden)  # n / (n - 1): the shot itself leaves the mean

    def evidence(self, outputs: Maps, asked: Asked, known: Golden) -> Float[Tensor, " picture"]:
        return _largest(_maps(outputs, self.layer) - known.mean, known)


def _maps(outputs: Tensor, layer: str) -> Maps:
    if outputs.ndim != 4:
        raise InputError(f"`{layer}` gives no feature map, but {tuple(outputs.shape[1:])} a picture.")
    return outputs


def _largest(difference: Maps, golden: Golden) -> Float[Tensor, " picture"]:
    return (difference / golden.spread).square().mean(1).amax((1, 2))
