"""What a network's operations do to squared gradients, on a torus or within its borders; without data or weights."""

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from perturb.contribution.linearised import Linearised, Resizings
from perturb.contribution.rules import RULES, Rules
from perturb.contribution.torus import CanvasError, NoTorusError
from perturb.errors import PerturbError, first_line
from perturb.protocols import Differentiable
from perturb.records import Window
from perturb.sensor import network_shape

LARGEST_CANVAS = 1024


def on_some_torus(model: Differentiable, layer: str) -> tuple[Float[np.ndarray, "row column"], list[Window]]:
    """A small torus if the network allows; else the size it was made for; else one that windows of 8 or 7 divide.

    Raises NoTorusError where none does.
    """
    rows, columns = network_shape(model)[1:]
    reason = Exception()
    for canvas in dict.fromkeys((64, rows if rows == columns else 64, 256, 224)):
        try:
            return _on_torus(model, layer, canvas)
        except PerturbError:
            raise
        except Exception as error:  # the network asserts a size, or reshapes to one
            reason = error if canvas == rows or not str(reason) else reason  # of its own size the reason says most
    told = first_line(reason).removesuffix(".")
    advice = "; `last`, its last feature map, may be" if layer == "output" else ""
    raise NoTorusError(f"{model.name}: `{layer}` cannot be followed on a torus: {told}{advice}.") from reason


def _on_torus(model: Differentiable, layer: str, canvas: int) -> tuple[Float[np.ndarray, "row column"], list[Window]]:
    while canvas <= LARGEST_CANVAS:
        try:
            squared, recorder = propagate(model, layer, (canvas, canvas))
        except CanvasError as error:
            canvas *= error.factor
            continue
        if recorder.ratios and recorder.ratios != _ratios(model, layer):
            raise ValueError(f"it resizes to a size of its own, which a torus of {canvas} x {canvas} pixels changes")
        return squared, recorder.windows
    raise NoTorusError(f"{model.name}: no torus up to {LARGEST_CANVAS} pixels fits its strides.")


def _ratios(model: Differentiable, layer: str) -> list[tuple[Fraction, Fraction]]:
    """Outputs per input of each resizing at the network's own size."""
    with torch.inference_mode(), Resizings() as recorder:
        model.propagate(torch.zeros(1, *network_shape(model), device=model.device), layer)
    return recorder.ratios


def propagate(
    model: Differentiable, layer: str, canvas: tuple[int, int], rules: Rules = RULES, evened: Set[int] = frozenset()
) -> tuple[Float[np.ndarray, "row column"], Linearised]:
    """The squared gradient at each pixel of a canvas, of every channel together, by these rules; and what was noted.

    Windows with these numbers, in the order in which they run, are `evened`: see Linearised.
    """
    x = torch.zeros((1, model.input_shape[0], *canvas), dtype=torch.float64, device=model.device, requires_grad=True)
    with (
        torch.enable_grad(),
        names(model.module) as current,
        Linearised(model.module, current, rules, evened) as recorder,
    ):
        output = model.propagate(x.clone(), layer)
    if output.requires_grad:
        recorder.check_graph(output)
        (gradient,) = torch.autograd.grad(output.sum(), x)
    else:
        gradient = torch.zeros_like(x)
    return gradient.sum((0, 1)).cpu().numpy(), recorder


@contextmanager
def names(module: nn.Module) -> Iterator[Callable[[], str]]:
    """While open: the qualified name of the module that is running."""
    stack: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: stack.append(name)

    def leave(*_: Any) -> None:
        stack.pop()

    handles = []
    for name, part in module.named_modules():
        handles += [part.register_forward_pre_hook(enter(name)), part.register_forward_hook(leave, prepend=True)]
    try:
        yield lambda: stack[-1] if stack else ""
    finally:
        for handle in handles:
            handle.remove()
