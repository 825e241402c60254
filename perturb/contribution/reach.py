"""The theoretical receptive field: which rows and columns of the picture a layer's position can see.

The network runs once on four pictures whose values are their own rows, minus their rows, their columns and minus their
columns, and each operation gives the largest of what it reads: the last row and column that a position depends on, and
minus the first. Beyond the border coordinates go on as inside, so that padding cuts nothing off.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perturb import operations
from perturb.contribution.gates import GATES, Levelled, gates_in, swapped, tensors_in
from perturb.contribution.linearised import IDENTITY, SHAPES, STRUCTURE, in_place
from perturb.errors import InputError, PerturbError, UnsupportedOperationError, first_line
from perturb.protocols import Differentiable
from perturb.records import ReceptiveField
from perturb.sensor import network_shape


def receptive_field(model: Differentiable, layer: str) -> ReceptiveField:
    """Size, stride and offset of the field of `layer`'s central position, in pixels, for any graph of branches.

    Of branches the hull. Gates (squeeze-and-excitation, attention scores) do not count: they scale, they do not see.
    Masks of comparisons do not count either, because their derivative is zero: the field is where a gradient can reach.
    So `torch.where` sees what both of its terms see.
    Size None: every position sees the whole picture. Raises UnsupportedOperationError naming an operation without a
    rule, and InputError where the layer sees nothing but by masks and gates.
    """
    seen = _followed(model, layer, RULES)
    if not (seen > -math.inf).all() or (seen == seen[:, :1, :1]).all():
        return ReceptiveField(layer=layer, positions=_grid(seen), size=None, stride=None, offset=None)
    field = _read(layer, seen)
    whole = _is_whole(seen, field, network_shape(model)[1:])
    return replace(field, size=None, stride=None, offset=None) if whole else field


def strides(model: Differentiable, layer: str) -> tuple[int, int] | None:
    """Pixels between neighbouring positions of `layer`, along rows and along columns; None where the graph cannot tell.

    What lets positions see one another (attention, a mean of the whole map) leaves each of them where it lies.
    """
    try:
        seen = _followed(model, layer, IN_PLACE)
    except Exception:  # an operation without a rule; the user's own code runs on other values
        return None
    if min(_grid(seen)) < 2 or not seen.isfinite().all():
        return None
    rows, columns = seen[0].diff(dim=0), seen[2].diff(dim=1)
    even = all(bool((steps == steps[0, 0]).all()) and float(steps[0, 0]).is_integer() for steps in (rows, columns))
    found = int(rows[0, 0]), int(columns[0, 0])
    return found if even and min(found) >= 1 else None


def _followed(model: Differentiable, layer: str, rules: "Rules") -> Tensor:
    """What each position sees by these rules: last row, minus first row, last column, minus first column."""
    channels, rows, columns = network_shape(model)
    row = torch.arange(float(rows))[:, None].expand(rows, columns)
    column = torch.arange(float(columns)).expand(rows, columns)
    x = torch.stack([row, -row, column, -column])[:, None].repeat(1, channels, 1, 1)
    device = next((p.device for p in model.module.parameters()), torch.device("cpu"))
    try:
        with torch.enable_grad(), Reach(rules) as recorder:
            found = model.propagate(x.to(device).requires_grad_(), layer)
    except PerturbError:
        raise
    except Exception as error:  # the user's own code runs on other values
        raise UnsupportedOperationError(
            f"the receptive field of `{layer}` cannot be followed: {first_line(error)}"
        ) from error
    if not found.requires_grad:
        raise InputError(f"{model.name}: `{layer}` does not depend on the picture, or only through masks and gates.")
    found = found.detach()
    if found.isnan().any():
        raise UnsupportedOperationError(f"the receptive field of `{layer}` has no rule for {recorder.unknown}.")
    return found.amax(1) if found.ndim == 4 else found.amax(-1)[:, None, None]


def _is_whole(seen: Tensor, field: ReceptiveField, size: tuple[int, int]) -> bool:
    """Whether every position sees all of the picture, and they do not lie in strides over it.

    So it is behind attention within each phase of a map: neighbours see alike, and never as their distance says.
    """
    last, first = seen[0::2], -seen[1::2]
    assert field.stride is not None
    return all(
        float(first[axis].amax()) <= 0
        and float(last[axis].amin()) >= n - 1
        and 2 * abs(field.stride[axis]) * field.positions[axis] < n
        for axis, n in enumerate(size)
    )


def _grid(seen: Tensor) -> tuple[int, int]:
    return seen.shape[1], seen.shape[2]


def _read(layer: str, seen: Tensor) -> ReceptiveField:
    last, first = seen[0::2], -seen[1::2]
    rows, columns = _grid(seen)
    centre = (rows // 2, columns // 2)
    begin, end = first[:, *centre], last[:, *centre]
    span = float(first[0, -1, 0] - first[0, 0, 0]), float(first[1, 0, -1] - first[1, 0, 0])
    stride = (round(span[0] / (rows - 1)) if rows > 1 else 1, round(span[1] / (columns - 1)) if columns > 1 else 1)
    return ReceptiveField(
        layer=layer,
        positions=(rows, columns),
        size=(int(end[0] - begin[0]) + 1, int(end[1] - begin[1]) + 1),
        stride=stride,
        offset=(int(begin[0]) - stride[0] * centre[0], int(begin[1]) - stride[1] * centre[1]),
    )


class Reach(Levelled):
    """While active, torch functions that depend on the picture give the largest of what they operations.read."""

    def __init__(self, rules: "Rules") -> None:
        super().__init__()
        self.rules, self.unknown = rules, ""

    def act(self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = [value for value in tensors_in((args, kwargs)) if value.requires_grad]
        if name in AS_IT_IS:
            return func(*args, **kwargs)
        if name.strip("_") in MASKS:
            return torch.ones_like(func(*args, **kwargs))
        pointwise = name in IDENTITY or (name in GATES and name != "softmax")
        if pointwise or (name in POINTWISE and len(live) == 1):
            return live[0] if in_place(name) else _copy(live[0])  # somebody may write into it, and not into its source
        with torch.no_grad():
            operation, written = operations.read(name, args, kwargs), args
            if gates := gates_in(operation, live):
                args, kwargs = swapped(args, gates), swapped(kwargs, gates)
                operation = operations.read(name, args, kwargs)
            rule = self.rules.get(type(operation))
            result = rule and rule(operation)
            if result is None:
                result = self._not_known(name, lambda: func(*args, **kwargs))
            elif in_place(name):
                result = written[0].set_(result.clone())
        for part in tensors_in(result):
            part.requires_grad_(part.is_floating_point())
        return result

    def _not_known(self, name: str, call: Callable[[], Any]) -> Any:
        """The operation's own result, whose numbers say nothing."""
        self.unknown = self.unknown or f"`{name}`"
        try:
            result = call()
        except RuntimeError as error:  # it writes where several elements are one in memory
            raise UnsupportedOperationError(f"the receptive field has no rule for `{name}`.") from error
        if isinstance(result, Tensor) and not in_place(name):  # it may be a view
            result = torch.empty_like(result)
        for part in tensors_in(result):
            part.fill_(math.nan if part.is_floating_point() else 0)
        return result


def _extend(x: Tensor, dim: int, ahead: int, behind: int) -> Tensor:
    """Coordinates go on at either end as they begin and end; a negative length cuts."""
    n = x.shape[dim]
    step_in = x.narrow(dim, min(1, n - 1), 1) - x.narrow(dim, 0, 1)
    step_out = x.narrow(dim, n - 1, 1) - x.narrow(dim, max(0, n - 2), 1)
    along = [1] * x.ndim
    along[dim] = -1
    before = x.narrow(dim, 0, 1) - step_in * torch.arange(max(0, ahead), 0, -1, device=x.device).view(along)
    after = x.narrow(dim, n - 1, 1) + step_out * torch.arange(1, max(0, behind) + 1, device=x.device).view(along)
    inner = x.narrow(dim, max(0, -ahead), n - max(0, -ahead) - max(0, -behind))
    return torch.cat([before, inner, after], dim)


def _copy(x: Tensor) -> Tensor:
    with torch.no_grad():
        return _thin(x).clone().expand_as(x).requires_grad_()


def _thin(x: Tensor) -> Tensor:
    """One channel, where all are one in memory."""
    return x[:, :1] if x.ndim == 4 and x.stride(1) == 0 else x


def _windows(x: Tensor, stencil: operations.Stencil, ceil: bool = False) -> Tensor:
    channels, x = x.shape[1], _thin(x)
    for axis in (0, 1):
        reach = stencil.dilation[axis] * (stencil.kernel[axis] - 1)
        ahead, behind, stride = stencil.before[axis], stencil.behind[axis], stencil.stride[axis]
        spare = -(x.shape[2 + axis] + ahead + behind - reach - 1) % stride if ceil else 0
        x = _extend(x, 2 + axis, ahead, behind + spare)
    return F.max_pool2d(x, stencil.kernel, stencil.stride, 0, stencil.dilation).expand(-1, channels, -1, -1)


def _convolution(op: operations.Convolution) -> Tensor:
    count, groups = len(op.weight), op.groups
    seen = (_thin(op.x) if groups == 1 else op.x).unflatten(1, (groups, -1)).amax(2)
    out = _windows(seen, op.stencil)
    return out.expand(-1, count, -1, -1) if groups == 1 else out.repeat_interleave(count // groups, 1)


def _transposed_convolution(op: operations.TransposedConvolution) -> Tensor:
    """Output o reads the inputs i with o = s i + d t - p for a tap t."""
    x, stencil = op.x.unflatten(1, (op.groups, -1)).amax(2), op.stencil
    for axis in (0, 1):
        s, n, dilation, kernel = stencil.stride[axis], x.shape[2 + axis], stencil.dilation[axis], stencil.kernel[axis]
        reach, padding = dilation * (kernel - 1), stencil.before[axis]
        more = reach // s + 2
        wide = _extend(x, 2 + axis, more, more).transpose(2 + axis, 3).unsqueeze(-1)
        stuffed = torch.cat([wide, wide.new_full((*wide.shape[:-1], s - 1), -math.inf)], -1).flatten(3)
        begin, count = more * s + padding - reach, (n - 1) * s - 2 * padding + reach + op.extra[axis] + 1
        seen = stuffed[..., begin : begin + count + reach]
        x = F.max_pool2d(seen, (1, kernel), 1, 0, (1, dilation)).transpose(2 + axis, 3)
    return x.repeat_interleave(op.weight.shape[1], 1)


def _pool(op: operations.MaxPool | operations.AveragePool) -> Tensor:
    return _windows(op.x, op.stencil, op.ceil)


def _adaptive_pool(op: operations.AdaptivePool) -> Tensor:
    return F.adaptive_max_pool2d(op.x, op.size)


def _padding(op: operations.Padding) -> Tensor | None:
    """Rows and columns go on; a channel of padding sees nothing."""
    x, others = op.x, op.widths[4:]
    if x.ndim != 4:
        return None
    for dim in (-1, -2):
        x = _extend(x, 4 + dim, *op.along(dim))
    return F.pad(x, (0, 0, 0, 0, *others), value=-math.inf) if any(others) else x


def _linear(op: operations.Linear) -> Tensor:
    return op.x.amax(-1, keepdim=True).expand(*op.x.shape[:-1], op.weight.shape[0]).clone()


def _matmul(op: operations.Matmul) -> Tensor | None:
    """Either side's row or column: what is contracted is seen whole."""
    a, b = op.sides
    if min(a.ndim, b.ndim) < 2:
        return None
    shape = torch.matmul(a.detach(), b.detach()).shape
    seen = [side.amax(dim, keepdim=True) for side, dim in ((a, -1), (b, -2)) if side.requires_grad]
    return _largest(seen).expand(shape).clone()


def _einsum(op: operations.Einsum) -> Tensor | None:
    inputs, arrow, output = op.equation.replace(" ", "").partition("->")
    if "." in op.equation or not arrow:
        return None
    sizes: dict[str, int] = {}
    seen = []
    for names, operand in zip(inputs.split(","), op.operands, strict=True):
        sizes |= dict(zip(names, operand.shape, strict=True))
        if operand.requires_grad:
            kept = [name for name in output if name in names]
            contracted = [dim for dim, name in enumerate(names) if name not in output]
            inner = operand.amax(contracted) if contracted else operand
            order = [name for name in names if name in output]
            inner = inner.permute([order.index(name) for name in kept])
            seen.append(inner[tuple(slice(None) if name in names else None for name in output)])
    return _largest(seen).expand([sizes[name] for name in output]).clone()


def _largest(seen: list[Tensor]) -> Tensor:
    first, *others = seen
    for other in others:
        first = torch.maximum(first, other)
    return first


def _attention(op: operations.Attention) -> Tensor:
    return op.value.amax(-2, keepdim=True).expand(*op.query.shape[:-1], op.value.shape[-1]).clone()


def _multi_head_attention(op: operations.MultiHeadAttention) -> tuple[Tensor, None]:
    """Token, batch, channel as torch hands it over."""
    return op.value.amax((0, -1), keepdim=True).expand(*op.query.shape[:-1], op.value.shape[-1]).clone(), None


def _softmax(op: operations.Softmax) -> Tensor:
    """Over channels each position by itself; over positions each sees what all of them see."""
    whole = op.x.ndim != 4 or op.dim != 1
    return op.x.amax(op.dim, keepdim=True).expand_as(op.x).clone() if whole else op.x.clone()


def _hull(*terms: Any) -> Tensor:
    """What any of them sees; a number or a parameter sees nothing."""
    tensors = [term for term in terms if isinstance(term, Tensor)]
    live = [x for x in tensors if x.requires_grad]
    shape = torch.broadcast_shapes(*(x.shape for x in tensors))
    if len(live) == 1:
        return live[0].expand(shape).clone()
    return _largest([_thin(x) for x in live] if len({x.shape for x in live}) == 1 else live).expand(shape)


def _choice(op: operations.Choice) -> Tensor:
    """The mask has no derivative."""
    return _hull(*op.terms, op.mask)


def _reduction(op: operations.Reduction) -> Tensor:
    return op.x.amax(op.dims, op.keep)


def _statistic(op: operations.Statistic) -> Tensor | tuple[Tensor, Tensor]:
    seen = op.x.amax(op.dims, op.keep)
    return (seen, seen.clone()) if op.pair else seen


def _roll(op: operations.Roll) -> Tensor:
    """Rows and columns that come in at the other end go on as inside, as in padding."""
    x = op.x
    for shift, dim in zip(op.shifts, op.dims, strict=True):
        moves = x.ndim == 4 and dim > 1 and abs(shift) < x.shape[dim]
        x = _extend(x, dim, shift, -shift) if moves else x.roll(shift, dim)
    return x.clone()


def _resizing(op: operations.Resizing) -> Tensor:
    """Each output reads the inputs that have a weight in it; beyond the border too, unless corners are aligned."""
    channels, x = op.x.shape[1], _thin(op.x)
    for axis in (0, 1):
        size, out, step = x.shape[2 + axis], op.size[axis], operations.resizing.ratio(op, axis)
        ahead = 0 if op.corners or size == 1 else -(-8 // step.denominator) * step.denominator
        more = int(ahead * step)
        taps = operations.resizing.taps(op, axis, size + 2 * ahead, out + 2 * more)[more : more + out].to(x.device)
        x = _extend(x, 2 + axis, ahead, ahead).index_select(2 + axis, taps.flatten())
        x = x.unflatten(2 + axis, taps.shape).amax(3 + axis)
    return x.expand(-1, channels, -1, -1)


POINTWISE = frozenset(  # of one map; the structural map has no rule for them
    """
    square square_ pow pow_ __pow__ sqrt sqrt_ rsqrt exp exp_ expm1 log log1p log2 reciprocal sin cos erf sign round
    floor logsigmoid logit
    """.split()
)
MASKS = frozenset("gt ge lt le eq ne greater greater_equal less less_equal isnan isinf isfinite".split())
VIEWS = """
    view reshape unfold __getitem__ narrow index_select size dim numel stride __get__ is_contiguous is_floating_point
    is_complex
"""
AS_IT_IS = (STRUCTURE | SHAPES | frozenset(VIEWS.split())) - {"roll"}
Rules = dict[type[operations.Operation] | type[None], Callable[[Any], Any]]
RULES: Rules = {
    operations.Convolution: _convolution,
    operations.TransposedConvolution: _transposed_convolution,
    operations.MaxPool: _pool,
    operations.AveragePool: _pool,
    operations.AdaptivePool: _adaptive_pool,
    operations.Padding: _padding,
    operations.Linear: _linear,
    operations.Matmul: _matmul,
    operations.Einsum: _einsum,
    operations.Attention: _attention,
    operations.Softmax: _softmax,
    operations.MultiHeadAttention: _multi_head_attention,
    operations.Reduction: _reduction,
    operations.Statistic: _statistic,
    operations.Choice: _choice,
    operations.Roll: _roll,
    operations.Resizing: _resizing,
    operations.Sum: lambda op: _hull(*op.terms),
    operations.Product: lambda op: _hull(*op.factors),
    operations.SumWithProduct: lambda op: _hull(op.x, *op.factors),
    operations.Division: lambda op: _hull(op.x, op.divisor),
    operations.Extremum: lambda op: _hull(*op.terms),
}


def _still(rule: Callable[[Any], Any], *names: str) -> Callable[[Any], Any]:
    """A rule by which positions stay where these operands lie, of those that have the result's shape."""

    def still(operation: Any) -> Any:
        result = rule(operation)
        if not isinstance(result, Tensor):
            return result
        operands = [part for name in names for part in tensors_in(getattr(operation, name))]
        kept = [x for x in operands if x.requires_grad and x.shape == result.shape]
        return _largest(kept).clone() if kept else result

    return still


IN_PLACE: Rules = RULES | {  # what mixes all positions leaves each where it is
    operations.Attention: _still(_attention, "query"),
    operations.MultiHeadAttention: lambda op: (_still(lambda op: _multi_head_attention(op)[0], "query")(op), None),
    operations.Matmul: _still(_matmul, "sides"),
    operations.Einsum: _still(_einsum, "operands"),
    operations.Sum: _still(RULES[operations.Sum], "terms"),
    operations.Product: _still(RULES[operations.Product], "factors"),
    operations.Division: _still(RULES[operations.Division], "x"),
}
