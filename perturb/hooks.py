"""Hooks on a network's layers, for as long as they are needed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Hook = Callable[[nn.Module, Any, Any], None]


@contextmanager
def hooked(module: nn.Module, layers: Iterable[str], hook: Callable[[str], Hook]) -> Iterator[None]:
    """While open, `hook(layer)` is called with each layer, its arguments and its output, after it has run."""
    handles = [module.get_submodule(layer).register_forward_hook(hook(layer)) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
