"""What an ONNX graph states: its sliding windows, its total stride, the files and operators that it needs."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from perturb.operations import Pair, Stencil

KINDS = {
    "Conv": "Conv2d",
    "ConvInteger": "Conv2d",
    "QLinearConv": "Conv2d",
    "MaxPool": "MaxPool2d",
    "AveragePool": "AvgPool2d",
    "LpPool": "LPPool2d",
}
PASSING = ("Cast", "DequantizeLinear", "Identity", "QuantizeLinear")  # a constant keeps its shape behind one
ONCE = Fraction(1), Fraction(1)
Node = tuple[str, str, Stencil]  # name, kind, window
Steps = tuple[Fraction, Fraction]  # pixels per position, of rows and of columns


def follow(graph: Any, picture: str) -> tuple[tuple[Node, ...], Pair | None]:
    """The windows on the paths that lead from the input `picture`, and the largest product of strides along one.

    Windows: 2-D, not transposed, their kernels not computed by the graph. Transposed convolutions and resizing divide
    the product. It is None where a scale is no constant, and where another path's product does not divide the largest.
    Strided slices, reshapes (pixel shuffles among them) and subgraphs are not looked into.
    """
    from onnx.helper import get_attribute_value

    constants = {tensor.name: tensor for tensor in graph.initializer}
    totals: dict[str, Steps | None] = {picture: ONCE}
    nodes: list[Node] = []
    for node in graph.node:
        given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
        reached = [totals[name] for name in node.input if name in totals]
        if not reached:
            constants |= _constant(node, given, constants)
        elif node.op_type not in ("Shape", "Size"):  # their results are no pixels
            total = _product(_largest(reached), _steps(node, given, constants))
            totals |= {name: total for name in node.output if name}  # "" is an output left out
            stencil = _stencil(node, given, constants) if node.op_type in KINDS else None
            if stencil is not None:
                nodes.append((node.name or node.output[0], KINDS[node.op_type], stencil))
    return tuple(nodes), _period(list(totals.values()))


def external_files(message: Any) -> Iterator[str]:
    """The files that tensors anywhere in a message name."""
    for descriptor, value in message.ListFields():
        if descriptor.name == "external_data":
            yield from (entry.value for entry in value if entry.key == "location")
        elif descriptor.message_type:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from external_files(part)


def unknown_operators(model: Any) -> list[str]:
    """Those that neither ONNX, nor onnxruntime, nor the file itself defines."""
    from onnx import defs

    own = {(function.domain, function.name) for function in model.functions}
    used = {(node.domain, node.op_type) for node in model.graph.node} - own
    others = {(domain, name) for domain, name in used if not domain.startswith("com.microsoft")}
    return sorted(f"{domain or 'ai.onnx'}:{name}" for domain, name in others if not defs.has(name, domain))


def _constant(node: Any, given: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """By name what a node gives that the picture does not reach, where it is a tensor with the shape of a constant."""
    if node.op_type == "Constant" and "value" in given:
        return {node.output[0]: given["value"]}
    if node.op_type in PASSING and node.input[0] in constants:
        return {node.output[0]: constants[node.input[0]]}
    return {}


def _stencil(node: Any, given: dict[str, Any], constants: dict[str, Any]) -> Stencil | None:
    """The window; None for other than rows and columns. Padding to the same size is that of a size the stride divides.

    As the certificate is that of a torus, which such a stride divides too.
    """
    weight = constants.get(node.input[3 if node.op_type == "QLinearConv" else 1]) if len(node.input) > 1 else None
    kernel = given.get("kernel_shape") or (weight.dims[2:] if weight is not None else ())
    if len(kernel) != 2:
        return None
    stride, dilation = given.get("strides") or (1, 1), given.get("dilations") or (1, 1)
    pads = given.get("pads") or (0, 0, 0, 0)
    before, behind = tuple(pads[:2]), tuple(pads[2:])
    if given.get("auto_pad", b"") in (b"SAME_UPPER", b"SAME_LOWER"):
        same = [max(0, dilation[a] * (kernel[a] - 1) + 1 - stride[a]) for a in (0, 1)]
        less, more = tuple(n // 2 for n in same), tuple(n - n // 2 for n in same)
        before, behind = (less, more) if given["auto_pad"] == b"SAME_UPPER" else (more, less)
    return Stencil(tuple(kernel), tuple(stride), before, behind, tuple(dilation))


def _steps(node: Any, given: dict[str, Any], constants: dict[str, Any]) -> Steps | None:
    """Positions of a node's input per position of its output; None where nothing tells."""
    strides = given.get("strides", ())
    if len(strides) == 2 and node.op_type in KINDS:
        return Fraction(strides[0]), Fraction(strides[1])
    if len(strides) == 2 and node.op_type == "ConvTranspose":
        return Fraction(1, strides[0]), Fraction(1, strides[1])
    if node.op_type in ("Resize", "Upsample"):
        scales = given.get("scales") or _scales(node, constants)
        if len(scales) < 2:
            return None
        rows, columns = (1 / Fraction(float(scale)).limit_denominator(1000) for scale in scales[-2:])
        return rows, columns
    return ONCE


def _scales(node: Any, constants: dict[str, Any]) -> Sequence[float]:
    """Of all axes, or of rows and columns; empty where the graph computes them."""
    from onnx.numpy_helper import to_array

    tensor = constants.get(node.input[2 if len(node.input) > 2 else 1]) if len(node.input) > 1 else None
    if tensor is None or tensor.external_data:
        return ()
    return to_array(tensor).tolist()


def _largest(totals: list[Steps | None]) -> Steps | None:
    known = [total for total in totals if total is not None]
    return (max(t[0] for t in known), max(t[1] for t in known)) if len(known) == len(totals) else None


def _product(total: Steps | None, steps: Steps | None) -> Steps | None:
    return (total[0] * steps[0], total[1] * steps[1]) if total is not None and steps is not None else None


def _period(totals: list[Steps | None]) -> Pair | None:
    largest = _largest(totals)
    known = [total for total in totals if total is not None]
    if largest is None or any((largest[a] / total[a]).denominator > 1 for total in known for a in (0, 1)):
        return None
    return int(largest[0]), int(largest[1])
