"""Fixed linear paths: what a network computes of one map without weights adds up before it is squared.

A picture minus its blur, for one, has the coefficient 1 - 1/9 at the centre, whose square is not 1 + 1/81. `Path` says
of which map a tensor is a fixed linear function, and how; `squared` is that function with its coefficients squared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from perturb import operations

Amplitude = Callable[[Tensor], Tensor]
Channels = Literal["alike", "apart", "mixed"]
AT_ONCE = 1 << 19  # numbers of a batch of impulses
MOST = 1 << 29  # numbers; a function that takes more is taken as its paths apart
SAME = frozenset("clone contiguous to type type_as float double cpu cuda positive dropout dropout_".split())
MINUS = frozenset(["neg", "__neg__"])
MIXING = (
    operations.AveragePool,
    operations.AdaptivePool,
    operations.Reduction,
    operations.Resizing,
    operations.Convolution,
    operations.TransposedConvolution,
    operations.Linear,
    operations.Matmul,
    operations.Einsum,
)
ALIKE = (
    operations.AveragePool,
    operations.AdaptivePool,
    operations.Resizing,
    operations.Sum,
    operations.Product,
    operations.Division,
)
COPYING = frozenset(
    "expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile stack cat concat".split()
)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A tensor as a fixed linear function of `base`, whose values are still those that it was computed of.

    Of `channels` each is the same function of the base's channel, or a function of that channel alone, or of several.
    """

    base: Tensor
    version: int  # of the base
    apply: Amplitude  # values of the base, a batch of them, -> those of the tensor
    channels: Channels = "alike"
    once: bool = True  # no number of the base enters the tensor twice, nor two of them one number

    def few(self) -> bool:
        """Whether `squared` computes no more numbers than MOST."""
        size = self.apply(torch.zeros_like(self.base, requires_grad=True)).numel()
        impulses = (self.base if self.channels == "mixed" else self.base[0, 0]).numel()
        return impulses * max(size, impulses) <= MOST  # each impulse is a map of the base's size


def path_of(x: Tensor) -> Path:
    """What is known of the tensor; itself where nothing is, or where it or its base was written into since."""
    told = getattr(x, "_fixed_path", None)
    if told is not None:
        path, version = told
        if version == x._version and path.version == path.base._version:
            return path
    return Path(x, x._version, lambda values: values)


def keep(x: Tensor, path: Path) -> None:
    """Note the path of a tensor."""
    x._fixed_path = path, x._version  # type: ignore[attr-defined]


def joined(sources: Sequence[Tensor], apply: Callable[[list[Tensor]], Tensor], kind: Any) -> Path | None:
    """The path of what `apply` makes of the sources; None where they are not functions of one map of four dimensions.

    `kind` is the operation's record, or the name of one that rearranges.
    """
    paths = [path_of(source) for source in sources]
    first = paths[0]
    if any(path.base is not first.base for path in paths) or first.base.ndim != 4 or len(first.base) != 1:
        return None
    return Path(
        first.base,
        first.version,
        lambda values: apply([path.apply(values) for path in paths]),
        channels=max(_channels(kind), *(path.channels for path in paths), key=get_args(Channels).index),
        once=len(paths) == 1 and first.once and not mixes(kind) and kind not in COPYING,
    )


def mixes(kind: Any) -> bool:
    """Whether an operation adds several numbers of its input."""
    return isinstance(kind, MIXING)


def adds_first(sources: Sequence[Tensor], kind: Any) -> bool:
    """Whether paths from one number meet in this operation, so that its own coefficients' squares do not tell."""
    paths = [path_of(source) for source in sources]
    if isinstance(kind, operations.Sum):
        return len(paths) > 1 and all(path.base is paths[0].base for path in paths)
    return mixes(kind) and not paths[0].once


def _channels(kind: Any) -> Channels:
    """What an operation does to channels."""
    if isinstance(kind, operations.Convolution):
        return "apart" if kind.groups == kind.x.shape[1] == kind.weight.shape[0] else "mixed"
    alike = isinstance(kind, ALIKE) or kind in SAME or kind in MINUS
    if isinstance(kind, operations.Reduction):
        alike = kind.x.ndim == 4 and set(kind.dims) <= {2, 3}
    if isinstance(kind, operations.Padding):
        alike = kind.x.ndim == 4 and not any(kind.widths[4:])
    if isinstance(kind, operations.Indexing):
        alike = kind.plain and kind.x.ndim == 4 and all(part == slice(None) for part in kind.parts[:2])
    return "alike" if alike else "mixed"


def squared(path: Path) -> Tensor:
    """The base through the squares of the path's coefficients."""
    found: Tensor = _Squared.apply(path.base, path)
    return found


class _Squared(torch.autograd.Function):
    """Column by column: what an impulse at each position gives, squared. Nothing is kept, so backward does it again."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, path: Path) -> Tensor:
        ctx.path, ctx.shape = path, base.shape
        weights = _by_column(base, path)
        total: Tensor | float = 0.0
        for at, columns in _columns(path, base.shape, base.device):
            many = columns.expand(-1, len(weights), *columns.shape[2:])
            total = total + torch.einsum("kn,nk...->k...", weights[:, at], many)
        assert isinstance(total, Tensor)
        return total if path.channels == "mixed" else total[None]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        path, (gradient,) = ctx.path, grads
        found = gradient.new_zeros(_by_column(gradient.new_empty(ctx.shape), path).shape)
        grouped = gradient.reshape(len(found), -1)
        for at, columns in _columns(path, ctx.shape, gradient.device):
            found[:, at] = torch.einsum("nkm,km->kn", columns.flatten(2).expand(-1, len(found), -1), grouped)
        return found.reshape(ctx.shape), None


def _by_column(base: Tensor, path: Path) -> Tensor:
    """(group, position): channels in groups of one, or all channels' positions together."""
    return base.reshape(1, -1) if path.channels == "mixed" else base.flatten(2)[0]


def _columns(path: Path, shape: torch.Size, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """(position, group, ...): squares of what impulses give, some positions at once.

    One group where all channels are alike or are mixed; channels that stay apart get their impulses together.
    """
    mixed, groups = path.channels == "mixed", shape[1] if path.channels == "apart" else 1
    count = shape.numel() if mixed else shape[2:].numel()
    step = max(1, AT_ONCE // (groups * count))
    for start in range(0, count, step):
        at = torch.arange(start, min(start + step, count), device=device)
        flat = torch.zeros(len(at), groups, count, dtype=torch.float64, device=device)
        flat[torch.arange(len(at)), :, at] = 1
        with torch.enable_grad():  # rules follow what needs a gradient
            given = flat.reshape(len(at), shape[1] if mixed else groups, *shape[2:]).requires_grad_()
            columns = path.apply(given).detach().square()
        yield slice(start, start + len(at)), columns.unsqueeze(1) if mixed else columns
