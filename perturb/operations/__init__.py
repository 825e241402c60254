"""What a torch operation is: its arguments, read once for the structural map, the receptive field and the differences.

`read` turns a call, by its name in torch, torch.nn.functional or aten, into one of the records.
"""

from collections.abc import Sequence
from typing import Any

from perturb.operations import arithmetic, norms, resizing, shapes, windows
from perturb.operations.binding import bind
from perturb.operations.records import (
    AdaptivePool,
    Attention,
    AveragePool,
    BatchNorm,
    Choice,
    Concatenation,
    Convolution,
    Division,
    Einsum,
    Extremum,
    GroupNorm,
    Indexing,
    IndexSelect,
    LayerNorm,
    Linear,
    Matmul,
    MaxPool,
    MultiHeadAttention,
    Operation,
    Padding,
    Pair,
    Permutation,
    Product,
    Reduction,
    Reshape,
    Resizing,
    Roll,
    Softmax,
    Statistic,
    Stencil,
    Sum,
    SumWithProduct,
    TransposedConvolution,
    Unfolding,
    certificate,
    coverage,
    pair,
)

__all__ = [
    "AdaptivePool",
    "Attention",
    "AveragePool",
    "BatchNorm",
    "Choice",
    "Concatenation",
    "Convolution",
    "Division",
    "Einsum",
    "Extremum",
    "GroupNorm",
    "IndexSelect",
    "Indexing",
    "LayerNorm",
    "Linear",
    "Matmul",
    "MaxPool",
    "MultiHeadAttention",
    "Operation",
    "Padding",
    "Pair",
    "Permutation",
    "Product",
    "Reduction",
    "Reshape",
    "Resizing",
    "Roll",
    "Softmax",
    "Statistic",
    "Stencil",
    "Sum",
    "SumWithProduct",
    "TransposedConvolution",
    "Unfolding",
    "certificate",
    "coverage",
    "pair",
    "read",
    "resizing",
]

_READERS = windows.READERS | shapes.READERS | arithmetic.READERS | norms.READERS


def read(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Operation | None:
    """What the operation `name` does with these arguments; None where it, or one of them, is not known.

    An in-place operation, whose name ends in `_`, reads as the one without.
    """
    plain = name if name.startswith("__") else name.removesuffix("_")
    if plain not in _READERS:
        return None
    signature, reader = _READERS[plain]
    given = bind(signature, args, kwargs)
    return None if given is None else reader(given)
