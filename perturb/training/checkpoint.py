"""Checkpoints: a training is saved after each epoch and resumes where it stopped."""

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perturb.errors import InputError, PerturbError, first_line
from perturb.files import WEIGHTS, check_regular
from perturb.writing import write

State = dict[str, Tensor]


@dataclass(kw_only=True)
class Trained:
    """The state of a training: epochs done, the best epoch on validation, and its weights."""

    epochs: int = 0
    best_epoch: int = 0  # counted from 1
    accuracy: float = -1.0  # on validation, in the best epoch
    loss: float = float("inf")  # mean cross-entropy of the last epoch
    seconds: float = 0.0
    best: State = field(default_factory=dict)


def save(path: Path, module: nn.Module, optimiser: torch.optim.SGD, trained: Trained) -> None:
    """Write the training to one safetensors file."""
    import safetensors.torch

    momenta = {
        f"{i}": state["momentum_buffer"]
        for i, state in enumerate(optimiser.state[p] for p in _parameters(optimiser))
        if state
    }
    parts = {"module": module.state_dict(), "best": trained.best, "momentum": momenta}
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part, state in parts.items()
        for name, value in state.items()
    }
    words = json.dumps({f.name: getattr(trained, f.name) for f in fields(trained) if f.name != "best"})
    write(path, safetensors.torch.save(tensors, metadata={"trained": words, "digest": _digest(words, tensors)}))


def resume(path: Path, module: nn.Module, optimiser: torch.optim.SGD) -> Trained:
    """The saved training; fills module and optimiser. Raises InputError for a file that `save` did not write."""
    from safetensors import SafetensorError, safe_open

    try:
        check_regular(path, limit=WEIGHTS)
        with safe_open(path, "pt") as file:
            told = dict(file.metadata())
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - a reader, not a mapping
        words = _words(told, tensors)
        parts: dict[str, State] = {"module": {}, "best": {}, "momentum": {}}
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = value
        module.load_state_dict(parts["module"])
        trained = Trained(**words, best=parts["best"])
    except (SafetensorError, PerturbError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"`{path}` is not a checkpoint of this training ({first_line(error)}); delete it to start again."
        ) from error
    for i, parameter in enumerate(_parameters(optimiser)):
        if f"{i}" in parts["momentum"]:
            optimiser.state[parameter]["momentum_buffer"] = parts["momentum"][f"{i}"].to(parameter)
    device = next(module.parameters()).device
    trained.best = {name: value.to(device) for name, value in trained.best.items()}
    return trained


def _words(told: dict[str, str], tensors: State) -> dict[str, Any]:
    """What a checkpoint says of its training. Raises ValueError where it is not what was saved.

    Checkpoints of earlier versions have no digest.
    """
    text = told.pop("trained")
    digest = told.pop("digest", None)
    if told:
        raise ValueError(f"{next(iter(told))} is not a field")
    if digest is not None and digest != _digest(text, tensors):
        raise ValueError("its digest does not match what it holds: it is damaged")
    words = json.loads(text)
    counts = (words["epochs"], words["best_epoch"])
    if not all(type(count) is int and 0 <= count <= counts[0] for count in counts):
        raise ValueError(f"{counts[0]} epochs, of which {counts[1]} is the best")
    return dict(words)


def _digest(words: str, tensors: State) -> str:
    """SHA-256 of the words, and of each tensor's name, type, shape and bytes."""
    found = hashlib.sha256(words.encode())
    for name, value in sorted(tensors.items()):
        found.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _parameters(optimiser: torch.optim.SGD) -> list[Any]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
