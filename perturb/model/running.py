"""A network's running: up to a layer, in a quicker form, in batches that fit, and to settle its normalisation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from perturb.answers import Answers, head_of, part_of, rows_of, select
from perturb.answers.structure import stacked
from perturb.errors import InputError, PerturbError, UsageError, first_line
from perturb.hooks import hooked
from perturb.model.folding import fold_normalisation
from perturb.model.layers import Layers
from perturb.precision import full_float32

Part = TypeVar("Part")
IN_CACHE = 1 << 23  # numbers


class _ReachedError(Exception):
    """Ends a forward pass at the layer that was asked for."""


@contextmanager
def users_code(name: str) -> Iterator[None]:
    """While open, the user's own code runs: whatever it raises becomes one line; but for a memory that is full."""
    try:
        yield
    except (PerturbError, torch.OutOfMemoryError, _ReachedError):
        raise
    except Exception as error:
        raise InputError(f"{name} raised {type(error).__name__}: {first_line(error)}") from error


@full_float32()
def run(module: nn.Module, x: Tensor, layer: str, layers: Layers) -> Tensor:
    """What `layer` gives for normalised input; UsageError where that is no tensor with a row for each picture."""
    part = part_of(layer)
    if part is not None:
        raw = module(x)
        if isinstance(raw, Tensor) and not part:
            return raw
        return _chosen(rows_of(raw, len(x)), part, layers.name)
    (found,) = run_along(module, x, [layer], layers)
    return found


@full_float32()
def run_along(module: nn.Module, x: Tensor, wanted: Sequence[str], layers: Layers) -> list[Tensor]:
    """What each of these layers gives for normalised input, in one pass that ends at the last of them."""
    kept: dict[str, Tensor | None] = {}

    def keep(layer: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if layer in kept:
                return
            found = layers.map_of(layer, output, x.shape[-2] / x.shape[-1])
            last = len(kept) + 1 == len(wanted)
            kept[layer] = found if last or found is None else found.clone()  # what runs on may change it in place
            if last:
                raise _ReachedError

        return hook

    with hooked(module, wanted, keep), suppress(_ReachedError):
        module(x)
    return [_map(kept.get(layer), layer, x, layers.name) for layer in wanted]


def _map(found: Tensor | None, layer: str, x: Tensor, name: str) -> Tensor:
    if found is None:
        raise InputError(f"{name}: layer `{layer}` gives no feature map for an input of {tuple(x.shape[1:])}.")
    return found


def _chosen(rows: dict[str, Tensor], part: str, name: str) -> Tensor:
    """One of the outputs, differentiable."""
    if not rows:
        raise UsageError(f"{name} gives no tensor with a row for each picture; ask for [map] kind = 'response'.")
    if not part and len(rows) > 1:
        choice = f"choose one, output = {next(iter(rows))!r} in a suite, or name a layer"
        raise UsageError(f"{name} returns {', '.join(rows)}: {choice}.")
    key, rest = head_of(part, rows)
    if key not in rows and len(rows) == 1:  # a part of the only output
        key, rest = next(iter(rows)), part
    if key not in rows:
        raise UsageError(f"`output` = {part!r}: {name} has no such output; expected one of {list(rows)}.")
    found = select(rows[key], rest, name)
    assert isinstance(found, Tensor)
    return found


class Forms:
    """By layer what gives its values: a copy with folded normalisation, or the module itself."""

    def __init__(
        self, module: nn.Module, layers: Layers, layout: torch.memory_format, shape: tuple[int, int, int]
    ) -> None:
        self.module, self.layers, self.layout, self.shape = module, layers, layout, shape
        self._quick: nn.Module | None = None
        self._chosen: dict[str, nn.Module] = {}

    def forget(self) -> None:
        """The module's statistics have changed."""
        self._quick = None
        self._chosen.clear()

    def of(self, layer: str, normalise: Callable[[Tensor], Tensor]) -> nn.Module:
        """The copy, where it gives the layer the same to rounding; else the module."""
        if layer not in self._chosen:
            self._chosen[layer] = self.module
            with torch.inference_mode(False), torch.no_grad():
                x = torch.rand(1, *self.shape, generator=torch.Generator().manual_seed(0))
                x = normalise(x)
                plain = run(self.module, x, layer, self.layers)
                try:
                    self._quick = quick = self._quick or fold_normalisation(self.module, x, self.layout)
                    found = run(quick, x, layer, self.layers)
                    if torch.allclose(found, plain, 0, 1e-4 * float(plain.abs().max())):
                        self._chosen[layer] = quick
                except Exception:  # the user's own code may want its normalisation where it was
                    pass
        return self._chosen[layer]


class Batched(Protocol):
    """What is shown pictures in batches."""

    name: str
    batch: int


def in_batches(model: Batched, pictures: Tensor, answer: Callable[[Tensor], Part]) -> list[Part]:
    """What `answer` gives for each batch of pictures; batches are halved, and stay so, where memory runs out."""
    while True:
        try:
            return [answer(part) for part in pictures.split(model.batch)]
        except torch.OutOfMemoryError:
            if model.batch == 1:
                raise
            model.batch //= 2


def joined(model: Batched, parts: Sequence[Answers], what: str) -> Answers:
    """The answers of all batches; raises InputError, naming `what` is not finite."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if len(tensors) < len(parts) or len({part.shape[1:] for part in tensors}) > 1:
        return stacked([entry for part in parts for entry in part])
    result = torch.cat(tensors)
    if not torch.isfinite(result).all():
        raise InputError(f"{model.name}: `{what}` is not finite (NaN or infinity) for some pictures.")
    return result


def fitting(largest: int) -> int:
    """Pictures at once on a CPU: so many that the largest activation leaves the cache least, 8 at most.

    Of ten torchvision networks at 224 x 224 nine are within 8 % of their quickest of 1 to 32 (MobileNetV3-small loses
    20 %, which the allocations of a whole run take back); at 896 x 896 it is 1.1 to 1.5 times as quick as 8. Not timed:
    the last digits of what is measured would change with the hour.
    """
    return min(8, 1 << max(0, (IN_CACHE // largest).bit_length() - 1))


def settle(module: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Give batch normalisation the statistics of these batches, layer by layer in their own batches' mean."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        with torch.inference_mode(), full_float32():
            for x in inputs:
                module(x)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
