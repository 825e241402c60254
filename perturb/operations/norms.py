"""Readers of normalisations, whose arguments stand in aten's order."""

from perturb.operations import records
from perturb.operations.binding import Given, Reader
from perturb.operations.records import Operation


def _batch_norm(given: Given) -> Operation:
    own = given["training"]
    mean, variance = (None, None) if own else (given["running_mean"], given["running_var"])
    return records.BatchNorm(given["input"], given["weight"], mean, variance, given["eps"])


def _instance_norm(given: Given) -> Operation:
    x = given["input"]
    if given["training"]:
        return records.GroupNorm(x, x.shape[1], given["weight"], given["eps"])
    return _batch_norm(given)


def _group_norm(given: Given) -> Operation:
    return records.GroupNorm(given["input"], given["num_groups"], given.get("weight"), given.get("eps", 1e-5))


def _layer_norm(given: Given) -> Operation:
    over = len(given["normalized_shape"])
    return records.LayerNorm(given["input"], over, given.get("weight"), given.get("eps", 1e-5))


_RUNNING = "input weight bias running_mean running_var training momentum eps cudnn_enabled"
READERS: dict[str, tuple[str, Reader]] = {
    "batch_norm": (_RUNNING, _batch_norm),
    "instance_norm": (_RUNNING, _instance_norm),
    "group_norm": ("input num_groups weight bias eps cudnn_enabled", _group_norm),
    "layer_norm": ("input normalized_shape weight bias eps cudnn_enable", _layer_norm),
}
