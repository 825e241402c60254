"""Strided windows as they run: their weights at the stride's alias frequencies, and the pixels that they leave out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from perturb.contribution.architecture import names
from perturb.contribution.gates import name_of
from perturb.contribution.rules import WINDOWS
from perturb.operations import Pair, Stencil, read, windows
from perturb.protocols import Differentiable
from perturb.sensor import network_shape

Weight = Float[np.ndarray, "out channel row column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """A strided window as it ran."""

    layer: str  # the qualified name of the module that was running
    stencil: Stencil
    weight: Weight | None  # None: a pool, whose positions count alike
    left: Pair  # rows and columns of its padded input, modulo the stride, that the last window does not reach

    @property
    def alias(self) -> float:
        """`alias_ratio` of its weights; of a pool, of a uniform window."""
        weight = np.ones((1, 1, *self.stencil.kernel)) if self.weight is None else self.weight
        return alias_ratio(weight, self.stencil.stride, self.stencil.dilation)


def alias_ratio(weight: Weight, stride: Pair, dilation: Pair = (1, 1)) -> float:
    """The largest response at a stride's alias frequencies over that at zero frequency, both RMS over channels.

    The alias frequencies are 2 pi (l / s_row, m / s_column), (l, m) not (0, 0). There a filter responds as the discrete
    Fourier transform of the sums of its polyphase components. 0: these sums are equal, and a constant gradient makes no
    checkerboard (Sugawara, Kinoshita and Kiya 2018, steady-state condition). Infinity where the filter stops constants.
    Above 1 the lattice is stronger than the constant.
    """
    sums = np.zeros((*weight.shape[:2], *stride))
    for row, column in np.ndindex(*weight.shape[2:]):
        sums[..., row * dilation[0] % stride[0], column * dilation[1] % stride[1]] += weight[..., row, column]
    response = np.sqrt((np.abs(np.fft.fft2(sums)) ** 2).mean((0, 1))).ravel()
    if len(response) == 1:
        return 0.0
    return float(response[1:].max() / response[0]) if response[0] else float("inf")


def samplings(model: Differentiable, layer: str, shape: tuple[int, int] | None = None) -> list[Sampling]:
    """Every strided window on the way to `layer`, on a picture of this shape (default: the network's own)."""
    channels, *own = network_shape(model)
    x = torch.zeros(1, channels, *(shape or own), device=model.device)
    with torch.inference_mode(), names(model.module) as current, _Sampled(current) as recorder:
        model.propagate(x, layer)
    return recorder.found


def even_shape(model: Differentiable, layer: str, most: int) -> tuple[int, int] | None:
    """The next larger shape of a picture, by less than `most` pixels, at which no strided window leaves a rest.

    None where there is none, or the network takes no other shape.
    """
    rows, columns = network_shape(model)[1:]
    mended: list[int | None] = [None, None]
    for more in range(most):
        try:
            found = samplings(model, layer, (rows + more, columns + more))
        except Exception:  # the user's own code may take no other size
            return None
        for axis in (0, 1):
            if mended[axis] is None and not any(each.left[axis] for each in found):
                mended[axis] = more
        if mended[0] is not None and mended[1] is not None:
            return rows + mended[0], columns + mended[1]
    return None


class _Sampled(TorchFunctionMode):
    """While active, notes the strided windows that run."""

    def __init__(self, current_layer: Callable[[], str]) -> None:
        super().__init__()
        self._layer = current_layer
        self.found: list[Sampling] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = name_of(func)
        op = read(name, args, kwargs or {}) if name in windows.READERS else None
        if isinstance(op, WINDOWS) and max(op.stencil.stride) > 1:
            weight: Tensor | None = getattr(op, "weight", None)
            self.found.append(
                Sampling(
                    layer=self._layer(),
                    stencil=op.stencil,
                    weight=None if weight is None else weight.detach().double().cpu().numpy(),
                    left=_left(op.x.shape[2:], op.stencil),
                )
            )
        return func(*args, **kwargs or {})


def _left(size: Sequence[int], stencil: Stencil) -> Pair:
    """(H + padding - extent of the kernel) mod s, of rows and of columns."""
    rows, columns = (
        (size[a] + stencil.before[a] + stencil.behind[a] - stencil.dilation[a] * (stencil.kernel[a] - 1) - 1)
        % stencil.stride[a]
        for a in (0, 1)
    )
    return rows, columns
