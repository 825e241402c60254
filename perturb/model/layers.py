"""The layers of a network: which modules give a feature map, how they are named, and their strides."""

import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from perturb.errors import PerturbWarning, UsageError
from perturb.hooks import hooked
from perturb.model.maps import as_map, extra_tokens, lie

WINDOWS = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
)  # channels first, whatever the proportions


class Layers:
    """What one run of a network, inside `watching`, shows of its modules."""

    def __init__(self, module: nn.Module, name: str, input_shape: tuple[int, int, int]) -> None:
        self.name, self.input_shape = name, input_shape
        self.largest = 1  # activation of a picture
        self._modules = dict(module.named_modules())
        self._lying = 0  # above 0 where more maps have their channels last than first
        self._maps: dict[str, tuple[int, int]] = {}  # rows and columns, in the order in which they run
        self._grid = (0, 0)  # rows and columns of the latest map of four dimensions
        self._extra: dict[str, int] = {}  # tokens ahead of a grid's
        self._stretched: dict[str, tuple[int, int]] = {}  # of other proportions than the picture's

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While open, each module that runs is noted."""
        with hooked(self._modules[""], filter(None, self._modules), self._note):
            yield

    def _note(self, name: str) -> Callable[[nn.Module, object, object], None]:
        ratio = self.input_shape[1] / self.input_shape[2]

        def hook(module: nn.Module, args: object, output: object) -> None:
            extra = extra_tokens(output, self._grid)
            found = as_map(output, ratio, extra=extra)
            if extra is not None:
                self._extra[name] = extra
            if isinstance(output, Tensor):
                self.largest = max(self.largest, output.numel())
                if output.ndim == 4:
                    first, last = lie(output, ratio)
                    self._lying += last - first
                    size = output.shape[2], output.shape[3]
                    if isinstance(module, WINDOWS) or size in self._stretched.values():
                        self._stretched[name] = size
            if found is not None and found.shape[-2] * found.shape[-1] > 1:
                self._maps[name] = found.shape[-2], found.shape[-1]
                if isinstance(output, Tensor) and output.ndim == 4:
                    self._grid = self._maps[name]

        return hook

    @property
    def maps(self) -> dict[str, tuple[int, int]]:
        """Rows and columns by layer: maps of the picture's proportions, or where there is none those of any."""
        return self._maps or {name: size for name, size in self._stretched.items() if math.prod(size) > 1}

    def map_of(self, name: str, output: object, ratio: float) -> Tensor | None:
        """(n, channel, row, column) from what a layer gives; None where it is no map."""
        if not self._maps and isinstance(output, Tensor) and output.ndim == 4:
            return output
        return as_map(output, ratio, self._lying > 0, self._extra.get(name))

    def stride_of(self, layer: str) -> int:
        """Input pixels per position, from the ratio of sizes; of rows and columns that differ the common multiple."""
        if layer not in self.maps:
            raise UsageError(f"{self.name}: `{layer}` is not a spatial layer.")
        steps = [_stride(n, positions) for n, positions in zip(self.input_shape[1:], self.maps[layer], strict=True)]
        return steps[0] if self._maps else math.lcm(*steps)

    def find(self, wanted: str) -> str:
        """The name of the layer that "output", "last", "stride:N" or a name means."""
        if wanted == "output" or wanted in self._modules:
            return wanted
        strides = {name: self.stride_of(name) for name in self.maps}
        if not strides:
            raise UsageError(f"{self.name} has no module with a feature map; ask `output`.")
        if wanted == "last":
            target = max(strides.values())
        elif match := re.fullmatch(r"stride:([1-9]\d{0,8})", wanted):
            target = min(set(strides.values()), key=lambda s: (abs(math.log2(s / int(match[1]))), s))
            if target != int(match[1]):
                note = f"{self.name} has no feature map at {wanted}; taken at stride {target}."
                warnings.warn(note, PerturbWarning, stacklevel=3)
        else:
            known = f"It has feature maps at strides {sorted(set(strides.values()))}."
            raise UsageError(f"{self.name} has no layer `{wanted}`; expected 'last', 'stride:N' or a name. {known}")
        names = [name for name, stride in strides.items() if stride == target]
        # A whole stage rather than the first step of the next block: the shallowest module, then the last one run.
        depth = min(name.count(".") for name in names)
        return [name for name in names if name.count(".") == depth][-1]


def _stride(size: int, positions: int) -> int:
    ratio = size / positions
    return int(ratio) if ratio.is_integer() else 2 ** round(math.log2(ratio))  # unpadded windows lose some rows
