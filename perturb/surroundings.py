"""Somebody else's code run apart: whatever it does to the process's global state is put back."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

DEVICES = ("cpu", "cuda")  # that autocast is kept for
Draws = tuple[Any, Any, Any, Any]  # states of the generators of torch, of CUDA, of NumPy and of Python


def _autocast() -> tuple[Any, ...]:
    by_device = [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in DEVICES]
    return (*by_device, torch.is_autocast_cache_enabled(), _depth())


def _depth() -> int:
    """How many autocast contexts are open."""
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _set_autocast(before: tuple[Any, ...]) -> None:
    *by_device, cached, depth = before
    for device, (enabled, dtype) in zip(DEVICES, by_device, strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)
    torch.set_autocast_cache_enabled(cached)
    deeper = _depth() - depth
    for _ in range(abs(deeper)):
        (torch.autocast_decrement_nesting if deeper > 0 else torch.autocast_increment_nesting)()
    torch.clear_autocast_cache()


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(before: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _device() -> torch.device | None:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _cudnn() -> tuple[bool, bool, bool]:
    flags = torch.backends.cudnn
    return flags.enabled, flags.benchmark, flags.deterministic


def _set_cudnn(before: tuple[bool, bool, bool]) -> None:
    flags = torch.backends.cudnn
    flags.enabled, flags.benchmark, flags.deterministic = before


SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (_device, torch.set_default_device),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch._C._set_grad_enabled),
    (_autocast, _set_autocast),
    (torch.get_num_threads, torch.set_num_threads),
    (_deterministic, _set_deterministic),
    (_cudnn, _set_cudnn),
    (np.geterr, lambda before: np.seterr(**before)),
    (os.getcwd, os.chdir),
)


@contextmanager
def unchanged() -> Iterator[None]:
    """Behind this context SETTINGS are as they were ahead of it.

    Not kept are what a model's library needs later: environment variables, the quantised engine, warning filters,
    signal handlers.
    """
    before = [get() for get, _ in SETTINGS]
    try:
        yield
    finally:
        for (get, put), value in zip(SETTINGS, before, strict=True):
            if get() != value:
                put(value)


class Apart:
    """Opened around each run of one model's code: settings are put back, and random numbers are the model's own.

    It draws on where it stopped the last time, beginning with `seed`; so the caller's random numbers do not depend on
    the model, and a model that draws still gives one picture two answers. Opened inside itself it does nothing.
    """

    def __init__(self, seed: int = 0) -> None:
        self._draws: Draws = (
            torch.Generator().manual_seed(seed).get_state(),
            None,
            np.random.RandomState(seed % 2**32).get_state(),
            random.Random(seed).getstate(),
        )
        self._seed, self._open = seed, False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._open:
            yield
            return
        with unchanged():
            callers, self._open = _draws(), True
            _set_draws(self._draws, self._seed)
            try:
                yield
            finally:
                self._draws, self._open = _draws(), False
                _set_draws(callers, self._seed)


def _draws() -> Draws:
    on_cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), on_cuda, np.random.get_state(), random.getstate()  # noqa: NPY002


def _set_draws(draws: Draws, seed: int) -> None:
    torch.set_rng_state(draws[0])
    if draws[1] is not None:
        torch.cuda.set_rng_state_all(draws[1])
    elif torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    np.random.set_state(draws[2])  # noqa: NPY002
    random.setstate(draws[3])
