"""Readers of operations that rearrange a tensor: reshapes, crops, joins."""

from typing import Any

import torch

from perturb.operations import records
from perturb.operations.binding import Given, Reader
from perturb.operations.records import Operation


def _reshape(given: Given) -> Operation | None:
    shape = tuple(given["shape"])
    return None if any(isinstance(n, torch.dtype) for n in shape) else records.Reshape(given["input"], shape)


def _permutation(given: Given) -> Operation:
    x = given["input"]
    return records.Permutation(x, tuple(dim % len(x.shape) for dim in given["dims"]))


def _roll(given: Given) -> Operation | None:
    x, shifts, dims = given["input"], given["shifts"], given.get("dims")
    if dims is None or dims == ():
        return None
    shifts, dims = ((value,) if isinstance(value, int) else tuple(value) for value in (shifts, dims))
    return records.Roll(x, shifts, tuple(dim % len(x.shape) for dim in dims))


def _unfolding(given: Given) -> Operation:
    x = given["input"]
    return records.Unfolding(x, given["dimension"] % len(x.shape), given["size"], given["step"])


def _concatenation(given: Given) -> Operation:
    parts, dim = given["tensors"], given.get("dim", 0)
    return records.Concatenation(tuple(parts), dim % len(parts[0].shape))


def _index_select(given: Given) -> Operation:
    x = given["input"]
    return records.IndexSelect(x, given["dim"] % len(x.shape), given["index"])


def _indexing(given: Given) -> Operation:
    x, index = given["input"], given["index"]
    parts = index if isinstance(index, tuple) else (index,)
    if any(part is None or isinstance(part, bool) or getattr(part, "ndim", 1) != 1 for part in parts):
        return records.Indexing(x, parts, plain=False)
    at = next((place for place, part in enumerate(parts) if part is Ellipsis), len(parts))
    count = len(x.shape) - sum(part is not Ellipsis for part in parts)
    parts = (*parts[:at], *[slice(None)] * count, *parts[at + 1 :])
    return records.Indexing(x, tuple(_all_or(part, n) for part, n in zip(parts, x.shape, strict=True)))


def _all_or(part: Any, count: int) -> Any:
    return slice(None) if isinstance(part, slice) and part.indices(count) == (0, count, 1) else part


def _along(x: Any, dim: int, part: slice) -> Operation:
    parts = [slice(None)] * len(x.shape)
    parts[dim] = _all_or(part, x.shape[dim])
    return records.Indexing(x, tuple(parts))


def _slice(given: Given) -> Operation:
    return _along(
        given["input"], given.get("dim", 0), slice(given.get("start"), given.get("end"), given.get("step", 1))
    )


def _narrow(given: Given) -> Operation:
    start = int(given["start"])
    x, dim, length = given["input"], given["dim"], given["length"]
    start += x.shape[dim] if start < 0 else 0
    return _along(x, dim, slice(start, start + length))


READERS: dict[str, tuple[str, Reader]] = {
    **dict.fromkeys(["view", "reshape"], ("input shape/size...", _reshape)),
    "permute": ("input dims...", _permutation),
    "cat": ("tensors dim/axis", _concatenation),
    "index_select": ("input dim/axis index", _index_select),
    "__getitem__": ("input index", _indexing),
    "slice": ("input dim start end step", _slice),
    "unfold": ("input dimension size step", _unfolding),
    "roll": ("input shifts dims", _roll),
    "narrow": ("input dim start length", _narrow),
}
