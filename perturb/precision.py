"""Full float32 precision, in which differences are measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch

SWITCHES = "cudnn.conv cudnn.rnn cuda.matmul mkldnn.conv mkldnn.matmul"
LEGACY = {
    "tf32": "high",
    "bf16": "medium",
}  # torch keeps these settings twice and refuses to read them where they differ


@contextmanager
def full_float32() -> Iterator[None]:
    """IEEE float32 inside this context, whatever the process allows: TF32, cuDNN's default, hides small differences."""
    switches: tuple[Any, ...] = attrgetter(*SWITCHES.split())(torch.backends)
    before = [switch.fp32_precision for switch in switches]
    try:
        _set(switches, ["ieee"] * len(switches))
        yield
    finally:
        _set(switches, before)


def _set(switches: tuple[Any, ...], precisions: list[str]) -> None:
    convolution, _, product, _, product_on_cpu = precisions
    torch.backends.cudnn.allow_tf32 = convolution == "tf32"
    legacy = LEGACY.get(product_on_cpu) or LEGACY.get(product, "highest")
    torch.set_float32_matmul_precision(legacy)
    for switch, precision in zip(switches, precisions, strict=True):
        switch.fp32_precision = precision
