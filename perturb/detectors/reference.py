"""Change detection against a golden picture, as in inspection: no training, no labels."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, inf

from perturb.errors import InputError
from perturb.protocols import Taps


class Golden(NamedTuple):
    """What clean shots of each image say: the mean feature map, and each channel's spread about it."""

    mean: Float[Tensor, "image 1 channel h w"]
    spread: Float[Tensor, "image 1 channel 1 1"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Evidence = the largest, over positions of a feature map, mean squared standardised difference from the golden.

    A golden part is photographed `shots` times under sensor noise (sigma `noise`, a fraction of the pixel range): the
    mean map is the golden one, and each channel is standardised by its spread over shots and positions of that image.
    Each shot, held against the others, gives the evidence of a clean picture: with 20 of them the largest is exceeded
    by a further clean re-take once in 21. Channels that noise does not move are left out.
    """

    noise: float = 0.02
    layer: str = "last"
    shots: int = 20

    own_threshold = True
    needs_examples = False

    def __post_init__(self) -> None:
        if not 0 < self.noise < 1:
            raise ValueError(f"`noise` (={self.noise}) must be within 0 and 1: without noise every change is seen.")
        if self.shots < 2:
            raise ValueError(f"`shots` (={self.shots}) must be at least 2: one has no spread.")

    def fit(self, model: Taps, clean: Tensor, perturbed: Tensor) -> "Reference":
        return self

    def study(self, model: Taps, shots: Tensor) -> tuple[Golden, Float[Tensor, "image shot"]]:
        n = shots.shape[1]
        maps = self._maps(model, shots)
        mean = maps.mean(1, keepdim=True)
        away = maps - mean
        variance = away.square().sum((1, 3, 4), keepdim=True) / ((n - 1) * maps.shape[3] * maps.shape[4])
        spread = variance.sqrt()
        largest = spread.amax(2, keepdim=True)
        if not largest.all():
            raise InputError(f"{model.name}: sensor noise moves no channel of `{self.layer}`.")
        golden = Golden(mean, spread.masked_fill(spread <= 1e-6 * largest, inf))
        return golden, _largest(away * (n / (n - 1)), golden)  # n / (n - 1): the shot itself leaves the mean

    def evidence(self, model: Taps, known: Golden, retakes: Tensor) -> Float[Tensor, "image picture"]:
        return _largest(self._maps(model, retakes) - known.mean, known)

    def _maps(self, model: Taps, pictures: Tensor) -> Float[Tensor, "image picture channel h w"]:
        maps = model.measure(pictures.flatten(0, 1), self.layer)
        if maps.ndim != 4:
            raise InputError(
                f"{model.name}: `{self.layer}` gives no feature map, but {tuple(maps.shape[1:])} a picture."
            )
        return maps.unflatten(0, pictures.shape[:2])


def _largest(difference: Float[Tensor, "image picture channel h w"], golden: Golden) -> Float[Tensor, "image picture"]:
    return (difference / golden.spread).square().mean(2).amax((2, 3))
