"""Checkpoints: a training is saved after each epoch and resumes where it stopped."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perturb.errors import InputError
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
    words = {f.name: getattr(trained, f.name) for f in fields(trained) if f.name != "best"}
    write(path, safetensors.torch.save(tensors, metadata={"trained": json.dumps(words)}))


def resume(path: Path, module: nn.Module, optimiser: torch.optim.SGD) -> Trained:
    """The saved training; fills module and optimiser. Raises InputError for a file that `save` did not write."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            words = json.loads(file.metadata()["trained"])
            parts: dict[str, State] = {"module": {}, "best": {}, "momentum": {}}
            for key in file.keys():  # noqa: SIM118 - a reader of files, not a mapping
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
        module.load_state_dict(parts["module"])
        trained = Trained(**words, best=parts["best"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"`{path}` is not a checkpoint of this training ({reason}); delete it to start again."
        ) from error
    for i, parameter in enumerate(_parameters(optimiser)):
        if f"{i}" in parts["momentum"]:
            optimiser.state[parameter]["momentum_buffer"] = parts["momentum"][f"{i}"].to(parameter)
    device = next(module.parameters()).device
    trained.best = {name: value.to(device) for name, value in trained.best.items()}
    return trained


def _parameters(optimiser: torch.optim.SGD) -> list[Any]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
