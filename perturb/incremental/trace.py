"""A network up to one layer as a list of steps, traced with torch.fx."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from perturb.incremental.activations import BATCH, Activation, Layout, NoRuleError
from perturb.incremental.attention import batch_first
from perturb.incremental.operations import COUNTED, layout_of, rule
from perturb.incremental.rules import Linear, Pointwise, Rule, Scale
from perturb.incremental.simplify import operation_name, simplify
from perturb.protocols import Differentiable
from perturb.surroundings import unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation that depends on the picture. Its arguments refer to earlier steps by their fx.Node."""

    node: fx.Node
    name: str
    call: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: tuple[fx.Node, ...]
    layouts: tuple[Layout, ...]  # of the sources
    activation: Activation
    rule: Rule

    def run(self, values: dict[fx.Node, Tensor]) -> Tensor:
        """The operation's output for clean activations, in their precision."""
        dtype = values[self.sources[0]].dtype

        def given(argument: Any) -> Any:
            if isinstance(argument, fx.Node):
                return values[argument]
            return argument.to(dtype) if isinstance(argument, Tensor) and argument.is_floating_point() else argument

        args, kwargs = fx.node.map_aggregate((self.args, self.kwargs), given)
        if self.name in COUNTED:
            args = (args[0], [-1, *self.activation.shape[1:]])
        if self.name == "cat":
            count = len(values[self.sources[0]])
            args = ([part.expand(count, *part.shape[1:]) for part in args[0]], *args[1:])
        return self.call(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Traced:
    """The steps in order. `picture` is the normalised picture; the last step computes the layer's output."""

    picture: fx.Node
    steps: tuple[Step, ...]

    @property
    def output(self) -> Step:
        return self.steps[-1]

    def last_uses(self) -> dict[fx.Node, list[fx.Node]]:
        """For each step the nodes that no later step reads."""
        last = {source: step.node for step in self.steps for source in step.sources}
        uses: dict[fx.Node, list[fx.Node]] = {step.node: [] for step in self.steps}
        for node, step in last.items():
            uses[step].append(node)
        return uses


@unchanged()  # a trace that fails may have entered what it never leaves, such as autocast
def trace(model: Differentiable, layer: str) -> Traced:
    """The steps from a normalised picture to the output of `layer`. Raises NoRuleError, or what tracing raises."""
    generator = torch.Generator().manual_seed(0)
    x = model.normalise(torch.rand(BATCH, *model.input_shape, generator=generator))
    with torch.no_grad(), batch_first():
        model.propagate(x, layer, folded=True)  # the folded form checks itself at its first use
        graph = make_fx(lambda given: model.propagate(given, layer, folded=True), pre_dispatch=True)(x)
    simplify(graph)
    return _Reader(graph).read(tuple(x.shape))


class _Reader:
    """Sorts the nodes of a graph into constants and steps."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.module = module
        self.still: dict[fx.Node, Any] = {}
        self.activations: dict[fx.Node, Activation] = {}
        self.steps: list[Step] = []

    def read(self, shape: tuple[int, ...]) -> Traced:
        picture, *nodes, output = self.module.graph.nodes
        self.activations[picture] = Activation(shape, "channels first")
        for node in nodes:
            self._take(node)
        (result,) = output.all_input_nodes
        if result not in self.activations or result is picture:
            raise NoRuleError("a layer that does not depend on the picture")
        return Traced(picture, self._needed(result))

    def _take(self, node: fx.Node) -> None:
        if node.op == "get_attr":
            self.still[node] = getattr(self.module, str(node.target))
        elif operation_name(node) == "new_zeros":
            made = node.meta["val"]
            self.still[node] = torch.zeros(made.shape, dtype=made.dtype, device=made.device)
        elif any(source in self.activations for source in node.all_input_nodes):
            step = self._step(node)
            self.activations[node] = step.activation
            self.steps.append(step)
        else:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: self.still[n])
            value = node.target(*args, **kwargs)  # type: ignore[operator]
            alike = (
                operation_name(node) in ("expand", "repeat") and value.shape[0] == BATCH
            )  # the same token for every picture
            self.still[node] = value[:1] if alike else value

    def _step(self, node: fx.Node) -> Step:
        name, value = operation_name(node), node.meta.get("val")
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.shape[0] % BATCH:
            raise NoRuleError(name)

        def given_by(source: fx.Node) -> Any:
            return self.still[source] if source in self.still else self._as_map(source, node)

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), given_by)
        sources: list[fx.Node] = []
        fx.node.map_arg((args, kwargs), sources.append)
        given, options = fx.node.map_arg((args, kwargs), lambda n: self.activations[n])
        layouts = tuple(self.activations[s].layout for s in sources)
        here = Activation(tuple(value.shape), layout_of(name, args, layouts, tuple(value.shape)))
        call = _out_of_place(node)
        made = rule(name, here, call, given, options)
        if isinstance(made, Pointwise) and len(sources[0].users) == 1 and self.steps:
            before = self.steps[-1]
            if before.node is sources[0] and isinstance(before.rule, Scale):
                made.absorb(before.rule)
        return Step(
            node=node,
            name=name,
            call=call,
            args=args,
            kwargs=kwargs,
            sources=tuple(sources),
            layouts=layouts,
            activation=here,
            rule=made,
        )

    def _as_map(self, source: fx.Node, node: fx.Node) -> fx.Node:
        """The source; if it was reshaped to four dimensions and joins a map, it takes the layout of the map."""
        before = self.activations[source]
        layouts = {self.activations[s].layout for s in node.all_input_nodes if s in self.activations} - {""}
        joins = operation_name(node) in ("add", "sub", "mul", "cat") and len(layouts) == 1
        if not joins or before.layout or len(before.shape) != 4:
            return source
        call, here = torch.ops.aten.alias.default, Activation(before.shape, layouts.pop())
        with self.module.graph.inserting_before(node):
            found = self.module.graph.call_function(call, (source,))
        self.activations[found] = here
        self.steps.append(
            Step(
                node=found,
                name="alias",
                call=call,
                args=(source,),
                kwargs={},
                sources=(source,),
                layouts=(before.layout,),
                activation=here,
                rule=Linear(here, before, lambda d: d),
            )
        )
        return found

    def _needed(self, result: fx.Node) -> tuple[Step, ...]:
        needed, kept = {result}, []
        for step in reversed(self.steps):
            if step.node in needed:
                needed.update(step.sources)
                kept.append(step)
        return tuple(reversed(kept))


def _out_of_place(node: fx.Node) -> Callable[..., Tensor]:
    name = {"view": "reshape"}.get(
        operation_name(node), operation_name(node)
    )  # `reshape` works with every memory layout
    packet: Any = getattr(torch.ops.aten, name, None)
    if packet is None:
        raise NoRuleError(str(node.target))
    overload: Callable[..., Tensor] = getattr(packet, node.target._overloadname)  # type: ignore[union-attr]
    return overload
