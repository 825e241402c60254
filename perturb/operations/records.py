"""What one call of a torch operation does. `x` is its main input: a tensor, or what a trace has in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from perturb.records import Window

Pair = tuple[int, int]  # rows, columns


def pair(value: int | Sequence[int]) -> Pair:
    """Rows and columns of what torch takes as one number, one number in a list, or two."""
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])


class Operation:
    """A call whose arguments were read. Dimensions are counted from the first, and lists are complete."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stencil:
    """A sliding window: output j reads the inputs stride * j - before + dilation * tap, for tap < kernel."""

    kernel: Pair
    stride: Pair
    before: Pair  # padding above and to the left
    behind: Pair
    dilation: Pair


@dataclass(frozen=True, slots=True, eq=False)
class Convolution(Operation):
    x: Any
    weight: Tensor
    stencil: Stencil
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class TransposedConvolution(Operation):
    """Input i writes to the outputs stride * i - before + dilation * tap; `extra` positions are added behind."""

    x: Any
    weight: Tensor
    stencil: Stencil
    extra: Pair
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool(Operation):
    x: Any
    stencil: Stencil
    ceil: bool


@dataclass(frozen=True, slots=True, eq=False)
class AveragePool(Operation):
    """`divisor` None: the number of positions, of padding too where `counts_padding`."""

    x: Any
    stencil: Stencil
    ceil: bool
    counts_padding: bool
    divisor: int | None


@dataclass(frozen=True, slots=True, eq=False)
class AdaptivePool(Operation):
    x: Any
    size: Pair
    kind: Literal["mean", "amax"]


@dataclass(frozen=True, slots=True, eq=False)
class Padding(Operation):
    """`widths` is torch's: before and behind the last dimension, then the one before it. Negative ones cut."""

    x: Any
    widths: tuple[int, ...]
    mode: str

    def along(self, dim: int) -> Pair:
        """Before and behind dimension `dim`, which is counted from the last: -1, -2."""
        at = -2 * (dim + 1)
        before, behind = self.widths[at : at + 2] or (0, 0)
        return before, behind


@dataclass(frozen=True, slots=True, eq=False)
class Resizing(Operation):
    """`scale` (rows, columns) where the given factor sets the distance of what is read; None: the ratio of sizes."""

    x: Any
    size: Pair
    mode: str
    corners: bool | None = None  # torch's align_corners
    antialias: bool = False
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Linear(Operation):
    x: Any
    weight: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Matmul(Operation):
    sides: tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Einsum(Operation):
    equation: str
    operands: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Attention(Operation):
    """softmax(scale q k^T + mask) v; `special`: also causal, with dropout, or with grouped queries."""

    query: Any
    key: Any
    value: Any
    mask: Any
    scale: float
    special: bool


@dataclass(frozen=True, slots=True, eq=False)
class MultiHeadAttention(Operation):
    """With its projections, of (token, batch, channel)."""

    query: Any
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Operation):
    x: Any
    dim: int


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Operation):
    """The terms, each times its factor."""

    terms: tuple[Any, Any]
    factors: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Product(Operation):
    factors: tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class SumWithProduct(Operation):
    """`x` and `scale` times the product of both factors."""

    x: Any
    factors: tuple[Any, Any]
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Division(Operation):
    x: Any
    divisor: Any


@dataclass(frozen=True, slots=True, eq=False)
class Extremum(Operation):
    """The larger or the smaller of two, element by element."""

    terms: tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reduction(Operation):
    x: Any
    dims: tuple[int, ...]
    keep: bool
    kind: Literal["mean", "sum", "amax"]


@dataclass(frozen=True, slots=True, eq=False)
class Statistic(Operation):
    """A number that depends on all of several: a deviation, a norm. `pair`: two of them, of the same numbers."""

    x: Any
    dims: tuple[int, ...]
    keep: bool
    pair: bool


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Operation):
    """One of two, element by element, as a mask says."""

    mask: Any
    terms: tuple[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Roll(Operation):
    """Rows or columns, or others, moved on; what leaves at one end comes in at the other."""

    x: Any
    shifts: tuple[int, ...]
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Unfolding(Operation):
    """Every `step`-th window of `size` along a dimension; within a window the positions are the last dimension."""

    x: Any
    dim: int
    size: int
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Operation):
    x: Any
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Permutation(Operation):
    x: Any
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Indexing(Operation):
    """x[parts]; `plain`: one part for each dimension, slice(None) where all is taken, no None and no mask."""

    x: Any
    parts: tuple[Any, ...]
    plain: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class IndexSelect(Operation):
    x: Any
    dim: int
    index: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Concatenation(Operation):
    parts: tuple[Any, ...]
    dim: int


@dataclass(frozen=True, slots=True, eq=False)
class BatchNorm(Operation):
    """`mean` and `variance` are the running ones; None: the batch's own."""

    x: Any
    weight: Tensor | None
    mean: Tensor | None
    variance: Tensor | None
    epsilon: float


@dataclass(frozen=True, slots=True, eq=False)
class GroupNorm(Operation):
    x: Any
    groups: int
    weight: Tensor | None
    epsilon: float


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm(Operation):
    """Over as many of the last dimensions as `over` says."""

    x: Any
    over: int
    weight: Tensor | None
    epsilon: float


def coverage(kernel: int, stride: int, padding: int, dilation: int) -> tuple[int, ...]:
    """How many taps of a window fall on each residue of the stride: c(r) = #{i < k : i d - p = r (mod s)}."""
    counts = [0] * stride
    for i in range(kernel):
        counts[(i * dilation - padding) % stride] += 1
    return tuple(counts)


def certificate(name: str, kind: str, stencil: Stencil) -> Window:
    """The record of a sliding window: how often its taps fall on each residue of rows and of columns."""
    kernel, stride, dilation = stencil.kernel, stencil.stride, stencil.dilation
    rows, columns = (coverage(kernel[a], stride[a], stencil.before[a], dilation[a]) for a in (0, 1))
    return Window(
        name=name,
        kind=kind,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        coverage=(rows, columns),
        balanced=len(set(rows)) == 1 and len(set(columns)) == 1,
    )
