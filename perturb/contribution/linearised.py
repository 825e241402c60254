"""A network as the structural map sees it: every operation replaced by its linear stand-in.

`Linearised` watches a network run, on a torus or within its borders. An operation with a rule is replaced by its
linear stand-in. One without is run as it is, but its gradient is barred: if the output depends on the picture through
it, the error names it. So a gate's inside (squeeze-and-excitation, attention scores) needs no rules, and nothing passes
in silence.
"""

from collections.abc import Callable, Set
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from perturb.contribution import fixed_paths
from perturb.contribution.fixed_paths import Path
from perturb.contribution.gates import GATES, Levelled, gates_in, name_of, swapped, tensors_in
from perturb.contribution.rules import RULES, WINDOWS, Rules, is_linear
from perturb.contribution.torus import window_mean
from perturb.errors import UnsupportedOperationError
from perturb.operations import Operation, Resizing, Stencil, certificate, read, resizing
from perturb.records import Window

IDENTITY = frozenset(
    """
    relu relu_ relu6 threshold hardtanh hardtanh_ leaky_relu leaky_relu_ elu elu_ selu selu_ celu celu_ gelu
    silu hardswish mish prelu rrelu rrelu_ tanh tanh_ softplus softsign tanhshrink hardshrink softshrink abs neg
    __neg__ log_softmax clamp clamp_ clip clamp_min clamp_max batch_norm layer_norm group_norm instance_norm
    rms_norm local_response_norm normalize dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout
    feature_alpha_dropout to type type_as float double half bfloat16 cpu cuda detach positive
    """.split()
)
STRUCTURE = frozenset(
    """
    flatten contiguous clone unflatten permute transpose swapaxes moveaxis movedim t squeeze unsqueeze
    ravel expand expand_as view_as reshape_as broadcast_to repeat repeat_interleave tile chunk split tensor_split
    unbind select
    flip fliplr flipud rot90 roll cat concat concatenate stack pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle broadcast_tensors
    """.split()
)
SHAPES = frozenset(
    """
    zeros_like ones_like empty_like full_like rand_like new_zeros new_ones new_empty new_full
    """.split()
)


class _Barred(torch.autograd.Function):
    """The values pass; a gradient that arrives here raises the error that names the operation."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, source: Tensor, message: str) -> Tensor:
        ctx.message = message
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise UnsupportedOperationError(ctx.message)


class Linearised(Levelled):
    """While active, torch functions that depend on the picture act by their rule; `windows` collects certificates.

    A window whose number among them is in `evened` is replaced by the mean over all places of its sampling grid: it
    reads every pixel equally often, whatever its kernel and its coefficients. This is for a torus.
    """

    power = 2

    def __init__(
        self,
        module: nn.Module,
        current_layer: Callable[[], str],
        rules: Rules = RULES,
        evened: Set[int] = frozenset(),
    ) -> None:
        super().__init__()
        self._rules, self._evened = rules, evened
        self.windows: list[Window] = []
        self.ratios: list[tuple[Fraction, Fraction]] = []  # of resizings, in the order in which they run
        self._layer = current_layer
        self._module = module
        self._learnt: dict[int, Any] = {}  # by address, storages; kept, so that no other tensor gets their addresses
        self._learn(list(module.parameters()))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        if any(self._is_learnt(x) for x in tensors_in((args, kwargs or {}))):
            self._learn(args[:1] if name_of(func) == "__setitem__" else result)
        return result

    def _learn(self, computed: Any) -> None:
        """Note what is a parameter or was computed from one."""
        for x in tensors_in(computed):
            if not x.requires_grad and x.layout is torch.strided:
                self._learnt[_address(x)] = x.untyped_storage()

    def _is_learnt(self, x: Tensor) -> bool:
        return isinstance(x, nn.Parameter) or (x.layout is torch.strided and _address(x) in self._learnt)

    def check_graph(self, output: Tensor) -> None:
        """Refuse custom autograd functions: they pass by without being seen here."""
        todo, seen = [output.grad_fn], set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            name = type(node).__name__
            custom = issubclass(type(node), torch.autograd.function.BackwardCFunction)
            if custom and name not in ("_BarredBackward", "_SquaredBackward"):
                raise UnsupportedOperationError(f"custom autograd function `{name.removesuffix('Backward')}`")
            todo.extend(parent for parent, _ in node.next_functions)

    def act(self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = [value for value in tensors_in((args, kwargs)) if value.requires_grad]
        plain = name in IDENTITY or name in GATES
        if name in STRUCTURE or (plain and not in_place(name)):
            rearranged = name in STRUCTURE
            # somebody may write into the copy of what passes unchanged, and not into its source
            result = func(*args, **kwargs) if rearranged else live[0].clone()
            if rearranged or name in fixed_paths.SAME or name in fixed_paths.MINUS:
                self._note(result, live, name, lambda given: func(*swapped(args, given), **swapped(kwargs, given)))
            return result
        if plain:
            return live[0]
        operation, written = read(name, args, kwargs), args
        if gates := gates_in(operation, live):
            self._learn(list(gates.values()))
            args, kwargs = swapped(args, gates), swapped(kwargs, gates)
            live = [x for x in live if id(x) not in gates]
            operation = read(name, args, kwargs)
        if operation is None or type(operation) not in self._rules:
            return self.bar(name, lambda: func(*_as_wide(args), **_as_wide(kwargs)), live[0])
        if isinstance(operation, WINDOWS) and len(self.windows) in self._evened:
            operation, path = replace(operation, x=window_mean(operation.x, operation.stencil.stride)), None
        else:
            path = self._path(operation, live, name, args, kwargs)
        if path and fixed_paths.adds_first(live, operation) and path.few():
            result = fixed_paths.squared(path)
        else:
            result = self._rules[type(operation)](self, operation)
        if in_place(name):
            result = written[0].copy_(result)
        elif isinstance(result, Tensor) and 0 in result.stride():
            result = result.contiguous()
        if path:
            fixed_paths.keep(result, path)
        return result

    def _path(self, operation: Operation, live: list[Tensor], name: str, args: Any, kwargs: Any) -> Path | None:
        """Where the result is a fixed linear function of one map, that function; on a torus alone."""
        if self._rules is not RULES or not is_linear(self, operation):
            return None
        values = _Values(self)

        def apply(given: list[Tensor]) -> Tensor:
            there = {id(source): value for source, value in zip(live, given, strict=True)}
            same = read(name, swapped(args, there), swapped(kwargs, there))
            found: Tensor = RULES[type(operation)](values, same)
            return found

        return fixed_paths.joined(live, apply, operation)

    def _note(self, result: Any, live: list[Tensor], name: str, call: Callable[[dict[int, Tensor]], Any]) -> None:
        """Note the path of what a rearrangement gives, one tensor or several."""
        many = isinstance(result, tuple | list)
        for number, part in enumerate(result if many else [result]):

            def apply(given: list[Tensor], number: int = number) -> Tensor:
                found = call({id(source): value for source, value in zip(live, given, strict=True)})
                return found[number] if many else found

            path = fixed_paths.joined(live, apply, name) if self._rules is RULES else None
            if path and isinstance(part, Tensor) and part.ndim and len(part) == 1:
                fixed_paths.keep(part, path)

    def bar(self, name: str, call: Callable[[], Any], source: Tensor) -> Any:
        message = self.complaint(name)
        if name == "__setitem__" or in_place(name):
            raise UnsupportedOperationError(message)
        with torch.no_grad():
            result = call()
        if not isinstance(result, Tensor | tuple | list) or name in SHAPES or name == "__get__":
            return result
        if isinstance(result, Tensor):
            return self._bar_tensor(result, source, message)
        return type(result)([self._bar_tensor(r, source, message) if isinstance(r, Tensor) else r for r in result])

    def _bar_tensor(self, result: Tensor, source: Tensor, message: str) -> Tensor:
        if not result.is_floating_point():
            raise UnsupportedOperationError(message)
        return _Barred.apply(result, source, message)

    def complaint(self, what: str) -> str:
        layer = self._layer()
        where = f"layer `{layer}`" if layer else "its forward method"
        return (
            f"the structural map has no rule for `{what}` in {where}; "
            "ask a gradient map (kind energy) instead, or a layer before it."
        )

    def certify(self, kind: str, stencil: Stencil) -> None:
        self.windows.append(certificate(self._layer(), kind, stencil))

    def resized(self, rows: Fraction, columns: Fraction) -> None:
        self.ratios.append((rows, columns))

    def is_fixed(self, weight: Tensor) -> bool:
        """Whether it depends neither on the picture nor on a parameter: a blur, say, in a buffer or made on the way."""
        return not (weight.requires_grad or self._is_learnt(weight))


class _Values:
    """What a rule may ask where the values themselves pass, rather than their squares."""

    power = 1

    def __init__(self, trace: Linearised) -> None:
        self.is_fixed, self.bar = trace.is_fixed, trace.bar

    def certify(self, kind: str, stencil: Stencil) -> None:
        """Noted already."""

    def resized(self, rows: Fraction, columns: Fraction) -> None:
        """Noted already."""


class Resizings(TorchFunctionMode):
    """While active, notes the outputs per input of each resizing that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ratios: list[tuple[Fraction, Fraction]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if name_of(func) == "interpolate" and isinstance(op := read("interpolate", args, kwargs or {}), Resizing):
            self.ratios.append((resizing.ratio(op, 0), resizing.ratio(op, 1)))
        return func(*args, **kwargs or {})


def _address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def in_place(name: str) -> bool:
    """Whether the function of this name writes into its first argument, by torch's own convention."""
    return name.endswith("_") and not name.endswith("__")


def _as_wide(value: Any) -> Any:
    """Arguments whose constants are float64, as the activations are here."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() and not value.requires_grad else value
    if isinstance(value, dict):
        return {name: _as_wide(part) for name, part in value.items()}
    return type(value)(map(_as_wide, value)) if type(value) in (tuple, list) else value
